import { checkPortName } from '../names.ts'
import { allOf, invalidName, invalidValue, none, type Problem } from './problem.ts'

/** Zero or more. */
export function validateNotNegative(value: number | undefined, field: string): readonly Problem[] {
  return value !== undefined && value < 0 ? [invalidValue(field, value, 'must be greater than or equal to 0')] : []
}

/** Both ends included. */
export function validateBetween(
  value: number | undefined,
  [least, most]: readonly [number, number],
  field: string,
): readonly Problem[] {
  if (value === undefined || (value >= least && value <= most)) return []
  return [invalidValue(field, value, `must be between ${least} and ${most}, inclusive`)]
}

/** 1 to 65535. */
export function validatePort(value: number | undefined, field: string): readonly Problem[] {
  return validateBetween(value, [1, 65535], field)
}

/** A port by number or by name. */
export function validatePortOrName(value: number | string | undefined, field: string): readonly Problem[] {
  if (typeof value === 'string') return invalidName(field, value, checkPortName(value))
  return validatePort(value ?? 0, field)
}

const largestId = 2 ** 31 - 1

/** A user or group id. */
export function validateId(value: number | undefined, field: string): readonly Problem[] {
  return validateBetween(value, [0, largestId], field)
}

/** Permission bits. */
export function validateMode(value: number | undefined, field: string): readonly Problem[] {
  if (value === undefined || (value >= 0 && value <= 0o777)) return []
  return [invalidValue(field, value, 'must be a number between 0 and 0777 (octal), both inclusive')]
}

/** A path inside a volume: neither absolute nor upwards. */
export function validateLocalPath(path: string | undefined, field: string): readonly Problem[] {
  if (!path) return []
  return allOf(
    path.startsWith('/') ? [invalidValue(field, path, 'must be a relative path')] : none,
    path.split('/').includes('..') ? [invalidValue(field, path, "must not contain '..'")] : none,
  )
}
