import { CoracleError } from '../../../runtime/base/errors.ts'

/** Errors of streaming: exec, attach and port-forward as clients ask for them. */
export const streamingErrors = {
  /** The request is no upgrade that we know; answered with 400 before it is thrown. */
  STREAM_UPGRADE: 'the request asks for no protocol that we speak',
  /** The peer breaks the rules of its protocol. */
  STREAM_PROTOCOL: 'the client breaks the protocol',
  /** Streams that were announced did not come in time. */
  STREAM_TIMEOUT: 'the client did not open its streams in time',
  /** The connection ended. */
  STREAM_CLOSED: 'the client has gone',
} as const

export function streamingError(
  code: keyof typeof streamingErrors,
  message: string,
  o: { cause?: unknown; hint?: string } = {},
): CoracleError {
  return new CoracleError(message, { code, ...o })
}
