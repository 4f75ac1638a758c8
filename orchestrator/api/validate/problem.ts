/**
 * Constructors for what validation finds, worded as in k8s.io/apimachinery/pkg/util/validation/field/errors.go.
 */
import type { StatusCause } from '../status.ts'

export type Problem = StatusCause

/** Nothing is wrong. */
export const none: readonly Problem[] = []

/** One list of all. Nearly always nothing is wrong with anything: then nothing is made. */
export function allOf(...lists: readonly (readonly Problem[])[]): readonly Problem[] {
  let all = none
  for (const list of lists) if (list.length > 0) all = all.length > 0 ? [...all, ...list] : list
  return all
}

/** `Required value`, with what is missing. */
export function required(field: string, detail = ''): Problem {
  return { reason: 'FieldValueRequired', message: detail ? `Required value: ${detail}` : 'Required value', field }
}

/** `Invalid value: "x": why`. */
export function invalidValue(field: string, value: unknown, detail: string): Problem {
  return { reason: 'FieldValueInvalid', message: `Invalid value: ${JSON.stringify(value) ?? 'null'}: ${detail}`, field }
}

/** `Unsupported value: "x": supported values: "a", "b"`. */
export function unsupported(field: string, value: unknown, supported: readonly string[]): Problem {
  const list = [...supported].sort().map((each) => JSON.stringify(each))
  return {
    reason: 'FieldValueNotSupported',
    message: `Unsupported value: ${JSON.stringify(value)}: supported values: ${list.join(', ')}`,
    field,
  }
}

/** `Duplicate value: "x"`. */
export function duplicate(field: string, value: unknown): Problem {
  return { reason: 'FieldValueDuplicate', message: `Duplicate value: ${JSON.stringify(value)}`, field }
}

/** `Forbidden: why`. */
export function notAllowed(field: string, detail: string): Problem {
  return { reason: 'FieldValueForbidden', message: `Forbidden: ${detail}`, field }
}

/** `Not found: "x"`: a name that refers to nothing in the same object. */
export function unresolved(field: string, value: unknown): Problem {
  return { reason: 'FieldValueNotFound', message: `Not found: ${JSON.stringify(value)}`, field }
}

/** `Too long: may not be more than n bytes`. */
export function tooLongValue(field: string, limitBytes: number): Problem {
  return { reason: 'FieldValueTooLong', message: `Too long: may not be more than ${limitBytes} bytes`, field }
}

/** One problem for each reason that a check of `../names.ts` found. */
export function invalidName(field: string, value: string, reasons: readonly string[]): readonly Problem[] {
  return reasons.length === 0 ? none : reasons.map((reason) => invalidValue(field, value, reason))
}

/** The problems of each item, at `field[0]`, `field[1]`, …. */
export function eachItem<T>(
  items: readonly T[] | undefined,
  field: string,
  check: (item: T, field: string, at: number) => readonly Problem[],
): readonly Problem[] {
  let problems = none
  if (items === undefined) return problems
  for (let at = 0; at < items.length; at++) {
    problems = allOf(problems, check(items[at] as T, `${field}[${at}]`, at))
  }
  return problems
}

/** A problem for each name that an earlier item has already. */
export function duplicates<T>(
  items: readonly T[] | undefined,
  nameOf: (item: T) => string | undefined,
  fieldOf: (at: number) => string,
): readonly Problem[] {
  if (items === undefined || items.length < 2) return none
  const seen = new Set<string>()
  return items.flatMap((item, at) => {
    const name = nameOf(item)
    if (name === undefined || name === '') return []
    if (seen.has(name)) return [duplicate(fieldOf(at), name)]
    seen.add(name)
    return []
  })
}
