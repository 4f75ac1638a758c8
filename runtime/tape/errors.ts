import { CoracleError, type Facts } from '../base/errors.ts'

/** Codes of this folder: TAPE_STEP_FAILED (a recorded call failed in the player), TAPE_INVALID (a mistake in recording). */
export const tapeCodes = ['TAPE_STEP_FAILED', 'TAPE_INVALID'] as const

/** A recording that cannot be right, such as an unknown system call. */
export function tapeInvalid(reason: string, facts: Facts = {}): CoracleError {
  return new CoracleError(`record tape: ${reason}`, { code: 'TAPE_INVALID', facts })
}
