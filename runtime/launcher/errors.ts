import { CoracleError, type Facts } from '../base/errors.ts'
import { errnoName } from '../linux/errno.ts'
import type { Report } from '../tape/play.ts'

/**
 * Codes of this folder: PLAY_FAILED (a step of a tape failed; facts index and result name it for whoever recorded the
 * tape), NOT_FOUND, NOT_RUNNING, LAUNCHER_BUSY (containers are left), LAUNCHER_LOST (no answer from the launcher),
 * PROTOCOL (bytes that are no message), ID_MAP_REFUSED (by the kernel; says what is missing),
 * FOREIGN_FAILED (another OCI runtime refused; in its words).
 */
export const launcherCodes = [
  'PLAY_FAILED',
  'NOT_FOUND',
  'NOT_RUNNING',
  'LAUNCHER_BUSY',
  'LAUNCHER_LOST',
  'PROTOCOL',
  'ID_MAP_REFUSED',
  'FOREIGN_FAILED',
] as const

export type LauncherCode = (typeof launcherCodes)[number]

/** An error of the launcher or of the way to it. */
export function launcherError(code: LauncherCode, message: string, facts: Facts = {}, cause?: unknown): CoracleError {
  return new CoracleError(message, { code, facts, cause, retryable: code === 'LAUNCHER_LOST' })
}

/** A failed step, as yet without the words that only the recorder of the tape has. */
export function playFailed({ index, result }: Report): CoracleError {
  const errno = errnoName(-result)
  return launcherError('PLAY_FAILED', `play tape: step ${index + 1} failed: ${errno}`, { index, result, errno })
}
