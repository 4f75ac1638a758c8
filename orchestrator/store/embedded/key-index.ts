/**
 * Finds rows by key. Writing it with each commit would more than double what goes to the disk: keys lie far apart. So the
 * newest rows are looked up in memory, and are written to the index a few thousand at a time, in order of keys.
 */
import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { readState, writeState } from './layout.ts'

/** A key's newest row. */
export interface Newest {
  readonly revision: number
  readonly created: number
  /** 1: it is a deletion. */
  readonly gone: number
}

const mostRowsBehind = 4096

export class KeyIndex {
  readonly #database: DatabaseSync
  readonly #lookUp: StatementSync
  readonly #behind = new Map<string, Newest>()
  #rowsBehind = 0

  constructor(database: DatabaseSync) {
    this.#database = database
    this.#lookUp = database.prepare(
      `SELECT revision, created, value IS NULL AS gone FROM log
       WHERE revision = (SELECT max(revision) FROM by_key WHERE key = ?)`,
    )
    this.reload()
  }

  get isDue(): boolean {
    return this.#rowsBehind >= mostRowsBehind
  }

  newest(key: string): Newest | undefined {
    return this.#behind.get(key) ?? (this.#lookUp.get(key) as Newest | undefined)
  }

  /** A row was appended. */
  add(key: string, row: Newest): void {
    this.#behind.set(key, row)
    this.#rowsBehind++
  }

  /** Brings the index up to `revision`, the newest; to be called in a transaction. */
  catchUp(revision: number): void {
    if (this.#rowsBehind === 0) return
    this.#database
      .prepare('INSERT INTO by_key SELECT key, revision FROM log WHERE revision > ? ORDER BY key, revision')
      .run(readState(this.#database, 'indexed'))
    writeState(this.#database, 'indexed', revision)
    this.#behind.clear()
    this.#rowsBehind = 0
  }

  /** What is behind as the file has it: at the start, and after a transaction that came to nothing. */
  reload(): void {
    const rows = this.#database
      .prepare('SELECT revision, created, value IS NULL AS gone, key FROM log WHERE revision > ? ORDER BY revision')
      .all(readState(this.#database, 'indexed')) as unknown as (Newest & { key: string })[]
    this.#behind.clear()
    this.#rowsBehind = rows.length
    for (const { key, ...row } of rows) this.#behind.set(key, row)
  }
}
