import { CoracleError, type Facts } from '../base/errors.ts'

/**
 * Codes of this folder, in addition to those of spec, birth, cgroups, tape and launcher: INVALID_ID, ALREADY_EXISTS,
 * NOT_FOUND, WRONG_STATE (the runtime-spec forbids the operation in this state), EXEC_FAILED (execve; says what is
 * really missing), HOOK_FAILED (a hook of config.json; says its output),
 * AGENT_FAILED (the agent of a seccomp filter was not to be told of its listener).
 */
export const containerCodes = [
  'INVALID_ID',
  'ALREADY_EXISTS',
  'NOT_FOUND',
  'WRONG_STATE',
  'EXEC_FAILED',
  'HOOK_FAILED',
  'AGENT_FAILED',
] as const

export type ContainerCode = (typeof containerCodes)[number]

export function containerError(code: ContainerCode, message: string, facts: Facts = {}, cause?: unknown): CoracleError {
  return new CoracleError(message, { code, facts, cause })
}
