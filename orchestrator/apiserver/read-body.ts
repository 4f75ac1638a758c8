/** Bytes of a request as a JSON value. */
import { parseDocument } from 'yaml'
import { hasCode, messageOf } from '../../runtime/base/errors.ts'
import { decodeProtobuf } from '../api/protobuf/decode.ts'
import { badRequest, unsupportedMediaType } from '../api/status.ts'
import type { BodyType } from './body.ts'
import { headerOf, type Incoming } from './incoming.ts'
import { protobufType } from './negotiate.ts'

/** The media type of the body, without its parameters. JSON when the client does not say. */
export function contentTypeOf(incoming: Pick<Incoming, 'headers'>): string {
  const [type = ''] = (headerOf(incoming, 'content-type') ?? '').split(';')
  return type.trim().toLowerCase() || 'application/json'
}

/** The body, which is to be of `type`, as JSON value; undefined when there is none. Throws UNSUPPORTED_MEDIA_TYPE, BAD_REQUEST. */
export function readBody({ headers, body }: Pick<Incoming, 'headers' | 'body'>, type: BodyType): unknown {
  if (body.length === 0) return undefined
  const parse = parsers.get(contentTypeOf({ headers }))
  if (!parse) throw unsupportedMediaType([...parsers.keys()])
  try {
    return parse(body, type)
  } catch (error) {
    if (!hasCode(error, 'BAD_REQUEST')) throw error
    throw badRequest(
      `the object provided is unrecognized (must be of type ${type.kind}): ${messageOf(error)} (${summaryOf(body)})`,
    )
  }
}

const parsers: ReadonlyMap<string, (body: Uint8Array, type: BodyType) => unknown> = new Map([
  ['application/json', (body) => parseJson(body, "couldn't get version/kind; json parse error")],
  ['application/yaml', (body) => parseYaml(body)],
  [protobufType, parseProtobuf],
])

/** As much of a body as helps to recognize it: an object's beginning as text, everything else in hexadecimal. */
function summaryOf(body: Uint8Array): string {
  const beginning = Buffer.from(body.subarray(0, 30))
  const text = beginning.toString(beginning[0] === '{'.charCodeAt(0) ? 'utf8' : 'hex')
  return body.length > beginning.length ? `${text} ...` : text
}

const utf8 = new TextDecoder()

/** Throws BAD_REQUEST, which begins with `failure`. */
export function parseJson(body: Uint8Array, failure = 'error decoding patch'): unknown {
  try {
    return JSON.parse(utf8.decode(body))
  } catch (error) {
    throw badRequest(`${failure}: ${messageOf(error)}`)
  }
}

function parseProtobuf(body: Uint8Array, { definition }: BodyType): unknown {
  try {
    return decodeProtobuf(body, definition)
  } catch (error) {
    if (hasCode(error, 'DECODE')) throw badRequest(messageOf(error))
    throw error
  }
}

/** Throws BAD_REQUEST, which begins with `failure`. Aliases are counted, so that a small body cannot become a huge object. */
export function parseYaml(body: Uint8Array, failure = ''): unknown {
  try {
    const document = parseDocument(utf8.decode(body), { schema: 'core', uniqueKeys: true })
    const [error] = document.errors
    if (error) throw error
    return document.toJS({ maxAliasCount: 100 })
  } catch (error) {
    // What follows the first line is a drawing of the place.
    const [reason = ''] = messageOf(error).split(':\n')
    throw badRequest(`${failure}error converting YAML to JSON: ${reason}`)
  }
}
