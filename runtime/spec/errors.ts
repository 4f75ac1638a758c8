import { CoracleError } from '../base/errors.ts'

/** Codes of this folder: SPEC_INVALID (against the OCI spec), SPEC_UNSUPPORTED (the spec has it, Coracle not yet). */
export const specCodes = ['SPEC_INVALID', 'SPEC_UNSUPPORTED'] as const

/** `field` of config.json breaks the specification. */
export function specInvalid(field: string, reason: string): CoracleError {
  return new CoracleError(`config.json ${field}: ${reason}`, { code: 'SPEC_INVALID', facts: { field } })
}

/** `field` of config.json asks for what Coracle does not do yet; it is never silently ignored. */
export function specUnsupported(field: string, reason = 'is not supported yet'): CoracleError {
  return new CoracleError(`config.json ${field}: ${reason}`, { code: 'SPEC_UNSUPPORTED', facts: { field } })
}
