/**
 * Kubernetes' protobuf, written: the same bytes as the generated Go code writes. Of a message every field that is no
 * pointer is written, set or not; fields are in order of their numbers, entries of maps in order of their keys.
 * Source: k8s.io/apimachinery/pkg/runtime/serializer/protobuf, and the tags of the type files for the numbers.
 */
import type { FieldSet } from '../apply/field-set.ts'
import { textOfKnown } from '../apply/known-sets.ts'
import { fieldOf, schema, type TypeName } from '../schema/schema.ts'
import { nanosecondsOf } from './duration.ts'
import { magic, messages } from './field-numbers.ts'
import { BackwardWriter, headOf } from './writer.ts'

type Json = Record<string, unknown>
/** What an envelope says of its content. */
type ObjectType = { apiVersion?: string; kind?: string }

const listMeta = 'io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta'

type Encode = (writer: BackwardWriter, value: unknown) => void

/** An object of `definition` in an envelope that names its type. Throws when the definition has no field numbers: a mistake of ours. */
export function encodeProtobuf(definition: string, object: ObjectType): Uint8Array {
  const writer = new BackwardWriter()
  writeEnvelope(writer, object, () => messageEncoder(definition)(writer, object))
  writer.bytes(magic)
  return writer.result()
}

/** The message alone, in memory of its own: for who keeps it. */
export function encodeMessage(definition: string, object: object): Uint8Array {
  const writer = new BackwardWriter()
  messageEncoder(definition)(writer, object)
  return new Uint8Array(writer.result())
}

/** A message that is there already in an envelope that names its type. */
export function inEnvelope(type: ObjectType, message: Uint8Array): Uint8Array {
  const writer = new BackwardWriter(message.length + 200)
  writeEnvelope(writer, type, () => writer.bytes(message))
  writer.bytes(magic)
  return writer.result()
}

/** A list of objects of `definition` whose messages are there already: in its envelope, one part after the other. */
export function encodeList(
  definition: string,
  list: ObjectType & { metadata: object },
  messagesOfItems: readonly Uint8Array[],
): Uint8Array[] {
  const { metadata: metadataField = 1, items: itemsField = 2 } = messages[`${definition}List`]?.fields ?? {}
  const metadata = new BackwardWriter()
  metadata.nested(metadataField, () => messageEncoder(listMeta)(metadata, list.metadata))
  const parts = [metadata.result()]
  let length = metadata.result().length
  for (const message of messagesOfItems) {
    const head = headOf(itemsField, message.length)
    parts.push(head, message)
    length += head.length + message.length
  }
  const [before, after] = envelopeAround(list, length)
  return [before, ...parts, after]
}

/** A message whose content is already there, such as a watch event's, in an envelope of its own. */
export function writeEnvelope(writer: BackwardWriter, type: ObjectType, writeRaw: () => void): void {
  writeAfterRaw(writer)
  writer.nested(2, writeRaw)
  writeType(writer, type)
}

/** What stands before and after a content of `length` bytes. */
function envelopeAround(type: ObjectType, length: number): [before: Uint8Array, after: Uint8Array] {
  const [before, after] = [new BackwardWriter(), new BackwardWriter()]
  before.head(2, length)
  writeType(before, type)
  before.bytes(magic)
  writeAfterRaw(after)
  return [before.result(), after.result()]
}

function writeType(writer: BackwardWriter, { apiVersion = '', kind = '' }: ObjectType): void {
  writer.nested(1, () => {
    writer.text(2, kind)
    writer.text(1, apiVersion)
  })
}

/** Encoding and type of the content: neither is said. */
function writeAfterRaw(writer: BackwardWriter): void {
  writer.text(4, '')
  writer.text(3, '')
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
    for (const key of sorted(Object.keys(map)).reverse()) {
      writer.nested(number, () => {
        encode(writer, 2, map[key])
        writer.text(1, key)
      })
    }
  }
}

/** Go sorts strings by their bytes: without surrogates, that is by their units. */
function sorted(keys: string[]): string[] {
  keys.sort()
  if (keys.some((key) => /[\ud800-\udfff]/.test(key))) keys.sort(byBytes)
  return keys
}

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
  if (value === undefined || value === null) return
  writer.text(1, textOfKnown(value as FieldSet) ?? JSON.stringify(value))
}
