import { CoracleError, messageOf } from '../../runtime/base/errors.ts'
import { imageError } from '../errors.ts'
import type { Answer } from './http.ts'
import { retryAfterMs } from './retry.ts'

const longestExplanation = 4096

/** All of a small answer. Throws `IMAGE_REGISTRY` when it is larger than `limit` bytes. */
export async function readAtMost({ body }: Answer, limit: number, verb: string): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of body) {
    size += chunk.length
    if (size > limit) throw imageError('IMAGE_REGISTRY', `${verb}: the answer has more than ${limit} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

/** What a registry says when it refuses: `{"errors": [{"code", "message"}]}`. `verb` reads `fetch … of host/path`. */
export async function refusal(answer: Answer, verb: string, now: number): Promise<CoracleError> {
  const { status, statusText } = answer
  const text = await beginningOf(answer)
  const said = /"message"\s*:\s*"((?:[^"\\]|\\.)*)"/.exec(text)?.[1]?.replaceAll(/[^\x20-\x7e]/g, '?') ?? ''
  const reason = `${status} ${statusText}${said ? ` (${said})` : ''}`
  const pause = retryAfterMs(answer.header('retry-after'), now)
  return imageError(status === 404 ? 'IMAGE_NOT_FOUND' : 'IMAGE_REGISTRY', `${verb}: the registry answers ${reason}`, {
    facts: { status, ...(pause === undefined ? {} : { retryAfterMs: pause }) },
    retryable: status === 408 || status === 429 || status >= 500,
    ...(status === 429
      ? { hint: 'the registry limits how often it may be asked; users that log in may ask more' }
      : {}),
  })
}

async function beginningOf({ body }: Answer): Promise<string> {
  let text = ''
  try {
    for await (const chunk of body) {
      text += chunk.toString()
      if (text.length > longestExplanation) break
    }
  } catch {
    // An explanation that breaks off is better than none.
  }
  return text.slice(0, longestExplanation)
}

/** A connection that cannot be made, or that breaks. */
export function unreachable(verb: string, error: unknown): CoracleError {
  if (error instanceof CoracleError) return error
  const code = String((error as { code?: unknown }).code ?? '')
  const isTls = /^(EPROTO|ERR_SSL_|ERR_TLS_)/.test(code)
  const isCertificate = /CERT|SELF_SIGNED|UNABLE_TO_/.test(code)
  const hint = isTls
    ? 'if the registry has no TLS, name it as an insecure registry'
    : 'if its certificate is your own, name ca_file in registries.yaml'
  return imageError('IMAGE_REGISTRY', `${verb}: ${messageOf(error) || code}`, {
    cause: error,
    retryable: !isTls && !isCertificate,
    ...(isTls || isCertificate ? { hint } : {}),
  })
}
