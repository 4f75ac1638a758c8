import { existsSync, statSync } from 'node:fs'
import { storeError } from '../errors.ts'
import { lastRevision } from './audit.ts'
import { putInPlace, removeDatabase, requireSound, withAnyStore } from './files.ts'
import { openReadOnly } from './layout.ts'

export interface Backup {
  /** Everything up to it is in the backup. */
  readonly revision: number
  readonly bytes: number
}

/**
 * Writes all of the store at `path`, as it is at one moment, into `file`; a server may be running on it and is not held
 * up. The copy is checked before it gets its name. Throws STORE_EXISTS for a file that is there, unless `force`;
 * STORE_DAMAGED.
 */
export function backupStore(path: string, file: string, { force = false } = {}): Backup {
  if (existsSync(file) && !force) throw storeError('STORE_EXISTS', `back up to ${file}: it exists already`)
  const unfinished = `${file}.unfinished`
  removeDatabase(unfinished)
  try {
    // One statement is one snapshot. Source: https://sqlite.org/lang_vacuum.html#vacuuminto
    withAnyStore(path, (database) => database.prepare('VACUUM INTO ?').run(unfinished))
    const copy = openReadOnly(unfinished)
    try {
      requireSound(copy, unfinished)
      const revision = lastRevision(copy)
      putInPlace(unfinished, file)
      return { revision, bytes: statSync(file).size }
    } finally {
      copy.close()
    }
  } finally {
    removeDatabase(unfinished)
  }
}
