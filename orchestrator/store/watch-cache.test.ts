import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Broadcaster } from './broadcaster.ts'
import { openEmbeddedStore } from './embedded/embedded-store.ts'
import type { Store } from './store.ts'
import { type CacheEvent, WatchCache } from './watch-cache.ts'

type Value = { text: string; revision: number }

const decode = (text: string, revision: number): Value => ({ text, revision })
const briefly = ({ type, key, value, previous }: CacheEvent<Value>) =>
  `${type} ${key} ${previous?.text ?? '-'}>${value.text}`

describe('watch-cache', () => {
  let folder: string
  let store: Store
  let broadcaster: Broadcaster
  let cache: WatchCache<Value>

  const start = async () => {
    broadcaster = new Broadcaster(store, '/r/')
    cache = new WatchCache({ prefix: '/r/pods/', store, decode })
    broadcaster.add(cache)
    await broadcaster.start()
  }

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'coracle-cache-'))
    store = await openEmbeddedStore(join(folder, 'store.db'))
    await start()
  })
  afterEach(async () => {
    broadcaster.close()
    await store.close()
    rmSync(folder, { recursive: true })
  })

  it('list: shows a write as soon as the writer knows of it, in order of keys', async () => {
    await store.create('/r/pods/b', '1')
    await store.create('/r/pods/a', '2')
    await store.create('/r/services/specs/a', '3')
    expect(cache.list().map(({ key }) => key)).toEqual(['/r/pods/a', '/r/pods/b'])
    expect(cache.listBelow('/r/pods/b').map(({ value }) => value.text)).toEqual(['1'])
    expect(broadcaster.revision).toBe(3)
  })

  it('watch: events from memory with what was before, then new ones', async () => {
    const seen: CacheEvent<Value>[] = []
    const first = await store.create('/r/pods/a', '1')
    const second = await store.update('/r/pods/a', '2', first)
    const end = await cache.watch(first, (event) => seen.push(event))
    await store.delete('/r/pods/a', second)
    end()
    await store.create('/r/pods/a', '4')
    expect(seen.map(briefly)).toEqual(['put /r/pods/a 1>2', 'delete /r/pods/a 2>2'])
  })

  it('watch: goes back before the start of the server, without gap or repetition', async () => {
    const first = await store.create('/r/pods/a', '1')
    const second = await store.update('/r/pods/a', '2', first)
    await store.create('/r/pods/b', '3')
    broadcaster.close()
    await start()
    const seen: CacheEvent<Value>[] = []
    const watching = cache.watch(first, (event) => seen.push(event))
    const during = store.update('/r/pods/a', '4', second)
    const end = await watching
    await during
    end()
    expect(seen.map(briefly)).toEqual(['put /r/pods/a 1>2', 'put /r/pods/b ->3', 'put /r/pods/a 2>4'])
  })

  it('watch: says when the past is gone', async () => {
    const first = await store.create('/r/pods/a', '1')
    const second = await store.update('/r/pods/a', '2', first)
    await store.compact(second)
    broadcaster.close()
    await start()
    await expect(cache.watch(first, () => {})).rejects.toMatchObject({ code: 'COMPACTED' })
    ;(await cache.watch(second, () => {}))()
  })

  it('watch: 10,000 events arrive each once although memory holds fewer', { timeout: 20_000 }, async () => {
    const first = await store.create('/r/pods/0', '0')
    await Promise.all(Array.from({ length: 10_000 }, (_, at) => store.create(`/r/pods/n${at}`, String(at))))
    const seen: number[] = []
    const end = await cache.watch(first, ({ revision }) => seen.push(revision))
    end()
    expect(seen).toEqual(Array.from({ length: 10_000 }, (_, at) => first + 1 + at))
  })

  it('follow: one that throws keeps nobody from the event, and no writer from its answer', async () => {
    const failures: unknown[] = []
    const failed = (error: unknown) => void failures.push(error)
    broadcaster.close()
    broadcaster = new Broadcaster(store, '/r/')
    cache = new WatchCache({ prefix: '/r/pods/', store, decode, failed })
    broadcaster.add(cache)
    await broadcaster.start()
    const seen: string[] = []
    cache.follow(() => {
      throw new Error('broken')
    })
    cache.follow((event) => seen.push(briefly(event)))
    const first = await store.create('/r/pods/a', '1')
    await store.update('/r/pods/a', '2', first)
    expect(seen).toEqual(['put /r/pods/a ->1', 'put /r/pods/a 1>2'])
    expect(failures).toEqual([new Error('broken'), new Error('broken')])
    expect(broadcaster.revision).toBe(first + 1)
  })

  it('atRevision: what is deleted is told as it was here, at the revision of its end, and not decoded', async () => {
    const read: string[] = []
    broadcaster.close()
    broadcaster = new Broadcaster(store, '/r/')
    cache = new WatchCache<Value>({
      prefix: '/r/pods/',
      store,
      decode: (text, revision) => {
        read.push(text)
        return decode(text, revision)
      },
      atRevision: (value, revision) => ({ ...value, revision }),
    })
    broadcaster.add(cache)
    await broadcaster.start()
    const seen: CacheEvent<Value>[] = []
    cache.follow((event) => seen.push(event))
    const first = await store.create('/r/pods/a', '1')
    await store.delete('/r/pods/a', await store.update('/r/pods/a', '2', first))
    const last = seen.at(-1)
    expect([last?.type, last?.value, last?.previous?.text]).toEqual(['delete', { text: '2', revision: first + 2 }, '2'])
    expect(read).toEqual(['1', '2'])
    expect(cache.get('/r/pods/a')).toBeUndefined()
  })

  it('expect: what this process wrote is not decoded again', async () => {
    const made = { text: 'mine', revision: 0 }
    cache.expect('/r/pods/a', 'text', () => made)
    await store.create('/r/pods/a', 'text')
    expect(cache.get('/r/pods/a')?.value).toBe(made)
    await store.create('/r/pods/b', 'text')
    expect(cache.get('/r/pods/b')?.value).not.toBe(made)
  })
})
