import { errnoOf } from '../base/errors.ts'
import { bind } from './ffi.ts'

const flock = bind('int flock(int fd, int operation)')
const LOCK_EX = 2
const LOCK_NB = 4

/**
 * Waits for the exclusive lock of an open file, without blocking this thread. It is let go when the descriptor is
 * closed, by whatever way the process ends. See flock(2). Throws `KERNEL`.
 */
export async function lockExclusively(fd: number): Promise<void> {
  try {
    flock(fd, LOCK_EX | LOCK_NB)
  } catch (error) {
    if (errnoOf(error) !== 'EAGAIN') throw error
    await flock.async(fd, LOCK_EX)
  }
}

/** Takes the lock if nobody has it; false when somebody does. Throws `KERNEL` for anything else. */
export function tryLock(fd: number): boolean {
  try {
    flock(fd, LOCK_EX | LOCK_NB)
    return true
  } catch (error) {
    if (errnoOf(error) === 'EAGAIN') return false
    throw error
  }
}
