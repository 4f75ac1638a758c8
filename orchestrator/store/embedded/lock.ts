import { DatabaseSync } from 'node:sqlite'
import { storeError } from '../errors.ts'

/** Throws STORE_LOCKED when another process has the store at `path`. Closing it gives the store free. */
export function takeLock(path: string): DatabaseSync {
  const lock = new DatabaseSync(`${path}-lock`)
  try {
    lock.exec('PRAGMA locking_mode=EXCLUSIVE; BEGIN EXCLUSIVE')
    return lock
  } catch (error) {
    lock.close()
    throw storeError('STORE_LOCKED', `open the store: another process holds ${path}`, error)
  }
}
