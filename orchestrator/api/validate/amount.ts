/** A number, or a share of something in percent. Source: k8s.io/kubernetes/pkg/apis/apps/validation/validation.go. */
import { validateNotNegative } from './numbers.ts'
import { invalidValue, type Problem } from './problem.ts'

export type Amount = string | number | undefined

const percent =
  "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')"

/** Not negative, or a percentage. */
export function validateAmount(value: Amount, field: string): readonly Problem[] {
  if (value === undefined) return []
  if (typeof value === 'number') return validateNotNegative(value, field)
  return /^[0-9]+%$/.test(value) ? [] : [invalidValue(field, value, percent)]
}

/** No more than a hundred percent. */
export function validateAtMostAll(value: Amount, field: string): readonly Problem[] {
  const isTooMuch = typeof value === 'string' && Number.parseInt(value, 10) > 100
  return isTooMuch ? [invalidValue(field, value, 'must not be greater than 100%')] : []
}

/** True for nothing at all. */
export function isNothing(value: Amount): boolean {
  return value === 0 || value === '0%'
}
