/**
 * Kubernetes' protobuf, read: what typed clients send. The result is JSON as such a client would have sent it.
 * Source: k8s.io/apimachinery/pkg/runtime/serializer/protobuf, and the tags of the type files for the numbers.
 */
import { refusal } from '../errors.ts'
import { definitionOf, fieldOf, schema, type TypeName } from '../schema/schema.ts'
import { durationText } from './duration.ts'
import { magic, messages } from './field-numbers.ts'
import { type Field, fieldsOf, signed, textOf } from './wire.ts'

type Json = Record<string, unknown>

const malformed = (message: string) => refusal('DECODE', message)

/** The object of `definition` in an envelope, with the type that the envelope names. Throws DECODE. */
export function decodeProtobuf(body: Uint8Array, definition: string): Json {
  if (body.length < magic.length || !magic.equals(body.subarray(0, magic.length))) {
    throw malformed('provided data does not appear to be a protobuf message')
  }
  const envelope = fieldsOf(body.subarray(magic.length))
  const bytesOf = (number: number) => envelope.findLast((field) => field.number === number)?.bytes ?? new Uint8Array()
  const typeMeta = fieldsOf(bytesOf(1))
  const textAt = (number: number) =>
    textOf(typeMeta.findLast((field) => field.number === number)?.bytes ?? new Uint8Array())
  const object: Json = { apiVersion: textAt(1), kind: textAt(2) }
  decodeInto(object, bytesOf(2), { definition, message: definition })
  return object
}

/** `message` differs from `definition` where a message is embedded: its fields are in JSON those of its owner. */
interface Target {
  readonly definition: string
  readonly message: string
}

interface Known {
  readonly byNumber: ReadonlyMap<number, string>
  readonly inline: ReadonlyMap<number, string>
  readonly pointers: ReadonlySet<string>
}

const knownMessages = new Map<string, Known>()

function knownOf(name: string): Known {
  const found = knownMessages.get(name)
  if (found) return found
  const facts = messages[name]
  if (!facts) throw malformed(`${name} is not known as protobuf`)
  const prefix = name.slice(0, name.lastIndexOf('.') + 1)
  const known: Known = {
    byNumber: new Map(Object.entries(facts.fields).map(([field, number]) => [number, field])),
    inline: new Map(Object.entries(facts.inline ?? {}).map(([type, number]) => [number, prefix + type])),
    pointers: new Set(facts.pointers),
  }
  knownMessages.set(name, known)
  return known
}

function decodeInto(out: Json, bytes: Uint8Array, target: Target): void {
  const known = knownOf(target.message)
  for (const field of fieldsOf(bytes)) {
    const inline = known.inline.get(field.number)
    const name = known.byNumber.get(field.number)
    if (inline) decodeInto(out, requireBytes(field), { definition: target.definition, message: inline })
    else if (name !== undefined) take(out, name, { field, target, isPointer: known.pointers.has(name) })
  }
}

function take(
  out: Json,
  name: string,
  { field, target, isPointer }: { field: Field; target: Target; isPointer: boolean },
): void {
  const type = fieldOf(definitionOf(target.definition), name)?.type
  if (type === undefined) return
  if (type.startsWith('[]')) {
    out[name] = [...((out[name] as unknown[] | undefined) ?? []), ...listItems(type.slice(2), field)]
  } else if (type.startsWith('{}')) {
    const map = (out[name] as Json | undefined) ?? {}
    addEntry(map, type.slice(2), field)
    out[name] = map
  } else {
    const value = decodeValue(type, field)
    // The encoder writes every field that is no pointer, set or not.
    if (isPointer || !isZero(value)) out[name] = value
  }
}

const isZero = (value: unknown) => value === '' || value === 0 || value === false || value === undefined

/** A list of numbers may be packed into one field. */
function listItems(type: TypeName, field: Field): unknown[] {
  const isPacked = type.startsWith('integer') && field.bytes !== undefined
  return isPacked ? field.packed().map(Number) : [decodeValue(type, field)]
}

function addEntry(map: Json, type: TypeName, field: Field): void {
  const entry = fieldsOf(requireBytes(field))
  const key = textOf(entry.find(({ number }) => number === 1)?.bytes ?? new Uint8Array())
  const value = entry.find(({ number }) => number === 2)
  const decoded = value ? (decodeValue(type, value) ?? null) : type.startsWith('string') ? '' : null
  Object.defineProperty(map, key, { value: decoded, enumerable: true, writable: true, configurable: true })
}

function requireBytes({ bytes, number }: Field): Uint8Array {
  if (!bytes) throw malformed(`proto: wrong wireType for field ${number}`)
  return bytes
}

function decodeValue(type: TypeName, field: Field): unknown {
  // A list within a map: Go has a named type for it (ExtraValue), which is a message.
  if (type.startsWith('[]')) return fieldsOf(requireBytes(field)).flatMap((item) => listItems(type.slice(2), item))
  if (type.startsWith('io.')) return decodeNamed(type, requireBytes(field))
  if (type === 'string') return textOf(requireBytes(field))
  if (type === 'string:byte') return Buffer.from(requireBytes(field)).toString('base64')
  if (field.varint === undefined) throw malformed(`proto: wrong wireType for field ${field.number}`)
  return type === 'boolean' ? field.varint !== 0n : Number(signed(field.varint))
}

function decodeNamed(type: TypeName, bytes: Uint8Array): unknown {
  const fields = () => fieldsOf(bytes)
  const numberAt = (number: number) => Number(signed(fields().find((field) => field.number === number)?.varint ?? 0n))
  const textAt = (number: number) =>
    textOf(fields().find((field) => field.number === number)?.bytes ?? new Uint8Array())
  switch (type.split('.').at(-1)) {
    case 'Quantity':
      return textAt(1) || '0'
    case 'IntOrString':
      return numberAt(1) === 1 ? textAt(3) : numberAt(2)
    case 'Time':
      return timeOf(numberAt(1), 0)
    case 'MicroTime':
      return timeOf(numberAt(1), numberAt(2))
    case 'Duration':
      return durationText(signed(fields().find((field) => field.number === 1)?.varint ?? 0n))
    case 'FieldsV1':
    case 'RawExtension':
      return parseRaw(textAt(1))
    default: {
      const out: Json = {}
      if (schema[type]?.fields) decodeInto(out, bytes, { definition: type, message: type })
      return out
    }
  }
}

/** A time that is not set is written as an empty message. */
function timeOf(seconds: number, nanoseconds: number): string | undefined {
  const milliseconds = seconds * 1000
  if (seconds === 0 && nanoseconds === 0) return undefined
  if (Math.abs(milliseconds) > 8.64e15) throw malformed(`the time ${seconds} is out of range`)
  const text = new Date(milliseconds).toISOString().slice(0, 19)
  return nanoseconds === 0 ? `${text}Z` : `${text}.${String(Math.trunc(nanoseconds / 1000)).padStart(6, '0')}Z`
}

function parseRaw(text: string): unknown {
  if (text === '') return {}
  try {
    return JSON.parse(text)
  } catch {
    throw malformed('a raw value is not JSON')
  }
}
