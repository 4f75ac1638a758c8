import { CoracleError, type Facts } from '../../runtime/base/errors.ts'

/**
 * Codes of this folder for values that cannot be read. What the API answers is a StatusError (`status.ts`), whose code
 * is the reason of the Kubernetes API in UPPER_SNAKE.
 */
export type ApiCode = 'BAD_QUANTITY' | 'BAD_SELECTOR' | 'BAD_PATCH' | 'DECODE'

/** An error of this folder, to be thrown. */
export function refusal(code: ApiCode, message: string, facts: Facts = {}): CoracleError {
  return new CoracleError(message, { code, facts })
}
