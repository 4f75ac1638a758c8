import { specInvalid } from './errors.ts'
import { specText } from './exact-json.ts'

/** What a value of config.json must look like, as data. Every list and text has an end. */
export type Shape =
  | { readonly kind: 'text'; readonly most: number; readonly least: number; readonly oneOf?: readonly string[] }
  | { readonly kind: 'number'; readonly least: number; readonly most: number }
  | { readonly kind: 'flag' }
  | { readonly kind: 'list'; readonly of: Shape; readonly most: number }
  | { readonly kind: 'map'; readonly of: Shape; readonly most: number; readonly keys?: readonly string[] }
  | { readonly kind: 'object'; readonly fields: Readonly<Record<string, Shape>>; readonly required: readonly string[] }
  | { readonly kind: 'anything' }

/** A text of at most `most` bytes, without NUL. */
export const text = (most = 4096, least = 0): Shape => ({ kind: 'text', most, least })
/** One of these words. */
export const word = (...oneOf: readonly string[]): Shape => ({ kind: 'text', most: 64, least: 0, oneOf })
/** An integer. */
export const integer = (least: number, most: number): Shape => ({ kind: 'number', least, most })
export const flag: Shape = { kind: 'flag' }
export const anything: Shape = { kind: 'anything' }
export const list = (of: Shape, most = 1000): Shape => ({ kind: 'list', of, most })
/** Any names, or only `keys`, each with a value of the same shape. */
export const map = (of: Shape, keys?: readonly string[]): Shape => ({
  kind: 'map',
  of,
  most: 10_000,
  ...(keys ? { keys } : {}),
})
/** Fields by name; one that ends with `!` must be there. What is not named is ignored, as the spec demands. */
export const object = (fields: Readonly<Record<string, Shape>>): Shape => ({
  kind: 'object',
  fields: Object.fromEntries(Object.entries(fields).map(([name, shape]) => [name.replace('!', ''), shape])),
  required: Object.keys(fields)
    .filter((name) => name.endsWith('!'))
    .map((name) => name.slice(0, -1)),
})

/** Where we are in config.json; only an error puts it into words, for that takes more time than all the rest. */
type Place = (string | number)[]

/**
 * `value` without its nulls, which stand for absent fields; the same object when there are none. `name` is what it is called in
 * messages. Throws SPEC_INVALID, naming the field, for the first that has not its shape.
 */
export function shaped(name: string, value: unknown, shape: Shape): unknown {
  return shapedAt(name === '' ? [] : [name], value, shape)
}

function shapedAt(place: Place, value: unknown, shape: Shape): unknown {
  switch (shape.kind) {
    case 'anything':
      return value
    case 'flag':
      if (typeof value !== 'boolean') throw wrong(place, value, 'true or false')
      return value
    case 'number':
      // A bigint is what a double could not hold: see exact-json.ts.
      if (typeof value !== 'bigint' && !Number.isInteger(value)) throw wrong(place, value, 'an integer')
      if (Number(value) < shape.least || Number(value) > shape.most) {
        throw wrong(place, value, `within ${shape.least} and ${shape.most}`)
      }
      return value
    case 'text':
      return shapedText(place, value, shape)
    case 'list':
      return shapedList(place, value, shape)
    default:
      return shapedObject(place, value, shape)
  }
}

function shapedText(place: Place, value: unknown, shape: Shape & { kind: 'text' }): string {
  if (typeof value !== 'string') throw wrong(place, value, 'a text')
  if (value.includes('\0')) throw specInvalid(inWords(place), `${brief(value)} has a NUL in it`)
  if (value.length < shape.least) throw specInvalid(inWords(place), 'is empty')
  // No character has more than three bytes for each of its units.
  if (value.length * 3 > shape.most && Buffer.byteLength(value) > shape.most) {
    throw specInvalid(inWords(place), `is longer than ${shape.most} bytes`)
  }
  if (shape.oneOf && !shape.oneOf.includes(value)) throw wrong(place, value, `one of ${shape.oneOf.join(', ')}`)
  return value
}

function shapedList(place: Place, value: unknown, { of, most }: Shape & { kind: 'list' }): unknown {
  if (!Array.isArray(value)) throw wrong(place, value, 'a list')
  if (value.length > most) throw specInvalid(inWords(place), `has ${value.length} entries, more than ${most}`)
  let changed: unknown[] | undefined
  for (let at = 0; at < value.length; at++) {
    const before: unknown = value[at]
    place.push(at)
    const after = shapedAt(place, before, of)
    place.pop()
    if (after === before) continue
    changed ??= [...value]
    changed[at] = after
  }
  return changed ?? value
}

function shapedObject(place: Place, value: unknown, shape: Shape & { kind: 'object' | 'map' }): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrong(place, value, 'an object')
  const before = value as Record<string, unknown>
  const names = Object.keys(before)
  if (shape.kind === 'map') checkNames(place, names, shape)
  else {
    const missing = shape.required.find((name) => !Object.hasOwn(before, name) || before[name] == null)
    if (missing !== undefined) throw specInvalid(inWords([...place, missing]), 'is missing')
  }
  let changed: Map<string, unknown> | undefined
  for (const name of names) {
    const inner = before[name]
    // Not `fields[name]` alone: config.json may well have a field called `constructor`.
    const of = shape.kind === 'map' ? shape.of : Object.hasOwn(shape.fields, name) ? shape.fields[name] : undefined
    place.push(name)
    const after = of && inner != null ? shapedAt(place, inner, of) : inner
    place.pop()
    if (after === inner && inner != null) continue
    changed ??= new Map(Object.entries(before))
    if (inner == null) changed.delete(name)
    else changed.set(name, after)
  }
  return changed ? Object.fromEntries(changed) : value
}

function checkNames(place: Place, names: readonly string[], { most, keys }: Shape & { kind: 'map' }): void {
  if (names.length > most) throw specInvalid(inWords(place), `has ${names.length} entries, more than ${most}`)
  const strange = keys && names.find((name) => !keys.includes(name))
  if (strange !== undefined) throw specInvalid(inWords([...place, strange]), `is none of ${keys?.join(', ')}`)
}

function wrong(place: Place, value: unknown, right: string) {
  return specInvalid(inWords(place), `${brief(value)} is not ${right}`)
}

/** `linux.devices[3].path` */
function inWords(place: Place): string {
  return place.map((step, at) => (typeof step === 'number' ? `[${step}]` : at === 0 ? step : `.${step}`)).join('')
}

/** A value in few words, for a message. */
function brief(value: unknown): string {
  const shown = specText(value) ?? String(value)
  return shown.length > 80 ? `${shown.slice(0, 80)}…` : shown
}
