/**
 * Parses once at the edge: untyped JSON in, an object of a known definition out. Unknown fields are dropped and
 * reported, wrong types throw, nulls disappear, quantities and times get their canonical text.
 * The words are those of Go's JSON decoder, which clients show to people.
 */
import { refusal } from '../errors.ts'
import { formatQuantity, parseQuantity } from '../quantity.ts'
import { type Definition, definitionOf, type FieldFacts, fieldOf, goTypeName, type TypeName } from './schema.ts'

export interface Decoded {
  value: Record<string, unknown>
  /** As `unknown field "spec.containers[0].foo"`, in order of appearance. */
  unknownFields: string[]
}

/** Where the walk is: `path` with list indexes for strict errors, `goPath` without, `definition` the enclosing type; and what it found. */
interface Place {
  path: string
  goPath: string
  definition: string
  unknownFields: string[]
}

/** `value` as an object of `definitionName`. Throws DECODE when a value has the wrong type. */
export function decodeObject(definitionName: string, value: unknown): Decoded {
  const unknownFields: string[] = []
  const place = { path: '', goPath: '', definition: definitionName, unknownFields }
  const decoded = decodeDefinition(definitionName, value, place)
  return { value: decoded as Record<string, unknown>, unknownFields }
}

const malformed = (message: string) => refusal('DECODE', message)

function jsonTypeOf(value: unknown): string {
  if (Array.isArray(value)) return 'array'
  if (typeof value === 'boolean') return 'bool'
  return typeof value
}

function wrongType(type: TypeName, value: unknown, place: Place): Error {
  const isInexact = typeof value === 'number' && type.startsWith('integer')
  const what = isInexact ? `number ${value}` : jsonTypeOf(value)
  const struct = goTypeName(place.definition).split('.').at(-1)
  const where = place.goPath === '' ? 'value' : `struct field ${struct}.${place.goPath}`
  return malformed(`json: cannot unmarshal ${what} into Go ${where} of type ${goTypeName(type)}`)
}

function decodeType(type: TypeName, value: unknown, place: Place): unknown {
  if (type.startsWith('[]')) return decodeList(type, value, place)
  if (type.startsWith('{}')) return decodeMap(type, value, place)
  if (type.startsWith('io.')) return decodeDefinition(type, value, place)
  return decodeScalar(type, value, place)
}

function decodeList(type: TypeName, value: unknown, place: Place): unknown[] {
  if (!Array.isArray(value)) throw wrongType(type, value, place)
  const item = type.slice(2)
  return value.map((entry, at) => {
    if (entry === null) return emptyOf(item)
    return decodeType(item, entry, { ...place, path: `${place.path}[${at}]` })
  })
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

function decodeMap(type: TypeName, value: unknown, place: Place): Record<string, unknown> {
  if (!isRecord(value)) throw wrongType(type, value, place)
  const item = type.slice(2)
  const out: Record<string, unknown> = {}
  for (const [key, entry] of Object.entries(value)) {
    const inner = { ...place, path: `${place.path}.${key}` }
    // A time that is not set has no other text than null.
    setOwn(out, key, entry === null ? (emptyOf(item) ?? null) : decodeType(item, entry, inner))
  }
  return out
}

/** A key such as `__proto__` is data like any other. */
function setOwn(target: Record<string, unknown>, key: string, value: unknown): void {
  if (key === '__proto__')
    Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true })
  else target[key] = value
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function decodeDefinition(name: string, value: unknown, place: Place): unknown {
  const definition = definitionOf(name)
  if (definition.scalar) return decodeNamedScalar(name, definition.scalar, { value, place })
  if (!isRecord(value)) throw wrongType(name, value, place)
  if (!definition.fields) return value
  return decodeFields({ name, definition }, value, place)
}

function decodeFields(
  type: { name: string; definition: Definition },
  value: Record<string, unknown>,
  place: Place,
): Record<string, unknown> {
  const out: Record<string, unknown> = {}
  for (const [key, entry] of Object.entries(value)) {
    const path = place.path === '' ? key : `${place.path}.${key}`
    const field = fieldOf(type.definition, key)
    if (!field) place.unknownFields.push(`unknown field ${JSON.stringify(path)}`)
    else if (entry !== null) {
      const goPath = place.goPath === '' ? key : `${place.goPath}.${key}`
      const decoded = decodeType(field.type, entry, {
        path,
        goPath,
        definition: type.name,
        unknownFields: place.unknownFields,
      })
      if (!isLeftOut(field, decoded, type.definition.required?.includes(key) ?? false)) out[key] = decoded
    }
  }
  return withRequired(type.definition, out)
}

/** Go's `omitempty`: an empty list or map of an optional field is the same as none. */
function isLeftOut(field: FieldFacts, value: unknown, required: boolean): boolean {
  if (required) return false
  if (field.type.startsWith('[]')) return (value as unknown[]).length === 0
  return field.type.startsWith('{}') && Object.keys(value as object).length === 0
}

function decodeNamedScalar(name: string, scalar: TypeName, given: { value: unknown; place: Place }): unknown {
  const { value, place } = given
  switch (name.split('.').at(-1)) {
    case 'Quantity':
      if (typeof value !== 'string' && typeof value !== 'number') return formatQuantity(parseQuantity('not a number'))
      return formatQuantity(parseQuantity(value))
    case 'IntOrString':
      if (typeof value === 'string') return value
      return decodeScalar('integer:int32', value, place)
    case 'Time':
      return decodeTime(decodeScalar('string', value, place) as string, 0)
    case 'MicroTime':
      return decodeTime(decodeScalar('string', value, place) as string, 6)
    default:
      return decodeScalar(scalar, value, place)
  }
}

const rfc3339 = /^(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})(\.\d+)?(Z|[+-]\d{2}:\d{2})$/

function decodeTime(text: string, fractionDigits: 0 | 6): string {
  const match = rfc3339.exec(text)
  const milliseconds = match ? Date.parse(`${match[1]}${match[3]}`) : Number.NaN
  if (!match || Number.isNaN(milliseconds)) {
    const layout = fractionDigits === 6 ? '2006-01-02T15:04:05.000000Z07:00' : '2006-01-02T15:04:05Z07:00'
    throw malformed(
      `parsing time ${JSON.stringify(text)} as "${layout}": cannot parse ${JSON.stringify(text)} as "2006"`,
    )
  }
  const seconds = new Date(milliseconds).toISOString().slice(0, 19)
  if (fractionDigits === 0) return `${seconds}Z`
  return `${seconds}.${(match[2] ?? '.').slice(1, 7).padEnd(6, '0')}Z`
}

const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/

function decodeScalar(type: TypeName, value: unknown, place: Place): unknown {
  const [base, format] = type.split(':')
  switch (base) {
    case 'string':
      if (typeof value !== 'string') throw wrongType(type, value, place)
      if (format === 'byte') return decodeBytes(value)
      return value
    case 'boolean':
      if (typeof value !== 'boolean') throw wrongType(type, value, place)
      return value
    case 'integer':
      if (typeof value !== 'number') throw wrongType(type, value, place)
      if (!Number.isInteger(value) || (format === 'int32' && (value | 0) !== value)) throw wrongType(type, value, place)
      return value
    case 'number':
      if (typeof value !== 'number') throw wrongType(type, value, place)
      return value
    default:
      return value
  }
}

function decodeBytes(text: string): string {
  const clean = text.replace(/[\r\n]/g, '')
  if (base64.test(clean)) return clean
  const at = clean.search(/[^A-Za-z0-9+/]/)
  throw malformed(`illegal base64 data at input byte ${at < 0 ? clean.length : at}`)
}
