import { execFileSync } from 'node:child_process'
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openEmbeddedStore } from '../../orchestrator/store/embedded/embedded-store.ts'
import { surviveKills } from './store/kills.ts'

const isRoot = process.getuid?.() === 0
let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'coracle-faults-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

describe('kill -9', () => {
  const kills = 12
  it(`${kills} times under 64 writers: no acknowledged write is lost, no watcher has a gap or a repetition`, {
    timeout: 120_000,
  }, async () => {
    const { writes } = await surviveKills(kills)
    expect(writes).toBeGreaterThan(1000)
  })
})

describe('a torn page', () => {
  const writes = 300
  const pageBytes = 16_384
  const frameBytes = 24 + pageBytes
  const walHeaderBytes = 32
  let database: Buffer
  let wal: Buffer

  /** The files of a store in use, as a power cut would leave them: each write was a commit of its own. */
  beforeAll(async () => {
    const path = join(folder, 'torn.db')
    const store = await openEmbeddedStore(path)
    for (let at = 1; at <= writes; at++) await store.create(`/a/${at}`, `${at}`.padEnd(3000, '.'))
    for (const end of ['', '-wal']) copyFileSync(path + end, `${path}.copy${end}`)
    await store.close()
    database = readFileSync(`${path}.copy`)
    wal = readFileSync(`${path}.copy-wal`)
  })

  /** Opens what is left, has it checked, and says which revisions are there. */
  const revisionsOf = async (files: { database: Buffer; wal: Buffer }) => {
    const path = join(folder, `found-${Math.random()}.db`)
    writeFileSync(path, files.database)
    writeFileSync(`${path}-wal`, files.wal)
    const store = await openEmbeddedStore(path)
    expect(await store.check()).toEqual([])
    const revisions = (await store.range('/a/')).records.map(({ revision }) => revision)
    const next = await store.create('/a/next', 'x')
    await store.close()
    expect(next).toBe(revisions.length + 1)
    return revisions.sort((left, right) => left - right)
  }
  const upTo = (last: number) => Array.from({ length: last }, (_, at) => at + 1)

  it('half a page behind the last commit: all is there', async () => {
    const half = wal.subarray(wal.length - frameBytes, wal.length - frameBytes / 2)
    expect(await revisionsOf({ database, wal: Buffer.concat([wal, half]) })).toEqual(upTo(writes))
  })

  it.each([1, 100, 16_000])(
    'the last page of the last commit, %i bytes short: that commit was never made',
    async (bytes) => {
      const cut = wal.subarray(0, wal.length - bytes)
      expect(await revisionsOf({ database, wal: cut })).toEqual(upTo(writes - 1))
    },
  )

  it('a sector of the last page of the last commit is old: that commit was never made', async () => {
    const torn = Buffer.from(wal)
    torn.fill(0, wal.length - 512)
    expect(await revisionsOf({ database, wal: torn })).toEqual(upTo(writes - 1))
  })

  it('a page of the database, torn while the log was being merged: all is there', async () => {
    const torn = Buffer.from(database)
    let spoilt = 0
    for (let at = walHeaderBytes; at < wal.length; at += frameBytes) {
      const begin = (wal.readUInt32BE(at) - 1) * pageBytes
      if (begin + pageBytes > torn.length) continue
      torn.fill(0xa5, begin + 1024, begin + pageBytes)
      spoilt++
    }
    expect(spoilt).toBeGreaterThan(0)
    expect(await revisionsOf({ database: torn, wal })).toEqual(upTo(writes))
  })
})

describe('a full disk', () => {
  it.skipIf(!isRoot)('refuses writes and serves reads, and goes on by itself when there is room again', () => {
    const [file, point] = [join(folder, 'disk.ext4'), join(folder, 'disk')]
    const steps = [
      `truncate -s 16M ${file}`,
      `mkfs.ext4 -q -m 0 ${file}`,
      `mkdir ${point}`,
      `mount -o loop ${file} ${point}`,
      `${process.execPath} ${join(import.meta.dirname, 'store/full-disk.ts')} ${point}`,
      `umount ${point}`,
    ]
    const output = execFileSync('unshare', ['-m', '--propagation', 'private', 'sh', '-ec', steps.join('\n')], {
      encoding: 'utf8',
      timeout: 60_000,
    })
    expect(JSON.parse(output)).toEqual({
      refusals: Array.from({ length: 8 }, () => ['STORE_FAILED', true, 'ENOSPC']),
      again: 'STORE_FAILED',
      missingWhileFull: 0,
      healthyWhileFull: true,
      lost: [],
      hasGaps: false,
      faults: [],
    })
    expect(execFileSync('losetup', ['-a'], { encoding: 'utf8' })).not.toContain(file)
  })
})

describe('coracle store', () => {
  const coracle = (args: readonly string[]) => {
    const program = join(import.meta.dirname, '../../bin/coracle')
    return execFileSync(program, ['store', ...args, '--data-dir', join(folder, 'node')], {
      encoding: 'utf8',
      stdio: 'pipe',
    })
  }

  it('backup and check beside a running server, restore and defrag of a stopped one', async () => {
    const path = join(folder, 'node', 'store', 'coracle.db')
    const file = join(folder, 'backup')
    expect(() => coracle(['check'])).toThrow('there is no store')
    const store = await openEmbeddedStore(path)
    const first = await store.create('/a/1', 'x')
    expect(coracle(['backup', file])).toContain(`revision ${first}`)
    expect(() => coracle(['backup', file])).toThrow('exists already')
    expect(coracle(['check'])).toContain('is sound')
    await store.update('/a/1', 'y', first)
    expect(() => coracle(['restore', file, '--force'])).toThrow('stop the node first')
    expect(() => coracle(['defrag'])).toThrow('stop the node first')
    await store.close()
    expect(() => coracle(['restore', file])).toThrow('--force replaces it')
    expect(coracle(['restore', file, '--force'])).toContain('goes on from revision')
    expect(coracle(['defrag'])).toMatch(/\d+ bytes before, \d+ now/)
    const again = await openEmbeddedStore(path)
    expect((await again.range('/a/')).records).toMatchObject([{ key: '/a/1', value: 'x', revision: first }])
    await again.close()
    writeFileSync(path, readFileSync(path).fill(7, 16_384, 20_480))
    expect(() => coracle(['check'])).toThrow(/it is damaged|malformed/)
  })
})
