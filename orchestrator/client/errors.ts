import { CoracleError } from '../../runtime/base/errors.ts'

/**
 * Codes of this folder beside those of `../api/status.ts`: CONNECTION_LOST (no answer, or the answer broke off; may be
 * tried again), CLIENT_CLOSED (used after close).
 */
export type ClientCode = 'CONNECTION_LOST' | 'CLIENT_CLOSED'

/** An error of this folder, to be thrown. */
export function clientError(code: ClientCode, message: string, cause?: unknown): CoracleError {
  return new CoracleError(message, { code, cause, retryable: code === 'CONNECTION_LOST' })
}
