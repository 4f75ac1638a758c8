/**
 * Parses once at the edge: untyped JSON in, an object of a known definition out. Unknown fields are dropped and
 * reported, wrong types throw, nulls disappear, quantities and times get their canonical text.
 * The words are those of Go's JSON decoder, which clients show to people.
 *
 * Each definition becomes a function when it is needed for the first time: this runs for every byte that is written.
 */
import { type DecodeValue, decoderOfNamedScalar, decoderOfScalar, isRecord, wrongType } from './decode-scalar.ts'
import type { Place } from './place.ts'
import { strictPath } from './place.ts'
import { type Definition, definitionOf, fieldOf, type TypeName } from './schema.ts'

export interface Decoded {
  value: Record<string, unknown>
  /** As `unknown field "spec.containers[0].foo"`, in order of appearance. */
  unknownFields: string[]
}

/** `value` as an object of `definitionName`. Throws DECODE when a value has the wrong type. */
export function decodeObject(definitionName: string, value: unknown): Decoded {
  const unknownFields: string[] = []
  const whole = { above: undefined, key: '', isField: false, definition: definitionName, unknownFields }
  const decoded = decoderOf(definitionName)(value, whole, '')
  return { value: decoded as Record<string, unknown>, unknownFields }
}

const decoders = new Map<TypeName, DecodeValue>()

function decoderOf(type: TypeName): DecodeValue {
  const known = decoders.get(type)
  if (known) return known
  const made = makeDecoder(type)
  decoders.set(type, made)
  return made
}

function makeDecoder(type: TypeName): DecodeValue {
  if (type.startsWith('[]')) return listDecoder(type)
  if (type.startsWith('{}')) return mapDecoder(type)
  if (!type.startsWith('io.')) return decoderOfScalar(type)
  const definition = definitionOf(type)
  if (definition.scalar) return decoderOfNamedScalar(type, definition.scalar)
  return definition.fields ? structDecoder(type, definition) : anyObjectDecoder(type)
}

/** The place of what is within the value of `key`. */
function within(owner: Place, key: string | number, isField: boolean): Place {
  return { above: owner, key, isField, definition: owner.definition, unknownFields: owner.unknownFields }
}

function listDecoder(type: TypeName): DecodeValue {
  const item = type.slice(2)
  let decodeItem: DecodeValue | undefined
  return (value, owner, key) => {
    if (!Array.isArray(value)) throw wrongType(type, value, within(owner, key, true))
    decodeItem ??= decoderOf(item)
    const place = within(owner, key, true)
    const out: unknown[] = new Array(value.length)
    for (let at = 0; at < value.length; at++) {
      const entry: unknown = value[at]
      out[at] = entry === null ? emptyOf(item) : decodeItem(entry, place, at)
    }
    return out
  }
}

function mapDecoder(type: TypeName): DecodeValue {
  const item = type.slice(2)
  let decodeItem: DecodeValue | undefined
  return (value, owner, key) => {
    const place = within(owner, key, true)
    if (!isRecord(value)) throw wrongType(type, value, place)
    decodeItem ??= decoderOf(item)
    const out: Record<string, unknown> = {}
    for (const [name, entry] of Object.entries(value)) {
      // A time that is not set has no other text than null.
      setOwn(out, name, entry === null ? (emptyOf(item) ?? null) : decodeItem(entry, place, name))
    }
    return out
  }
}

/** A key such as `__proto__` is data like any other. */
function setOwn(target: Record<string, unknown>, key: string, value: unknown): void {
  if (key === '__proto__')
    Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true })
  else target[key] = value
}

function anyObjectDecoder(type: TypeName): DecodeValue {
  return (value, owner, key) => {
    if (!isRecord(value)) throw wrongType(type, value, within(owner, key, true))
    return value
  }
}

interface FieldPlan {
  readonly decode: DecodeValue
  /** Go's `omitempty`: an empty list or map of an optional field is the same as none. */
  readonly leavesOutEmpty: 'list' | 'map' | undefined
}

function structDecoder(type: TypeName, definition: Definition): DecodeValue {
  let plan: ReadonlyMap<string, FieldPlan> | undefined
  const required = definition.required ?? []
  return (value, owner, key) => {
    if (!isRecord(value)) throw wrongType(type, value, within(owner, key, true))
    plan ??= planOf(definition)
    const isWhole = owner.above === undefined && key === ''
    const place = isWhole
      ? owner
      : { above: owner, key, isField: typeof key === 'string', definition: type, unknownFields: owner.unknownFields }
    const out: Record<string, unknown> = {}
    for (const name in value) {
      const entry = value[name]
      const field = plan.get(name)
      if (!field) noteUnknown(place, name)
      else if (entry !== null) {
        const decoded = field.decode(entry, place, name)
        if (!isLeftOut(field, decoded)) out[name] = decoded
      }
    }
    return required.length === 0 ? out : withRequired(definition, out)
  }
}

function planOf({ fields = {}, required = [] }: Definition): ReadonlyMap<string, FieldPlan> {
  const plan = new Map<string, FieldPlan>()
  for (const name of Object.keys(fields)) {
    const type = fieldOf({ fields }, name)?.type ?? 'string'
    const isOptional = !required.includes(name)
    const collection = type.startsWith('[]') ? 'list' : type.startsWith('{}') ? 'map' : undefined
    plan.set(name, { decode: decoderOf(type), leavesOutEmpty: isOptional ? collection : undefined })
  }
  return plan
}

function isLeftOut({ leavesOutEmpty }: FieldPlan, value: unknown): boolean {
  if (leavesOutEmpty === undefined) return false
  if (leavesOutEmpty === 'list') return (value as unknown[]).length === 0
  for (const _ in value as object) return false
  return true
}

function noteUnknown(place: Place, name: string): void {
  const path = strictPath({ ...place, above: place, key: name })
  place.unknownFields.push(`unknown field ${JSON.stringify(path)}`)
}

/** What a field has in Go when nobody set it. */
function emptyOf(type: TypeName): unknown {
  if (type.startsWith('[]')) return []
  if (type.startsWith('{}')) return {}
  if (!type.startsWith('io.')) return type.startsWith('string') ? '' : type === 'boolean' ? false : 0
  if (type.endsWith('.Quantity')) return '0'
  if (type.endsWith('.IntOrString')) return 0
  return definitionOf(type).scalar ? undefined : withRequired(definitionOf(type), {})
}

/** Required fields are there, if only empty: whoever reads the object need not ask, and validation says what is missing. */
function withRequired(definition: Definition, object: Record<string, unknown>): Record<string, unknown> {
  for (const name of definition.required ?? []) {
    if (object[name] !== undefined) continue
    const empty = emptyOf(fieldOf(definition, name)?.type ?? 'string')
    if (empty !== undefined) object[name] = empty
  }
  return object
}
