import { CoracleError, type Facts } from '../base/errors.ts'

/** Codes of this folder: BIRTH_REFUSED (a container that cannot be recorded, such as an overlay of too many layers). */
export const birthCodes = ['BIRTH_REFUSED'] as const

/** What was asked cannot become a tape. */
export function refused(what: string, reason: string, facts: Facts = {}): CoracleError {
  return new CoracleError(`record ${what}: ${reason}`, { code: 'BIRTH_REFUSED', facts })
}
