/** What backup, restore, check and defrag share: a store's files, whether a server runs on them or not. */
import { closeSync, existsSync, fsyncSync, linkSync, openSync, renameSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import { hasCode } from '../../../runtime/base/errors.ts'
import { storeError } from '../errors.ts'
import { auditLog } from './audit.ts'
import { openDatabase, openReadOnly } from './layout.ts'
import { takeLock } from './lock.ts'

/** SQLite's own files beside a database that was not closed. */
const companions = ['-wal', '-shm']

/** Runs `act` on a store that nobody else has. Throws STORE_LOCKED, STORE_DAMAGED. */
export function withOwnStore<T>(path: string, act: (database: DatabaseSync) => T): T {
  requireStore(path)
  const lock = takeLock(path)
  try {
    const database = openDatabase(path)
    try {
      return act(database)
    } finally {
      database.close()
    }
  } finally {
    lock.close()
  }
}

/** Runs `act` on a store, for reading: beside the server that has it, or on the files that a killed one has left. */
export function withAnyStore<T>(path: string, act: (database: DatabaseSync) => T): T {
  try {
    return withOwnStore(path, act)
  } catch (error) {
    if (!hasCode(error, 'STORE_LOCKED')) throw error
  }
  const database = openReadOnly(path)
  try {
    return act(database)
  } finally {
    database.close()
  }
}

/** Throws STORE_DAMAGED when something is wrong with a log. */
export function requireSound(database: DatabaseSync, path: string): void {
  const faults = auditLog(database)
  if (faults.length > 0) throw storeError('STORE_DAMAGED', `check ${path}: ${faults.join('; ')}`)
}

/** Puts the finished file `from` in the place of `to`: whatever happens, one or the other is there. */
export function putInPlace(from: string, to: string): void {
  syncFile(from)
  renameSync(from, to)
  syncFile(dirname(to))
}

/** Removes a file and what SQLite may have left beside it. */
export function removeDatabase(path: string): void {
  for (const end of ['', ...companions, '-journal']) rmSync(path + end, { force: true })
}

/**
 * Keeps a database under another name, to be replaced under its own. One that could not be opened still has companions:
 * they would spoil the one that takes its place.
 */
export function keepAside(path: string, to: string): void {
  removeDatabase(to)
  for (const end of companions) if (existsSync(path + end)) renameSync(path + end, to + end)
  linkSync(path, to)
}

function requireStore(path: string): void {
  if (!existsSync(path)) throw storeError('STORE_DAMAGED', `open ${path}: there is no store`)
}

function syncFile(path: string): void {
  const fd = openSync(path, 'r')
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}
