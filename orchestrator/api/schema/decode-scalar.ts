/** Single values: texts, numbers, quantities, times. */
import { refusal } from '../errors.ts'
import { formatQuantity, parseQuantity } from '../quantity.ts'
import { goPath, type Place } from './place.ts'
import { goTypeName, type TypeName } from './schema.ts'

/** Decodes the value at `key` of what is at `owner`. */
export type DecodeValue = (value: unknown, owner: Place, key: string | number) => unknown

const malformed = (message: string) => refusal('DECODE', message)

/** True for an object that is no list. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** What a JSON value is, by the name that Go has for it. */
export function jsonTypeOf(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'array'
  if (typeof value === 'boolean') return 'bool'
  return typeof value
}

/** The value at `place` is not of `type`. Its facts name both types: `wantedType` as in Go, `foundType` as in JSON. */
export function wrongType(type: TypeName, value: unknown, place: Place): Error {
  const isInexact = typeof value === 'number' && type.startsWith('integer')
  const what = isInexact ? `number ${value}` : jsonTypeOf(value)
  const struct = goTypeName(place.definition).split('.').at(-1)
  const path = goPath(place)
  const where = path === '' ? 'value' : `struct field ${struct}.${path}`
  const wantedType = goTypeName(type)
  const foundType = Number.isInteger(value) ? 'integer' : jsonTypeOf(value)
  return refusal('DECODE', `json: cannot unmarshal ${what} into Go ${where} of type ${wantedType}`, {
    wantedType,
    foundType,
  })
}

function wrongScalar(type: TypeName, value: unknown, [owner, key]: readonly [Place, string | number]): Error {
  const { definition, unknownFields } = owner
  // An entry of a map has no name of its own in Go's path.
  const isField = typeof key === 'string' && isStruct(owner)
  return wrongType(type, value, { above: owner, key, isField, definition, unknownFields })
}

/** A struct's place has the struct's own definition; lists and maps have that of what they are in. */
function isStruct({ above, definition }: Place): boolean {
  return above === undefined || above.definition !== definition
}

/** The decoder of `string`, `integer:int32` and so on. */
export function decoderOfScalar(type: TypeName): DecodeValue {
  const [base, format] = type.split(':')
  switch (base) {
    case 'string':
      return format === 'byte' ? bytesDecoder(type) : checkedDecoder(type, (value) => typeof value === 'string')
    case 'boolean':
      return checkedDecoder(type, (value) => typeof value === 'boolean')
    case 'number':
      return checkedDecoder(type, (value) => typeof value === 'number')
    case 'integer':
      return integerDecoder(type, format === 'int32')
    default:
      return (value) => value
  }
}

function checkedDecoder(type: TypeName, isRight: (value: unknown) => boolean): DecodeValue {
  return (value, owner, key) => {
    if (isRight(value)) return value
    throw wrongScalar(type, value, [owner, key])
  }
}

function integerDecoder(type: TypeName, isShort: boolean): DecodeValue {
  return (value, owner, key) => {
    if (typeof value === 'number' && Number.isInteger(value) && (!isShort || (value | 0) === value)) return value
    throw wrongScalar(type, value, [owner, key])
  }
}

const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/

function bytesDecoder(type: TypeName): DecodeValue {
  return (value, owner, key) => {
    if (typeof value !== 'string') throw wrongScalar(type, value, [owner, key])
    const clean = value.replace(/[\r\n]/g, '')
    if (base64.test(clean)) return clean
    const at = clean.search(/[^A-Za-z0-9+/]/)
    throw malformed(`illegal base64 data at input byte ${at < 0 ? clean.length : at}`)
  }
}

/** The decoder of a definition that is, in JSON, one value. */
export function decoderOfNamedScalar(name: string, scalar: TypeName): DecodeValue {
  const decodePlain = decoderOfScalar(scalar)
  const decodeText = decoderOfScalar('string')
  const decodeNumber = decoderOfScalar('integer:int32')
  switch (name.split('.').at(-1)) {
    case 'Quantity':
      return (value) => canonicalQuantity(value)
    case 'IntOrString':
      return (value, owner, key) => (typeof value === 'string' ? value : decodeNumber(value, owner, key))
    case 'Time':
      return (value, owner, key) => canonicalTime(decodeText(value, owner, key) as string, 0)
    case 'MicroTime':
      return (value, owner, key) => canonicalTime(decodeText(value, owner, key) as string, 6)
    default:
      return decodePlain
  }
}

/** The same few quantities come again and again. */
const quantities = new Map<string, string>()
const mostQuantities = 10_000

function canonicalQuantity(value: unknown): string {
  if (typeof value !== 'string' && typeof value !== 'number') return formatQuantity(parseQuantity('not a number'))
  const text = String(value)
  const known = quantities.get(text)
  if (known !== undefined) return known
  const canonical = formatQuantity(parseQuantity(value))
  if (quantities.size >= mostQuantities) quantities.clear()
  if (text.length <= 32) quantities.set(text, canonical)
  return canonical
}

const rfc3339 = /^(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})(\.\d+)?(Z|[+-]\d{2}:\d{2})$/

function canonicalTime(text: string, fractionDigits: 0 | 6): string {
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
