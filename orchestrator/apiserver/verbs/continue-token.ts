/** Where the next page of a list begins, as clients carry it. Source: k8s.io/apiserver/pkg/storage/continue.go. */
import { badRequest } from '../../api/status.ts'

export interface ContinueToken {
  /** Negative: whatever is newest by now. */
  readonly revision: number
  /** `namespace/name` (or name) of the last object that was listed. */
  readonly after: string
  /** How many are left after it at that revision, where the page before has counted them. */
  readonly remaining?: number
}

interface TokenText {
  v: string
  rv: number
  start: string
  left?: number
}

const version = 'meta.k8s.io/v1'

/** The newest state, for who goes on though the state of his first page is gone. */
export const anyRevision = -1

export function writeToken({ revision, after, remaining }: ContinueToken): string {
  const token: TokenText = { v: version, rv: revision, start: after, ...(remaining ? { left: remaining } : {}) }
  return Buffer.from(JSON.stringify(token)).toString('base64url')
}

/** Throws BAD_REQUEST. */
export function readToken(text: string): ContinueToken {
  const token = parse(text)
  if (token?.v !== version) throw refusal('the token cannot be read')
  const { rv, start, left } = token
  if (!Number.isSafeInteger(rv) || !rv) throw refusal(`incorrect encoded start resourceVersion (version ${version})`)
  if (typeof start !== 'string' || start === '') throw refusal(`encoded start key empty (version ${version})`)
  return { revision: rv, after: start, ...(Number.isSafeInteger(left) ? { remaining: Number(left) } : {}) }
}

/** The error for a token that does not fit. */
export function refusal(reason: string): Error {
  return badRequest(`invalid continue token: continue key is not valid: ${reason}`)
}

function parse(text: string): Partial<TokenText> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(text, 'base64url').toString())
    return typeof value === 'object' && value !== null ? (value as Partial<TokenText>) : undefined
  } catch {
    // The caller says that it cannot be read.
    return undefined
  }
}
