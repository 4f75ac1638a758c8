import { CoracleError, type Facts } from '../base/errors.ts'

/**
 * Codes of this folder, in addition to those of spec, birth, cgroups, tape and launcher: INVALID_ID, ALREADY_EXISTS,
 * NOT_FOUND, WRONG_STATE (the runtime-spec forbids the operation in this state), EXEC_FAILED (execve; says what is
 * really missing), HOOK_FAILED (a hook of config.json; says its output), COPY_UP_FAILED (tmpcopyup of more than is copied),
 * FOREIGN_FAILED (another OCI runtime refused; in its words), AGENT_FAILED (the agent of a seccomp filter was not to be
 * told), BUSY (another command works on it), CGROUP_IN_USE (others live in its group, or it is frozen).
 */
export const containerCodes = [
  'INVALID_ID',
  'ALREADY_EXISTS',
  'NOT_FOUND',
  'WRONG_STATE',
  'EXEC_FAILED',
  'BUSY',
  'FOREIGN_FAILED',
  'HOOK_FAILED',
  'COPY_UP_FAILED',
  'AGENT_FAILED',
  'CGROUP_IN_USE',
] as const

export type ContainerCode = (typeof containerCodes)[number]

export function containerError(code: ContainerCode, message: string, facts: Facts = {}, cause?: unknown): CoracleError {
  return new CoracleError(message, { code, facts, cause })
}
