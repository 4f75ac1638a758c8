import { setTimeout as sleep } from 'node:timers/promises'
import { errnoOf } from '../base/errors.ts'
import { bind } from './ffi.ts'

const flock = bind('int flock(int fd, int operation)')
const LOCK_SH = 1
const LOCK_EX = 2
const LOCK_NB = 4

const longestPauseMs = 32

/**
 * Waits for the lock of an open file: exclusive, or shared with other shared ones. It is let go when the descriptor is
 * closed, by whatever way the process ends; two descriptors of one process exclude each other like those of two. Asks
 * again and again instead of blocking a thread of the pool: the holder may need that very thread to finish. See flock(2).
 * Throws `KERNEL`.
 */
export async function lockFile(fd: number, kind: 'exclusive' | 'shared'): Promise<void> {
  const operation = kind === 'exclusive' ? LOCK_EX : LOCK_SH
  for (let pauseMs = 1; !tryLock(fd, operation); pauseMs = Math.min(pauseMs * 2, longestPauseMs)) await sleep(pauseMs)
}

/** Takes the exclusive lock if nobody has any; false otherwise. */
export function tryLockFile(fd: number): boolean {
  return tryLock(fd, LOCK_EX)
}

function tryLock(fd: number, operation: number): boolean {
  try {
    flock(fd, operation | LOCK_NB)
    return true
  } catch (error) {
    if (errnoOf(error) !== 'EAGAIN') throw error
    return false
  }
}
