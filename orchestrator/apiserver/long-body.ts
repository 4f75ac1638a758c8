import type { OutgoingHttpHeaders, ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGzip } from 'node:zlib'
import type { Body } from './answer.ts'

/** From here on a body is compressed for those who take it so, as in Kubernetes, and goes in pieces. */
export const longBytes = 128 * 1024

/** Given to a socket at once, all of a long body lies there three times: as text, as bytes, and encrypted. */
const pieceBytes = 64 * 1024

/** How many bytes it has on the wire. */
export function lengthOf(body: Body): number {
  if (isWhole(body)) return Buffer.byteLength(body)
  let length = 0
  for (const part of body) length += Buffer.byteLength(part)
  return length
}

const isWhole = (body: Body): body is string | Uint8Array => typeof body === 'string' || body instanceof Uint8Array

/** A body that is not long, in one piece. */
export const inOnePiece = (body: Body): string | Uint8Array => (isWhole(body) ? body : joined(body))

function joined(parts: readonly (string | Uint8Array)[]): Uint8Array {
  return isText(parts) ? Buffer.from(parts.join('')) : Buffer.concat(parts as readonly Uint8Array[])
}

/** Parts are either all text or all bytes. */
const isText = (parts: readonly (string | Uint8Array)[]): parts is readonly string[] => typeof parts[0] === 'string'

/** Sends a long body as fast as it is read; throws ERR_STREAM_PREMATURE_CLOSE when the client leaves before its end. */
export async function sendLong(
  response: ServerResponse,
  body: Body,
  { status, headers, length }: { status: number; headers: OutgoingHttpHeaders; length: number },
): Promise<void> {
  const pieces = Readable.from(piecesOf(body))
  if (/\bgzip\b/.test(String(response.req.headers['accept-encoding'] ?? ''))) {
    response.writeHead(status, { ...headers, 'Content-Encoding': 'gzip', Vary: 'Accept-Encoding' })
    await pipeline(pieces, createGzip({ level: 1 }), response)
  } else {
    response.writeHead(status, { ...headers, 'Content-Length': length })
    await pipeline(pieces, response)
  }
}

function* piecesOf(body: Body): Generator<Uint8Array> {
  if (!isWhole(body)) {
    yield* gathered(body)
    return
  }
  const bytes = typeof body === 'string' ? Buffer.from(body) : body
  for (let at = 0; at < bytes.length; at += pieceBytes) yield bytes.subarray(at, at + pieceBytes)
}

function* gathered(parts: readonly (string | Uint8Array)[]): Generator<Uint8Array> {
  let from = 0
  let length = 0
  for (const [at, part] of parts.entries()) {
    length += part.length
    if (length < pieceBytes && at < parts.length - 1) continue
    yield joined(parts.slice(from, at + 1))
    from = at + 1
    length = 0
  }
}
