/** Answers that a client keeps and asks again for with `If-None-Match` (RFC 9110 section 13.1.2). */
import { createHash } from 'node:crypto'
import type { Answer } from './answer.ts'

export interface Tagged {
  readonly contentType: string
  readonly body: string | Uint8Array
  readonly hash: string
}

/** In Kubernetes' form: SHA-256 in capitals. */
export function tagged(contentType: string, body: string | Uint8Array): Tagged {
  return { contentType, body, hash: createHash('sha256').update(body).digest('hex').toUpperCase() }
}

/** The whole, or 304 when the client has it. It differs by `Accept`. */
export function taggedAnswer({ contentType, body, hash }: Tagged, ifNoneMatch: string | undefined): Answer {
  const headers = { ETag: `"${hash}"`, Vary: 'Accept' }
  if (ifNoneMatch?.includes(hash)) return { status: 304, contentType, body: '', headers }
  return { status: 200, contentType, body, headers }
}
