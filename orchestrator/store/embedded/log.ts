/**
 * The revision log in one SQLite file. Append-only: a write adds a row, nothing is changed in place, compaction
 * removes rows that a newer row of the same key has replaced.
 */
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { toRecord } from '../../../runtime/base/errors.ts'
import { storeError } from '../errors.ts'
import type { Range, RangeOptions, StoreEvent, StoreRecord } from '../store.ts'
import type { Outcome, Write } from './protocol.ts'

const layout = `
  CREATE TABLE IF NOT EXISTS log (
    revision INTEGER PRIMARY KEY,
    key      TEXT NOT NULL,
    created  INTEGER NOT NULL,
    previous INTEGER NOT NULL,
    value    TEXT
  );
  CREATE INDEX IF NOT EXISTS log_by_key ON log (key, revision);
  CREATE TABLE IF NOT EXISTS state (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
  INSERT OR IGNORE INTO state VALUES ('layout', 1), ('compacted', 0), ('revision', 0);
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
  readonly #newest: StatementSync
  readonly #append: StatementSync
  readonly #valueAt: StatementSync
  #revision: number
  #compacted: number

  /** Opens or makes the file. Every commit is on the disk before it returns (WAL, synchronous=FULL). */
  constructor(path: string) {
    this.#database = new DatabaseSync(path)
    this.#database.exec('PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=2000')
    this.#database.exec(layout)
    this.#newest = this.#database.prepare(
      'SELECT revision, created, value IS NULL AS gone FROM log WHERE key = ? ORDER BY revision DESC LIMIT 1',
    )
    this.#append = this.#database.prepare('INSERT INTO log VALUES (?, ?, ?, ?, ?)')
    this.#valueAt = this.#database.prepare('SELECT value FROM log WHERE revision = ?')
    this.#compacted = this.#readState('compacted')
    // Compaction can remove the newest row (a deletion): its revision must not be given out again.
    const last = this.#database.prepare('SELECT max(revision) AS last FROM log').get() as { last: number | null }
    this.#revision = Math.max(last.last ?? 0, this.#readState('revision'), this.#compacted)
  }

  get revision(): number {
    return this.#revision
  }

  #readState(name: string): number {
    return (this.#database.prepare('SELECT value FROM state WHERE name = ?').get(name) as { value: number }).value
  }

  /** All of `writes` in one commit; a refused write does not hinder the others. Throws STORE_FAILED: none was done. */
  write(writes: readonly Write[]): Outcome[] {
    const before = this.#revision
    try {
      this.#database.exec('BEGIN IMMEDIATE')
      const outcomes = writes.map((write) => this.#writeOne(write))
      this.#database.exec('COMMIT')
      return outcomes
    } catch (error) {
      this.#revision = before
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK')
      throw storeError('STORE_FAILED', `write to the store: ${toRecord(error).message}`, error)
    }
  }

  #writeOne({ key, value, expected }: Write): Outcome {
    const row = this.#newest.get(key) as { revision: number; created: number; gone: number } | undefined
    const current = row && row.gone === 0 ? row : undefined
    if (expected === 0 && current) return { refused: 'KEY_EXISTS', revision: current.revision }
    if (expected !== 0 && !current) return { refused: 'KEY_NOT_FOUND', revision: 0 }
    if (expected !== 0 && current && current.revision !== expected) {
      return { refused: 'REVISION_MISMATCH', revision: current.revision }
    }
    const revision = ++this.#revision
    const created = current?.created ?? revision
    this.#append.run(revision, key, created, current?.revision ?? 0, value ?? null)
    if (value !== undefined || !current) return { revision, created }
    return { revision, created, previous: (this.#valueAt.get(current.revision) as { value: string }).value }
  }

  range(prefix: string, options: RangeOptions): Range {
    const at = options.revision ?? this.#revision
    this.#requireHeld(at)
    const limit = options.limit ?? -1
    const rows = this.#database
      .prepare(
        `SELECT max(revision) AS revision, key, created, value FROM log
         WHERE key >= ? AND key < ? AND revision <= ? GROUP BY key HAVING value IS NOT NULL ORDER BY key LIMIT ?`,
      )
      .all(options.from ?? prefix, endOf(prefix), at, limit < 0 ? -1 : limit + 1) as unknown as StoreRecord[]
    const more = limit >= 0 && rows.length > limit
    return { records: more ? rows.slice(0, limit) : rows, revision: at, more }
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

  compact(revision: number): void {
    if (revision > this.#revision) this.#requireHeld(revision)
    if (revision <= this.#compacted) return
    const database = this.#database
    database.exec('BEGIN IMMEDIATE')
    try {
      database
        .prepare(
          `DELETE FROM log WHERE revision <= ? AND (value IS NULL OR EXISTS (
             SELECT 1 FROM log AS newer WHERE newer.key = log.key AND newer.revision > log.revision AND newer.revision <= ?))`,
        )
        .run(revision, revision)
      database.prepare("UPDATE state SET value = ? WHERE name = 'compacted'").run(revision)
      database.prepare("UPDATE state SET value = ? WHERE name = 'revision'").run(this.#revision)
      database.exec('COMMIT')
      this.#compacted = revision
    } catch (error) {
      if (database.isTransaction) database.exec('ROLLBACK')
      throw storeError('STORE_FAILED', `compact the store: ${toRecord(error).message}`, error)
    }
  }

  /** Broken invariants, as sentences. */
  check(): string[] {
    const integrity = this.#database.prepare('PRAGMA integrity_check').all() as { integrity_check: string }[]
    const broken = this.#database
      .prepare(
        `SELECT log.revision AS revision FROM log LEFT JOIN log AS old ON old.revision = log.previous
         WHERE (log.previous > 0 AND log.previous >= log.revision)
            OR (log.previous > ? AND old.revision IS NULL)
            OR (old.revision IS NOT NULL AND (old.key <> log.key OR old.value IS NULL OR old.created <> log.created))
            OR (log.previous = 0 AND (log.created <> log.revision OR log.value IS NULL))`,
      )
      .all(this.#compacted) as { revision: number }[]
    return [
      ...integrity.filter((row) => row.integrity_check !== 'ok').map((row) => row.integrity_check),
      ...broken.map(({ revision }) => `revision ${revision} does not follow from the one before it`),
    ]
  }

  close(): void {
    this.#database.prepare("UPDATE state SET value = ? WHERE name = 'revision'").run(this.#revision)
    this.#database.close()
  }
}

function compactedError(asked: number, compacted: number): Error {
  return storeError('COMPACTED', `read revision ${asked}: compacted up to ${compacted}`)
}

/** The first text after all those that start with `prefix`. */
function endOf(prefix: string): string {
  const last = prefix.charCodeAt(prefix.length - 1)
  return prefix.slice(0, -1) + String.fromCharCode(last + 1)
}
