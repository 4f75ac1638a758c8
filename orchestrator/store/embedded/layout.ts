/** The file: an SQLite database that people can open. */
import { DatabaseSync } from 'node:sqlite'
import { messageOf } from '../../../runtime/base/errors.ts'
import { storeError } from '../errors.ts'

/** 2 has added `expires`, the states `swept` and `indexed`, and `by_key` in the place of an index of SQLite's. */
const layoutVersion = 2

/** `previous`: the row that this one replaces, 0 for a new key. No value: a deletion. `expires`: ms since 1970, 0: never. */
const layout = `
  CREATE TABLE IF NOT EXISTS log (
    revision INTEGER PRIMARY KEY,
    key      TEXT NOT NULL,
    created  INTEGER NOT NULL,
    previous INTEGER NOT NULL,
    expires  INTEGER NOT NULL DEFAULT 0,
    value    TEXT
  );
  CREATE TABLE IF NOT EXISTS by_key (key TEXT NOT NULL, revision INTEGER NOT NULL, PRIMARY KEY (key, revision)) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS state (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
  INSERT OR IGNORE INTO state VALUES ('layout', ${layoutVersion}), ('compacted', 0), ('revision', 0), ('indexed', 0);
`

const fromLayout1 = `
  ALTER TABLE log ADD COLUMN expires INTEGER NOT NULL DEFAULT 0;
  DROP INDEX log_by_key;
  UPDATE state SET value = ${layoutVersion} WHERE name = 'layout';
`

const indexes = `
  CREATE INDEX IF NOT EXISTS log_by_expiry ON log (expires) WHERE expires > 0;
  INSERT OR IGNORE INTO state SELECT 'swept', value FROM state WHERE name = 'compacted';
`

/**
 * The log is written a whole page at a time: with large ones, a group of writes is a few of them. 500 pages are 8 MB:
 * what a commit has to merge at most.
 */
const pragmas = `
  PRAGMA page_size=16384; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=500;
  PRAGMA temp_store=MEMORY;
`

/**
 * Opens or makes the file. Every commit is on the disk before it returns (WAL, synchronous=FULL).
 * Throws STORE_DAMAGED for a file that is no store, or one of a newer version.
 */
export function openDatabase(path: string): DatabaseSync {
  const database = new DatabaseSync(path, { timeout: 5000 })
  try {
    database.exec(pragmas)
    if (hasTables(database)) requireOurs(database, path)
    database.exec(`BEGIN IMMEDIATE; ${layout}`)
    if (readState(database, 'layout') === 1) database.exec(fromLayout1)
    database.exec(`${indexes} COMMIT`)
    return database
  } catch (error) {
    database.close()
    throw asDamage(error, path)
  }
}

/** For reading beside a running server: a snapshot as long as a statement runs, and nobody is held up. */
export function openReadOnly(path: string): DatabaseSync {
  const database = new DatabaseSync(path, { readOnly: true, timeout: 5000 })
  try {
    requireOurs(database, path)
    return database
  } catch (error) {
    database.close()
    throw asDamage(error, path)
  }
}

export function readState(database: DatabaseSync, name: string): number {
  const row = database.prepare('SELECT value FROM state WHERE name = ?').get(name)
  return Number(row?.value ?? 0)
}

export function writeState(database: DatabaseSync, name: string, value: number): void {
  database.prepare('UPDATE state SET value = ? WHERE name = ?').run(value, name)
}

function hasTables(database: DatabaseSync): boolean {
  return database.prepare('SELECT 1 FROM sqlite_schema LIMIT 1').get() !== undefined
}

function requireOurs(database: DatabaseSync, path: string): void {
  const tables = database.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").all()
  if (!['log', 'state'].every((name) => tables.some((table) => table.name === name))) {
    throw storeError('STORE_DAMAGED', `open ${path}: a database, but not one of Coracle`)
  }
  const version = readState(database, 'layout')
  if (version < 1 || version > layoutVersion) {
    throw storeError('STORE_DAMAGED', `open ${path}: layout ${version}, and this version knows 1 to ${layoutVersion}`)
  }
}

/** SQLITE_CORRUPT and SQLITE_NOTADB. Source: https://sqlite.org/rescode.html */
const damages: readonly unknown[] = [11, 26]

/** True for what SQLite throws when a file is not what it should be. */
export function isDamage(error: unknown): boolean {
  return damages.includes((error as { errcode?: unknown }).errcode)
}

function asDamage(error: unknown, path: string): unknown {
  return isDamage(error) ? storeError('STORE_DAMAGED', `open ${path}: ${messageOf(error)}`, error) : error
}
