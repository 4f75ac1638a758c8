import {
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { backupStore } from './backup.ts'
import { checkStore } from './check.ts'
import { defragStore } from './defrag.ts'
import { openEmbeddedStore } from './embedded-store.ts'
import { restoreStore } from './restore.ts'

// Each test waits for some hundred commits of its own.
vi.setConfig({ testTimeout: 30_000 })

let folder: string
let path: string
let file: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'coracle-files-'))
  path = join(folder, 'store', 'coracle.db')
  file = join(folder, 'backup')
})
afterEach(() => rmSync(folder, { recursive: true }))

/** 300 keys, each written twice, a third deleted; the first one has the first revisions. Returns the last revision. */
async function fill(): Promise<number> {
  const store = await openEmbeddedStore(path)
  const live = async (at: number) => {
    const first = await store.create(`/a/${at}`, `${at}`.padEnd(2000, '.'))
    const second = await store.update(`/a/${at}`, `${at} again`.padEnd(2000, '.'), first)
    if (at % 3 === 0) await store.delete(`/a/${at}`, second)
  }
  await live(0)
  await Promise.all(Array.from({ length: 299 }, (_, at) => live(at + 1)))
  await store.close()
  return store.revision()
}

const contents = async () => {
  const store = await openEmbeddedStore(path)
  const { records } = await store.range('/a/')
  await store.close()
  return records
}

const sql = (statements: string) => {
  const database = new DatabaseSync(path)
  database.exec(statements)
  database.close()
}

describe('backupStore', () => {
  it('of a store under 32 writers: is the state at one revision', async () => {
    const store = await openEmbeddedStore(path)
    let isOver = false
    const writers = Array.from({ length: 32 }, async (_, writer) => {
      for (let at = 0; !isOver; at++) await store.create(`/a/${writer}-${at}`, 'x'.repeat(500))
    })
    while ((await store.revision()) < 2000) await new Promise((resolve) => setTimeout(resolve, 5))
    const { revision } = backupStore(path, file)
    isOver = true
    await Promise.all(writers)
    expect(await store.revision()).toBeGreaterThanOrEqual(revision)
    await store.close()
    const copy = new DatabaseSync(file)
    const { rows } = copy.prepare('SELECT count(*) AS rows FROM log WHERE revision <= ?').get(revision) as {
      rows: number
    }
    copy.close()
    expect(rows).toBe(revision)
    expect(readdirSync(folder).sort()).toEqual(['backup', 'store'])
  })

  it('overwrites no file unless told to, and makes no store', async () => {
    expect(() => backupStore(path, file)).toThrow('there is no store')
    expect(existsSync(path)).toBe(false)
    await fill()
    writeFileSync(file, 'mine')
    expect(() => backupStore(path, file)).toThrow(expect.objectContaining({ code: 'STORE_EXISTS' }))
    expect(readFileSync(file, 'utf8')).toBe('mine')
    backupStore(path, file, { force: true })
    restoreStore(join(folder, 'other.db'), file)
  })

  it('does not take a damaged store for a good one', async () => {
    await fill()
    sql('UPDATE log SET created = 1 WHERE revision = 500')
    expect(() => backupStore(path, file)).toThrow(expect.objectContaining({ code: 'STORE_DAMAGED' }))
    expect(readdirSync(folder)).toEqual(['store'])
  })
})

describe('restoreStore', () => {
  it('brings everything back; who saw later revisions has to read anew', async () => {
    await fill()
    const before = await contents()
    const { revision } = backupStore(path, file)
    const store = await openEmbeddedStore(path)
    const later = await store.create('/a/later', 'x')
    expect(() => restoreStore(path, file, { force: true })).toThrow(expect.objectContaining({ code: 'STORE_LOCKED' }))
    await store.close()
    expect(() => restoreStore(path, file)).toThrow(expect.objectContaining({ code: 'STORE_EXISTS' }))
    const restored = restoreStore(path, file, { force: true })
    expect(await contents()).toEqual(before)
    expect(restored.revision).toBeGreaterThan(later)
    expect(statSync(restored.replaced ?? '').size).toBeGreaterThan(0)
    const again = await openEmbeddedStore(path)
    expect(await again.check()).toEqual([])
    for (const seen of [revision, later]) {
      await expect(again.changes('/a/', seen, later)).rejects.toMatchObject({ code: 'COMPACTED' })
    }
    expect(await again.create('/a/later', 'y')).toBe(restored.revision + 1)
    await again.compact(restored.revision + 1)
    expect(await again.check()).toEqual([])
    await again.close()
  })

  it('refuses what is no sound backup, and changes nothing', async () => {
    await fill()
    const before = await contents()
    const attempt = () => restoreStore(path, file, { force: true })
    expect(attempt).toThrow('does not exist')
    writeFileSync(file, 'not a database, but long enough to be taken for the beginning of one'.repeat(100))
    expect(attempt).toThrow(expect.objectContaining({ code: 'STORE_DAMAGED' }))
    new DatabaseSync(join(folder, 'foreign')).exec('CREATE TABLE t (x)')
    expect(() => restoreStore(path, join(folder, 'foreign'), { force: true })).toThrow('not one of Coracle')
    rmSync(file)
    backupStore(path, file)
    const fd = openSync(file, 'r+')
    writeSync(fd, Buffer.alloc(4096, 7), 0, 4096, 4096 * 20)
    expect(attempt).toThrow(expect.objectContaining({ code: 'STORE_DAMAGED' }))
    expect(await contents()).toEqual(before)
    expect(readdirSync(join(folder, 'store')).sort()).toEqual(['coracle.db', 'coracle.db-lock'])
  })

  it('takes the place of a store that cannot be opened any more', async () => {
    await fill()
    backupStore(path, file)
    const before = await contents()
    writeFileSync(path, 'rubbish'.repeat(1000))
    writeFileSync(`${path}-wal`, 'rubbish'.repeat(1000))
    restoreStore(path, file, { force: true })
    expect(await contents()).toEqual(before)
    expect(readFileSync(`${path}.replaced`, 'utf8')).toContain('rubbish')
  })
})

describe('defragStore', () => {
  it('gives room back, changes nothing else, and waits for no server', async () => {
    const last = await fill()
    const store = await openEmbeddedStore(path)
    await store.compact(last)
    expect(() => defragStore(path)).toThrow(expect.objectContaining({ code: 'STORE_LOCKED' }))
    await store.close()
    const before = await contents()
    const { bytesBefore, bytesAfter } = defragStore(path)
    expect(bytesAfter).toBeLessThan(bytesBefore * 0.7)
    expect(statSync(path).size).toBe(bytesAfter)
    expect(await contents()).toEqual(before)
    expect(checkStore(path)).toEqual([])
  })
})

describe('checkStore', () => {
  it('beside a running server: sound', async () => {
    await fill()
    const store = await openEmbeddedStore(path)
    expect(checkStore(path)).toEqual([])
    await store.close()
  })

  it.each([
    ['a row is missing', 'DELETE FROM log WHERE revision = 1', 'revision 2 does'],
    ['a row is of another key', "UPDATE log SET key = '/a/1' WHERE revision = 2", 'revision 2 does'],
    ['a deletion is followed by its own', 'UPDATE log SET value = NULL WHERE revision = 2', 'revision 3 does'],
    ['the counter is behind', "UPDATE state SET value = 9000 WHERE name = 'swept'", 'swept is 9000'],
  ])('%s: says so', async (_, statements, fault) => {
    await fill()
    sql(statements)
    expect(checkStore(path).join()).toContain(fault)
  })

  it('a page that was overwritten: says so', async () => {
    await fill()
    const fd = openSync(path, 'r+')
    writeSync(fd, Buffer.alloc(4096, 7), 0, 4096, 4096 * 20)
    expect(checkStore(path)).not.toEqual([])
  })
})

describe('openEmbeddedStore', () => {
  it('takes over a file of layout 1, and refuses one of a later version', async () => {
    await fill()
    sql(`
      DROP INDEX log_by_expiry; ALTER TABLE log DROP COLUMN expires; DELETE FROM state WHERE name IN ('swept', 'indexed');
      DROP TABLE by_key; CREATE INDEX log_by_key ON log (key, revision);
      UPDATE state SET value = 1 WHERE name = 'layout'`)
    expect(await contents()).toHaveLength(200)
    expect(checkStore(path)).toEqual([])
    sql("UPDATE state SET value = 3 WHERE name = 'layout'")
    await expect(openEmbeddedStore(path)).rejects.toMatchObject({ code: 'STORE_DAMAGED' })
  })

  it('compact: a sweep that was cut off is finished by the next one', async () => {
    const last = await fill()
    sql(`UPDATE state SET value = ${last} WHERE name = 'compacted'`)
    expect(checkStore(path)).toEqual([])
    const store = await openEmbeddedStore(path)
    const next = await store.create('/a/next', 'x')
    await store.compact(next)
    await store.close()
    const database = new DatabaseSync(path)
    expect(database.prepare('SELECT count(*) AS rows FROM log').get()).toEqual({ rows: 201 })
    database.close()
  })
})
