import { copyFileSync, existsSync, mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import { storeError } from '../errors.ts'
import { lastRevision } from './audit.ts'
import { keepAside, putInPlace, removeDatabase, requireSound } from './files.ts'
import { openDatabase, writeState } from './layout.ts'
import { takeLock } from './lock.ts'
import { sweepStep } from './sweep.ts'

export interface Restored {
  /** From here on the store goes on. */
  readonly revision: number
  /** Where the store is now that was there before. */
  readonly replaced: string | undefined
}

/**
 * Clients that have seen more than the backup holds must not take what comes next for old: revisions go on far beyond
 * any that was given out, and all before is compacted, so that they read anew. Source: etcd's `--bump-revision
 * 1000000000 --mark-compacted`, https://etcd.io/docs/v3.6/op-guide/recovery/
 */
const leap = 1_000_000_000

/**
 * Puts the backup `file` in the place of the store at `path`, which no server may have. A store that is there is kept
 * beside it, and only with `force` replaced. Throws STORE_LOCKED, STORE_EXISTS, STORE_DAMAGED: then nothing is changed.
 */
export function restoreStore(path: string, file: string, { force = false } = {}): Restored {
  if (!existsSync(file)) throw storeError('STORE_DAMAGED', `restore ${file}: it does not exist`)
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  const lock = takeLock(path)
  const incoming = `${path}.incoming`
  try {
    if (existsSync(path) && !force) {
      throw storeError('STORE_EXISTS', `restore ${file}: there is a store at ${path}, which would be replaced`)
    }
    removeDatabase(incoming)
    copyFileSync(file, incoming)
    const revision = prepare(incoming, revisionOf(path))
    const replaced = existsSync(path) ? `${path}.replaced` : undefined
    if (replaced !== undefined) keepAside(path, replaced)
    putInPlace(incoming, path)
    return { revision, replaced }
  } finally {
    removeDatabase(incoming)
    lock.close()
  }
}

/** 0 when there is no store, or none that can be read: the leap is wide enough to do without. */
function revisionOf(path: string): number {
  if (!existsSync(path)) return 0
  try {
    const database = openDatabase(path)
    try {
      return lastRevision(database)
    } finally {
      database.close()
    }
  } catch {
    return 0
  }
}

/** Checks the copy of a backup and makes it go on after `atLeast`. Returns its revision. */
function prepare(path: string, atLeast: number): number {
  const database = openDatabase(path)
  try {
    requireSound(database, path)
    const last = lastRevision(database)
    const revision = Math.max(last, atLeast) + leap
    database.exec('BEGIN IMMEDIATE')
    forgetPast(database, last)
    for (const name of ['swept', 'compacted', 'revision']) writeState(database, name, revision)
    database.exec('COMMIT')
    return revision
  } finally {
    // Closing it merges the write-ahead log: one file holds all.
    database.close()
  }
}

function forgetPast(database: DatabaseSync, upTo: number): void {
  let isDone = false
  while (!isDone) isDone = sweepStep(database, upTo)
}
