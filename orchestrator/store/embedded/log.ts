/**
 * The revision log in one SQLite file. Append-only: a write adds a row, nothing is changed in place, compaction
 * removes rows that a newer row of the same key has replaced.
 */
import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { messageOf } from '../../../runtime/base/errors.ts'
import { storeError } from '../errors.ts'
import { endOf } from '../range-end.ts'
import type { Range, RangeOptions, StoreEvent, StoreRecord } from '../store.ts'
import { auditLog, lastRevision } from './audit.ts'
import { KeyIndex } from './key-index.ts'
import { openDatabase, readState, writeState } from './layout.ts'
import type { Lapsed, Outcome, Write } from './protocol.ts'
import { sweepStep } from './sweep.ts'

const rangeByKey = `
  SELECT log.revision, log.key, log.created, log.value FROM
    (SELECT key, max(revision) AS revision FROM by_key WHERE key >= ? AND key < ? AND revision <= ? GROUP BY key) AS newest
  JOIN log ON log.revision = newest.revision WHERE log.value IS NOT NULL ORDER BY newest.key LIMIT ?
`

const rangeByScan = `
  SELECT max(revision) AS revision, key, created, value FROM log
  WHERE key >= ? AND key < ? AND revision <= ? GROUP BY key HAVING value IS NOT NULL ORDER BY key LIMIT ?
`

const countByKey = `
  SELECT count(*) AS count FROM
    (SELECT max(revision) AS revision FROM by_key WHERE key >= ? AND key < ? AND revision <= ? GROUP BY key) AS newest
  JOIN log ON log.revision = newest.revision WHERE log.value IS NOT NULL
`

const countByScan = `
  SELECT count(*) AS count FROM
    (SELECT max(revision), value FROM log WHERE key >= ? AND key < ? AND revision <= ? GROUP BY key) WHERE value IS NOT NULL
`

interface Row {
  revision: number
  key: string
  created: number
  previous: number
  /** Null: this row is a deletion. */
  value: string | null
}

export class RevisionLog {
  readonly #database: DatabaseSync
  readonly #index: KeyIndex
  readonly #append: StatementSync
  readonly #valueAt: StatementSync
  #revision: number
  #compacted: number

  /** Opens or makes the file: see `openDatabase`. */
  constructor(path: string) {
    this.#database = openDatabase(path)
    this.#index = new KeyIndex(this.#database)
    this.#append = this.#database.prepare(
      'INSERT INTO log (revision, key, created, previous, value, expires) VALUES (?, ?, ?, ?, ?, ?)',
    )
    this.#valueAt = this.#database.prepare('SELECT value FROM log WHERE revision = ?')
    this.#compacted = readState(this.#database, 'compacted')
    this.#revision = lastRevision(this.#database)
  }

  get revision(): number {
    return this.#revision
  }

  /** All of `writes` in one commit; a refused write does not hinder the others. Throws STORE_FAILED: none was done. */
  write(writes: readonly Write[]): Outcome[] {
    const before = this.#revision
    try {
      return this.#commit(() => {
        if (this.#index.isDue) this.#index.catchUp(this.#revision)
        return writes.map((write) => this.#writeOne(write))
      })
    } catch (error) {
      this.#revision = before
      throw failureOf(error, 'write to the store')
    }
  }

  #commit<T>(act: () => T): T {
    try {
      this.#database.exec('BEGIN IMMEDIATE')
      const result = act()
      this.#database.exec('COMMIT')
      return result
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK')
      this.#index.reload()
      throw error
    }
  }

  #writeOne({ key, value, expected, expires = 0 }: Write): Outcome {
    const row = this.#index.newest(key)
    const current = row && row.gone === 0 ? row : undefined
    if (expected === 0 && current) return { refused: 'KEY_EXISTS', revision: current.revision }
    if (expected !== 0 && !current) return { refused: 'KEY_NOT_FOUND', revision: 0 }
    if (expected !== 0 && current && current.revision !== expected) {
      return { refused: 'REVISION_MISMATCH', revision: current.revision }
    }
    const revision = ++this.#revision
    const created = current?.created ?? revision
    this.#append.run(revision, key, created, current?.revision ?? 0, value ?? null, expires)
    this.#index.add(key, { revision, created, gone: value === undefined ? 1 : 0 })
    if (value !== undefined || !current) return { revision, created }
    return { revision, created, previous: (this.#valueAt.get(current.revision) as { value: string }).value }
  }

  range(prefix: string, options: RangeOptions): Range {
    const at = options.revision ?? this.#revision
    this.#requireHeld(at)
    const limit = options.limit ?? -1
    const isIndexed = this.#isIndexed()
    const range = [options.from ?? prefix, endOf(prefix), at] as const
    const rows = this.#database
      .prepare(isIndexed ? rangeByKey : rangeByScan)
      .all(...range, limit < 0 ? -1 : limit + 1) as unknown as StoreRecord[]
    const more = limit >= 0 && rows.length > limit
    if (!more) return { records: rows, revision: at, more }
    const records = rows.slice(0, limit)
    if (!options.isCounted) return { records, revision: at, more }
    const { count } = this.#database.prepare(isIndexed ? countByKey : countByScan).get(...range) as { count: number }
    return { records, revision: at, more, left: count - limit }
  }

  /** False when there is no room for it: then reads take longer. */
  #isIndexed(): boolean {
    try {
      this.#commit(() => this.#index.catchUp(this.#revision))
      return true
    } catch {
      return false
    }
  }

  changes(prefix: string, after: number, upTo: number): StoreEvent[] {
    if (after < this.#compacted) throw compactedError(after, this.#compacted)
    const rows = this.#database
      .prepare(
        `SELECT revision, key, created, previous, value FROM log
         WHERE revision > ? AND revision <= ? AND key >= ? AND key < ? ORDER BY revision`,
      )
      .all(after, upTo, prefix, endOf(prefix)) as unknown as Row[]
    return rows.map(({ revision, key, created, previous, value }) => {
      if (value !== null) return { type: 'put', record: { key, value, revision, created } }
      const last = this.#valueAt.get(previous) as { value: string } | undefined
      return { type: 'delete', record: { key, value: last?.value ?? '', revision, created } }
    })
  }

  #requireHeld(revision: number): void {
    if (revision > this.#revision) {
      throw storeError('FUTURE_REVISION', `read revision ${revision}: the store is at ${this.#revision}`)
    }
    if (revision < this.#compacted) throw compactedError(revision, this.#compacted)
  }

  /** One step of a compaction; false when there are more to do. What is older is refused from the first step on. */
  compact(revision: number): boolean {
    if (revision > this.#revision) this.#requireHeld(revision)
    if (revision < this.#compacted) return true
    try {
      const isDone = this.#commit(() => {
        writeState(this.#database, 'compacted', revision)
        writeState(this.#database, 'revision', this.#revision)
        return sweepStep(this.#database, revision)
      })
      this.#compacted = revision
      return isDone
    } catch (error) {
      throw failureOf(error, 'compact the store')
    }
  }

  /** Keys whose time was over at `now`, in milliseconds since 1970, and when the next one's will be. */
  lapsed(now: number): Lapsed {
    this.#isIndexed()
    const newest = 'revision = (SELECT max(newer.revision) FROM by_key AS newer WHERE newer.key = log.key)'
    const due = this.#database
      .prepare(`SELECT key, revision FROM log WHERE expires > 0 AND expires <= ? AND ${newest} LIMIT 1000`)
      .all(now) as unknown as Lapsed['due']
    const { next } = this.#database
      .prepare('SELECT min(expires) AS next FROM log WHERE expires > 0 AND expires > ?')
      .get(now) as { next: number | null }
    return { due, next: next ?? undefined }
  }

  /** Broken invariants, as sentences. */
  check(): string[] {
    return auditLog(this.#database)
  }

  close(): void {
    try {
      writeState(this.#database, 'revision', this.#revision)
    } finally {
      this.#database.close()
    }
  }
}

/** SQLITE_FULL. Source: https://sqlite.org/rescode.html */
const noRoom = 13

/** Nothing of what was asked has been done. */
function failureOf(error: unknown, act: string): Error {
  const isFull = (error as { errcode?: unknown }).errcode === noRoom
  return storeError('STORE_FAILED', `${act}: ${messageOf(error)}`, error, isFull ? { errno: 'ENOSPC' } : undefined)
}

function compactedError(asked: number, compacted: number): Error {
  return storeError('COMPACTED', `read revision ${asked}: compacted up to ${compacted}`)
}
