import { CoracleError } from '../../runtime/base/errors.ts'

/** Codes of this folder: a key for tokens or an authority for certificates that cannot be used, a token that is not believed. */
export type AuthCode = 'BAD_AUTHORITY' | 'BAD_TOKEN_KEY' | 'INVALID_TOKEN'

/** An error of this folder, to be thrown. */
export function authError(code: AuthCode, message: string, cause?: unknown): CoracleError {
  return new CoracleError(message, { code, ...(cause === undefined ? {} : { cause }) })
}
