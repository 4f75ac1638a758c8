import { CoracleError, errnoOf } from '../base/errors.ts'

/** Codes of this folder: CGROUP_FAILED (the kernel refused a file), CGROUP_UNSUPPORTED (this host or Coracle cannot do it). */
export const cgroupCodes = ['CGROUP_FAILED', 'CGROUP_UNSUPPORTED'] as const

/** The kernel refused to take or give a cgroup file. */
export function cgroupFailed(what: string, cause: unknown): CoracleError {
  const errno = errnoOf(cause) ?? 'unknown error'
  return new CoracleError(`${what}: ${errno}`, { code: 'CGROUP_FAILED', cause, facts: { errno } })
}

/** A limit that cannot be set here; never silently ignored. */
export function cgroupUnsupported(field: string, reason = 'is not supported yet'): CoracleError {
  return new CoracleError(`set ${field}: ${reason}`, { code: 'CGROUP_UNSUPPORTED', facts: { field } })
}

/** Of a group below that is asked for by its controller, as `exec --cgroup` does; in runc's words. */
export function unknownController(controller: string, reason: string): CoracleError {
  return new CoracleError(`unknown controller ${controller}: ${reason}`, {
    code: 'CGROUP_UNSUPPORTED',
    facts: { controller },
  })
}
