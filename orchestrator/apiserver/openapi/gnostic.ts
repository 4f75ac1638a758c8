/**
 * The OpenAPI 2.0 document as gnostic's protobuf message, which every kubectl asks for and old ones insist on.
 * Field numbers: github.com/google/gnostic-models openapiv2/OpenAPIv2.proto.
 */
import { setImmediate } from 'node:timers/promises'
import type { OpenApiSchema } from './definitions.ts'
import type { Document2, Operation2, Parameter2 } from './documents.ts'

/** Encoded fields of a message, in order. */
type Message = readonly Uint8Array[]

function varint(value: number): number[] {
  const bytes: number[] = []
  let rest = value
  for (; rest > 0x7f; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 0x80)
  return [...bytes, rest]
}

const lengthDelimited = 2

function delimited(field: number, content: Uint8Array): Uint8Array {
  return Buffer.concat([Uint8Array.from([...varint(field * 8 + lengthDelimited), ...varint(content.length)]), content])
}

const text = (field: number, value: string | undefined): Message =>
  value ? [delimited(field, Buffer.from(value))] : []
const texts = (field: number, values: readonly string[] | undefined): Message =>
  (values ?? []).flatMap((value) => text(field, value))
const message = (field: number, fields: Message): Message => [delimited(field, Buffer.concat(fields))]
const truth = (field: number, value: boolean | undefined): Message =>
  value ? [Uint8Array.from([...varint(field * 8), 1])] : []

/** `{ name = 1, value = 2 }`, as all of gnostic's maps. */
function entries<T>(field: number, map: Readonly<Record<string, T>>, encode: (value: T) => Message): Message {
  return Object.entries(map).flatMap(([name, value]) =>
    message(field, [...text(1, name), ...message(2, encode(value))]),
  )
}

/** NamedAny with its value as YAML; JSON is YAML. */
function extensions(field: number, source: object): Message {
  const found = Object.fromEntries(Object.entries(source).filter(([name]) => name.startsWith('x-')))
  return entries(field, found, (value) => text(2, JSON.stringify(value)))
}

/** The bytes of the document. It is long: others get their turn meanwhile. */
export async function encodeGnostic(document: Document2): Promise<Uint8Array> {
  return Buffer.concat([
    ...text(1, document.swagger),
    ...message(2, [...text(1, document.info.title), ...text(2, document.info.version)]),
    ...message(8, await manyEntries(2, document.paths, pathItem)),
    ...message(9, await manyEntries(1, document.definitions, schema)),
  ])
}

const atOnce = 32

async function manyEntries<T>(
  field: number,
  map: Readonly<Record<string, T>>,
  encode: (value: T) => Message,
): Promise<Message> {
  const encoded: Uint8Array[] = []
  for (const [at, [name, value]] of Object.entries(map).entries()) {
    if (at % atOnce === 0) await setImmediate()
    encoded.push(...entries(field, { [name]: value }, encode))
  }
  return encoded
}

const methodFields: Readonly<Record<string, number>> = { get: 2, put: 3, post: 4, delete: 5, patch: 8 }

function pathItem(methods: Readonly<Record<string, Operation2>>): Message {
  return Object.entries(methods).flatMap(([method, operation]) =>
    message(methodFields[method] ?? 0, operationFields(operation)),
  )
}

function operationFields(operation: Operation2): Message {
  return [
    ...text(5, operation.operationId),
    ...texts(6, operation.produces),
    ...texts(7, operation.consumes),
    ...operation.parameters.flatMap((each) => message(8, message(1, parameter(each)))),
    ...message(
      9,
      entries(1, operation.responses, ({ description, schema: body }) =>
        message(1, [...text(1, description), ...(body ? message(2, message(1, schema(body))) : [])]),
      ),
    ),
    ...extensions(13, operation),
  ]
}

function parameter({ name, in: place, required, type, schema: body }: Parameter2): Message {
  if (body) {
    return message(1, [...text(2, name), ...text(3, place), ...truth(4, required), ...message(5, schema(body))])
  }
  const fields = [...truth(1, required), ...text(2, place), ...text(4, name)]
  if (place === 'path') return message(2, message(4, [...fields, ...text(5, type)]))
  return message(2, message(3, [...fields, ...text(6, type)]))
}

function schema(source: OpenApiSchema): Message {
  return [
    ...text(1, source.$ref),
    ...text(2, source.format),
    ...text(4, source.description),
    ...texts(19, source.required),
    ...(source.additionalProperties ? message(21, message(1, schema(source.additionalProperties))) : []),
    ...(source.type ? message(22, text(1, source.type)) : []),
    ...(source.items ? message(23, message(1, schema(source.items))) : []),
    ...(source.properties ? message(25, entries(1, source.properties, schema)) : []),
    ...extensions(31, source),
  ]
}
