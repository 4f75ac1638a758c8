/** Bytes of a request as a JSON value. */
import { parseDocument } from 'yaml'
import { hasCode, messageOf } from '../../runtime/base/errors.ts'
import { decodeProtobuf } from '../api/protobuf/decode.ts'
import { badRequest, unsupportedMediaType } from '../api/status.ts'
import type { BodyType } from './body.ts'
import { headerOf, type Incoming } from './incoming.ts'
import { protobufType } from './negotiate.ts'

const accepted = ['application/json', 'application/yaml', protobufType]

/** The media type of the body, without its parameters. JSON when the client does not say. */
export function contentTypeOf(incoming: Pick<Incoming, 'headers'>): string {
  const [type = ''] = (headerOf(incoming, 'content-type') ?? '').split(';')
  return type.trim().toLowerCase() || 'application/json'
}

/** The body, which is to be of `type`, as JSON value; undefined when there is none. Throws UNSUPPORTED_MEDIA_TYPE, BAD_REQUEST. */
export function readBody(incoming: Pick<Incoming, 'headers' | 'body'>, { definition }: BodyType): unknown {
  if (incoming.body.length === 0) return undefined
  const type = contentTypeOf(incoming)
  if (type === 'application/json') return parseJson(incoming.body)
  if (type === 'application/yaml') return parseYaml(incoming.body)
  if (type === protobufType) return parseProtobuf(incoming.body, definition)
  throw unsupportedMediaType(accepted)
}

/** Throws BAD_REQUEST. */
export function parseJson(body: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(body))
  } catch (error) {
    throw badRequest(`couldn't read the body as JSON: ${messageOf(error)}`)
  }
}

function parseProtobuf(body: Uint8Array, definition: string): unknown {
  try {
    return decodeProtobuf(body, definition)
  } catch (error) {
    if (hasCode(error, 'DECODE')) throw badRequest(messageOf(error))
    throw error
  }
}

/** Throws BAD_REQUEST. Aliases are counted, so that a small body cannot become a huge object. */
export function parseYaml(body: Uint8Array): unknown {
  try {
    const document = parseDocument(new TextDecoder().decode(body), { schema: 'core', uniqueKeys: true })
    const [error] = document.errors
    if (error) throw error
    return document.toJS({ maxAliasCount: 100 })
  } catch (error) {
    throw badRequest(`error converting YAML to JSON: ${messageOf(error)}`)
  }
}
