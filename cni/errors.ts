import { CoracleError } from '../runtime/base/errors.ts'

/**
 * Errors of this folder. Those with a number are the well-known codes of the CNI specification 1.1.0 ("Error"); a
 * foreign plugin's own codes (100 and up) are `CNI_PLUGIN`, with the number in `facts.cniCode`.
 */
export const cniErrors = {
  CNI_INCOMPATIBLE_VERSION: 1,
  CNI_UNSUPPORTED_FIELD: 2,
  CNI_UNKNOWN_CONTAINER: 3,
  CNI_INVALID_ENVIRONMENT: 4,
  CNI_IO: 5,
  CNI_DECODE: 6,
  CNI_INVALID_CONFIG: 7,
  CNI_TRY_AGAIN: 11,
  CNI_NOT_AVAILABLE: 50,
  CNI_LIMITED_CONNECTIVITY: 51,
  CNI_PLUGIN: 100,
  /** CHECK found something that is not as ADD left it. */
  CNI_CHECK_FAILED: 101,
  /** No free address is left in the ranges of the network. */
  CNI_ADDRESSES_EXHAUSTED: 102,
  /** There is no such plugin, neither built in nor in the plugin folders. */
  CNI_PLUGIN_MISSING: 103,
} as const

export type CniErrorCode = keyof typeof cniErrors

/** A CoracleError with a CNI code. `message` reads `verb object: reason`. */
export function cniError(
  code: CniErrorCode,
  message: string,
  o: { hint?: string; cause?: unknown } = {},
): CoracleError {
  return new CoracleError(message, {
    code,
    facts: { cniCode: cniErrors[code] },
    retryable: code === 'CNI_TRY_AGAIN',
    ...o,
  })
}

/** The error that a plugin printed as `{code, msg, details}`. */
export function errorFromPlugin(plugin: string, answer: { code: number; msg: string; details?: string }): CoracleError {
  const known = Object.entries(cniErrors).find(([, number]) => number === answer.code && number < 100)
  return new CoracleError(`run CNI plugin ${plugin}: ${answer.msg}${answer.details ? ` (${answer.details})` : ''}`, {
    code: known?.[0] ?? 'CNI_PLUGIN',
    facts: { cniCode: answer.code, plugin },
    retryable: answer.code === cniErrors.CNI_TRY_AGAIN,
  })
}
