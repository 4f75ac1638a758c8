/**
 * Kubernetes' protobuf, written: the same bytes as the generated Go code writes. Of a message every field that is no
 * pointer is written, set or not; fields are in order of their numbers, entries of maps in order of their keys.
 * Source: k8s.io/apimachinery/pkg/runtime/serializer/protobuf, and the tags of the type files for the numbers.
 */
import { fieldOf, schema, type TypeName } from '../schema/schema.ts'
import { nanosecondsOf } from './duration.ts'
import { magic, messages } from './field-numbers.ts'
import { BackwardWriter } from './writer.ts'

type Json = Record<string, unknown>
type Encode = (writer: BackwardWriter, value: unknown) => void

/** An object of `definition` in an envelope that names its type. Throws when the definition has no field numbers: a mistake of ours. */
export function encodeProtobuf(definition: string, object: { apiVersion?: string; kind?: string }): Uint8Array {
  const writer = new BackwardWriter()
  writeEnvelope(writer, object, () => messageEncoder(definition)(writer, object))
  writer.bytes(magic)
  return writer.result()
}

/** A message whose content is already there, such as a watch event's, in an envelope of its own. */
export function writeEnvelope(
  writer: BackwardWriter,
  { apiVersion = '', kind = '' }: { apiVersion?: string; kind?: string },
  writeRaw: () => void,
): void {
  writer.text(4, '')
  writer.text(3, '')
  writer.nested(2, writeRaw)
  writer.nested(1, () => {
    writer.text(2, kind)
    writer.text(1, apiVersion)
  })
}

/** `ADDED` and so on with an object that is in an envelope already: metav1.WatchEvent as a message of its own. */
export function encodeWatchEvent(type: string, object: Uint8Array): Uint8Array {
  const writer = new BackwardWriter()
  writer.nested(2, () => writer.nested(1, () => writer.bytes(object)))
  writer.text(1, type)
  return writer.result()
}

interface FieldPlan {
  readonly number: number
  /** Undefined for an embedded message: its fields are, in JSON, those of its owner. */
  readonly name?: string
  readonly encode: (writer: BackwardWriter, number: number, value: unknown) => void
}

const encoders = new Map<string, Encode>()

/** What writes the fields of a message, without an envelope. */
export function messageEncoder(definition: string, message = definition): Encode {
  const key = `${definition} ${message}`
  const known = encoders.get(key)
  if (known) return known
  let plan: readonly FieldPlan[] | undefined
  const encode: Encode = (writer, value) => {
    plan ??= planOf(definition, message)
    const object = (value ?? {}) as Json
    for (let at = plan.length - 1; at >= 0; at--) {
      const { number, name, encode: encodeField } = plan[at] as FieldPlan
      encodeField(writer, number, name === undefined ? object : object[name])
    }
  }
  encoders.set(key, encode)
  return encode
}

function planOf(definition: string, message: string): FieldPlan[] {
  const facts = messages[message]
  if (!facts) throw new Error(`write protobuf: ${message} has no field numbers`)
  const prefix = message.slice(0, message.lastIndexOf('.') + 1)
  const embedded = Object.entries(facts.inline ?? {}).map(([type, number]): FieldPlan => {
    const inner = messageEncoder(definition, prefix + type)
    return { number, encode: (writer, at, value) => writer.nested(at, () => inner(writer, value)) }
  })
  const fields = Object.entries(facts.fields).flatMap(([name, number]): FieldPlan[] => {
    const type = fieldOf(schema[definition] ?? {}, name)?.type
    if (type === undefined) return []
    return [{ number, name, encode: fieldEncoder(type, facts.pointers?.includes(name) ?? false) }]
  })
  return [...embedded, ...fields].sort((left, right) => left.number - right.number)
}

function fieldEncoder(type: TypeName, isPointer: boolean): FieldPlan['encode'] {
  if (type.startsWith('[]')) return listEncoder(type.slice(2))
  if (type.startsWith('{}')) return mapEncoder(type.slice(2))
  const encode = valueEncoder(type)
  const mayBeAbsent = isPointer || type === 'string:byte'
  return (writer, number, value) => {
    if (mayBeAbsent && (value === undefined || value === null)) return
    encode(writer, number, value)
  }
}

function listEncoder(type: TypeName): FieldPlan['encode'] {
  const encode = valueEncoder(type)
  return (writer, number, value) => {
    const list = (value ?? []) as unknown[]
    for (let at = list.length - 1; at >= 0; at--) encode(writer, number, list[at])
  }
}

function mapEncoder(type: TypeName): FieldPlan['encode'] {
  const encode = valueEncoder(type)
  return (writer, number, value) => {
    const map = (value ?? {}) as Json
    for (const key of Object.keys(map).sort(byBytes).reverse()) {
      writer.nested(number, () => {
        encode(writer, 2, map[key])
        writer.text(1, key)
      })
    }
  }
}

/** Go sorts strings by their bytes. */
const byBytes = (left: string, right: string) => Buffer.compare(Buffer.from(left), Buffer.from(right))

/** Writes one value, set or not, as field `number`. */
function valueEncoder(type: TypeName): FieldPlan['encode'] {
  if (type.startsWith('io.')) return namedEncoder(type)
  // A list within a map: Go has a named type for it (ExtraValue), which is a message.
  if (type.startsWith('[]')) {
    const list = listEncoder(type.slice(2))
    return (writer, number, value) => writer.nested(number, () => list(writer, 1, value))
  }
  switch (type) {
    case 'string':
      return (writer, number, value) => writer.text(number, (value ?? '') as string)
    case 'string:byte':
      return (writer, number, value) => writer.blob(number, Buffer.from((value ?? '') as string, 'base64'))
    case 'boolean':
      return (writer, number, value) => writer.varint(number, value ? 1 : 0)
    case 'number:double':
      return (writer, number, value) => writer.double(number, (value ?? 0) as number)
    default:
      return (writer, number, value) => writer.varint(number, (value ?? 0) as number)
  }
}

function namedEncoder(type: TypeName): FieldPlan['encode'] {
  const encode = scalarMessages[type.split('.').at(-1) ?? ''] ?? messageEncoder(type)
  return (writer, number, value) => writer.nested(number, () => encode(writer, value))
}

/** Messages that are, in JSON, one value. */
const scalarMessages: Readonly<Record<string, Encode>> = {
  Quantity: (writer, value) => writer.text(1, (value ?? '0') as string),
  IntOrString(writer, value) {
    const isText = typeof value === 'string'
    writer.text(3, isText ? value : '')
    writer.varint(2, isText ? 0 : ((value ?? 0) as number))
    writer.varint(1, isText ? 1 : 0)
  },
  Time: writeTime,
  MicroTime: writeTime,
  Duration: (writer, value) => writer.varint(1, nanosecondsOf((value ?? '0s') as string)),
  FieldsV1: writeRawJson,
  RawExtension: writeRawJson,
}

/** A time that is not set is an empty message. */
function writeTime(writer: BackwardWriter, value: unknown): void {
  if (typeof value !== 'string') return
  const fraction = /\.(\d+)/.exec(value)?.[1] ?? ''
  writer.varint(2, Number(fraction.slice(0, 9).padEnd(9, '0')))
  writer.varint(1, Math.floor(Date.parse(value) / 1000))
}

function writeRawJson(writer: BackwardWriter, value: unknown): void {
  if (value !== undefined && value !== null) writer.blob(1, Buffer.from(JSON.stringify(value)))
}
