import { errnoOf } from '../base/errors.ts'
import { bind } from './ffi.ts'

const flock = bind('int flock(int fd, int operation)')
const LOCK_SH = 1
const LOCK_EX = 2
const LOCK_NB = 4

/**
 * Waits for the lock of an open file, without blocking this thread: exclusive, or shared with other shared ones. It is
 * let go when the descriptor is closed, by whatever way the process ends; two descriptors of one process exclude each
 * other like those of two. See flock(2). Throws `KERNEL`.
 */
export async function lockFile(fd: number, kind: 'exclusive' | 'shared'): Promise<void> {
  const operation = kind === 'exclusive' ? LOCK_EX : LOCK_SH
  if (!tryLock(fd, operation)) await flock.async(fd, operation)
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
