/** kill -9 at random moments, and what has to be true after each. */
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { expect } from 'vitest'
import { openEmbeddedStore } from '../../../orchestrator/store/embedded/embedded-store.ts'

interface Seen {
  /** The last event that the watcher has heard of: the next one has to be the one after it. */
  revision: number
  /** key → what a writer was told of it last. `-`: deleted. */
  readonly acknowledged: Map<string, { revision: number; value: string }>
  /** key → what there is, as the watcher has heard. */
  readonly watched: Map<string, { revision: number; value: string }>
  /** Of all lives together. */
  writes: number
}

/** Kills a process of 64 writers so many times, and looks each time for lost writes, and gaps and repetitions of events. */
export async function surviveKills(kills: number): Promise<{ writes: number }> {
  const folder = mkdtempSync(join(tmpdir(), 'coracle-kills-'))
  const path = join(folder, 'store.db')
  const seen: Seen = { revision: 0, acknowledged: new Map(), watched: new Map(), writes: 0 }
  for (let kill = 0; kill < kills; kill++) {
    await oneLife(path, seen, kill)
    await examine(path, seen)
  }
  rmSync(folder, { recursive: true })
  return { writes: seen.writes }
}

/** From the start of a process to a moment between its first commits and half a second later. */
async function oneLife(path: string, seen: Seen, kill: number): Promise<void> {
  const program = join(import.meta.dirname, 'writers.ts')
  // Every other life dies in a compaction, too: of what the watcher knows already.
  const compact = kill % 2 === 1 ? [String(seen.revision)] : []
  const child = spawn(process.execPath, [program, path, String(seen.revision), ...compact], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const lines: string[] = []
  for await (const line of createInterface({ input: child.stdout })) {
    lines.push(line)
    if (line === 'ready') setTimeout(() => child.kill('SIGKILL'), Math.random() * 500)
  }
  expect(lines.includes('ready')).toBe(true)
  for (const line of lines) take(line, seen)
}

function take(line: string, seen: Seen): void {
  const [, kind, revision, key = '', value = ''] = /^([ae]) (\d+) (\S+) (\S+)$/.exec(line) ?? []
  // The kill can cut the last line off: what it began to say was not said.
  if (kind === undefined || (kind === 'a' && !isWhole(key, value))) return
  const told = { revision: Number(revision), value }
  if (kind === 'a') {
    seen.acknowledged.set(key, told)
    seen.writes++
  } else if (isWhole(key, value)) {
    expect(told.revision).toBe(seen.revision + 1)
    seen.revision = told.revision
    if (value === '-') seen.watched.delete(key)
    else seen.watched.set(key, told)
  }
}

/** A number that was cut off is a number, too: the value repeats it. */
function isWhole(key: string, value: string): boolean {
  return value === '-' || value === 'made' || value === `changed${key.split('-').at(-1)}`
}

async function examine(path: string, seen: Seen): Promise<void> {
  const store = await openEmbeddedStore(path)
  expect(await store.check()).toEqual([])
  const asWatched = (await store.range('/w/', { revision: seen.revision })).records
  expect(asWatched).toHaveLength(seen.watched.size)
  for (const { key, revision, value } of asWatched) expect(seen.watched.get(key)).toEqual({ revision, value })
  const { records } = await store.range('/w/')
  const found = new Map(records.map(({ key, revision, value }) => [key, { revision, value }]))
  const newest = await store.revision()
  expect(newest).toBeGreaterThanOrEqual(seen.revision)
  for (const [key, told] of seen.acknowledged) {
    const now = found.get(key)
    // What came after the last answer may be there: it was on the disk, and its answer on the way.
    const isThere = told.value === '-' ? now === undefined : now === undefined || now.revision >= told.revision
    if (!isThere || (now?.revision === told.revision && now.value !== told.value)) {
      expect({ key, now }).toEqual({ key, now: told })
    }
    if (now === undefined && told.value !== '-') await expectDeleted(store, key, told.revision)
  }
  await store.close()
  seen.acknowledged.clear()
}

/** A key that is gone has to have been deleted, after what its writer was told. */
async function expectDeleted(
  store: Awaited<ReturnType<typeof openEmbeddedStore>>,
  key: string,
  after: number,
): Promise<void> {
  const events = await store.changes(key, after, await store.revision())
  expect(events.at(-1)?.type, `${key} is lost`).toBe('delete')
}
