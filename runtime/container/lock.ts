import { closeSync, constants, fstatSync, openSync, statSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { errnoOf } from '../base/errors.ts'
import { folderOf } from '../launcher/records.ts'
import { tryLockFile } from '../linux/flock.ts'
import { containerError } from './errors.ts'

/** A hook may take its time; who waits for longer than this is told. */
const patienceMilliseconds = 30_000
const pauseMilliseconds = 5

/**
 * Performs one change of a container while no other process changes it: a lock on its folder, which the kernel drops with us
 * however we end. Where there is no such container, `act` runs at once and says so. Throws BUSY after half a minute.
 */
export async function exclusively<Result>(root: string, id: string, act: () => Promise<Result>): Promise<Result> {
  const lock = await lockOf(root, id)
  try {
    return await act()
  } finally {
    if (lock !== undefined) closeSync(lock)
  }
}

/** Takes the lock of a folder that has just been made, for whoever makes the container in it; returns how to let it go. */
export function claimFolder(folder: string): () => void {
  const fd = openFolder(folder)
  if (fd === undefined || !tryLockFile(fd)) {
    throw containerError('BUSY', `create ${folder}: it is being deleted while it is created`)
  }
  return () => closeSync(fd)
}

async function lockOf(root: string, id: string): Promise<number | undefined> {
  const folder = folderOf(root, id)
  for (const until = performance.now() + patienceMilliseconds; ; ) {
    const fd = openFolder(folder)
    if (fd === undefined) return undefined
    if (tryLockFile(fd)) {
      if (isStill(fd, folder)) return fd
      // Deleted while we waited, and perhaps made anew.
      closeSync(fd)
      continue
    }
    closeSync(fd)
    if (performance.now() > until) {
      throw containerError('BUSY', `change ${id}: another command has been working on it for half a minute`, { id })
    }
    await sleep(pauseMilliseconds)
  }
}

function isStill(fd: number, folder: string): boolean {
  const [ours, there] = [fstatSync(fd), statSync(folder, { throwIfNoEntry: false })]
  return ours.ino === there?.ino && ours.dev === there.dev
}

function openFolder(folder: string): number | undefined {
  try {
    return openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return undefined
    throw error
  }
}
