import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { RangeOptions, Store, StoreEvent } from '../../orchestrator/store/store.ts'

/** One implementation: a fresh, empty store, and the same one opened again after `close`. */
export interface StoreUnderTest {
  open(): Promise<Store>
  /** Removes what `open` left behind. */
  dispose(): Promise<void> | void
}

const follow = (store: Store) => {
  const events: StoreEvent[] = []
  store.subscribe({
    deliver: (batch) => events.push(...batch),
    reload: () => Promise.reject(new Error('reload: nothing was compacted')),
  })
  return events
}

const briefly = ({ type, record: { key, value, revision } }: StoreEvent) => `${type} ${key}=${value}@${revision}`

/** What every store has to do, whatever is behind it. */
export function storeConformance(name: string, make: () => StoreUnderTest): void {
  describe(`store: ${name}`, () => {
    let subject: StoreUnderTest
    let store: Store
    beforeEach(async () => {
      subject = make()
      store = await subject.open()
    })
    afterEach(async () => {
      expect(await store.check()).toEqual([])
      await store.close()
      await subject.dispose()
    })
    writes(() => store)
    ranges(() => store)
    changes(() => store)
    compaction(() => store)
    lapses(() => store)
    survival({
      store: () => store,
      reopen: async () => {
        await store.close()
        store = await subject.open()
        return store
      },
    })
  })
}

function writes(store: () => Store): void {
  it('create: gives the next revision, and refuses a key that exists', async () => {
    const first = await store().create('/a/1', 'x')
    expect(await store().create('/a/2', 'y')).toBe(first + 1)
    await expect(store().create('/a/1', 'z')).rejects.toMatchObject({ code: 'KEY_EXISTS' })
  })

  it('update: only of the newest revision', async () => {
    const first = await store().create('/a/1', 'x')
    const second = await store().update('/a/1', 'y', first)
    await expect(store().update('/a/1', 'z', first)).rejects.toMatchObject({ code: 'REVISION_MISMATCH' })
    await expect(store().update('/a/none', 'z', second)).rejects.toMatchObject({ code: 'KEY_NOT_FOUND' })
    const { records } = await store().range('/a/')
    expect(records).toEqual([{ key: '/a/1', value: 'y', revision: second, created: first }])
  })

  it('delete: only of the newest revision; the key can be made again', async () => {
    const first = await store().create('/a/1', 'x')
    await expect(store().delete('/a/1', first + 7)).rejects.toMatchObject({ code: 'REVISION_MISMATCH' })
    const gone = await store().delete('/a/1', first)
    await expect(store().delete('/a/1', gone)).rejects.toMatchObject({ code: 'KEY_NOT_FOUND' })
    expect((await store().range('/a/')).records).toEqual([])
    const again = await store().create('/a/1', 'y')
    expect((await store().range('/a/')).records[0]).toMatchObject({ created: again, revision: again })
  })

  it('update: of 64 at once on the same revision exactly one wins', async () => {
    const first = await store().create('/a/1', '0')
    const results = await Promise.allSettled(
      Array.from({ length: 64 }, (_, at) => store().update('/a/1', `${at}`, first)),
    )
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
  })

  it('update: a refusal comes after its reason has been told', async () => {
    const events = follow(store())
    const first = await store().create('/a/1', '0')
    const races = Array.from({ length: 20 }, async (_, at) => {
      const error = await store()
        .update('/a/1', `${at}`, first)
        .then(
          () => undefined,
          (reason: unknown) => reason,
        )
      if (error) expect(events.filter(({ record }) => record.revision > first)).toHaveLength(1)
    })
    await Promise.all(races)
    const gone = await store().delete('/a/1', events.at(-1)?.record.revision ?? 0)
    await expect(store().update('/a/1', 'x', first)).rejects.toMatchObject({ code: 'KEY_NOT_FOUND' })
    expect(events.at(-1)?.record.revision).toBe(gone)
  })

  it('subscribe: hears of a write before the writer does, in order of revisions', async () => {
    const events = follow(store())
    await Promise.all(
      Array.from({ length: 100 }, async (_, at) => {
        const revision = await store().create(`/a/${at}`, 'x')
        expect(events.some(({ record }) => record.revision === revision)).toBe(true)
      }),
    )
    const revisions = events.map(({ record }) => record.revision)
    expect(revisions).toEqual([...revisions].sort((left, right) => left - right))
    expect(new Set(revisions).size).toBe(100)
  })
}

function ranges(store: () => Store): void {
  it('revision: is the newest one, and subscribers have heard of it', async () => {
    const before = await store().revision()
    let heard = 0
    const end = store().subscribe({
      deliver: (_, revision) => {
        heard = revision
      },
      reload: () => Promise.reject(new Error('reload: nothing was compacted')),
    })
    const first = await store().create('/a/1', 'x')
    expect(first).toBeGreaterThan(before)
    const newest = await Promise.all(Array.from({ length: 20 }, () => store().revision()))
    expect(Math.min(...newest)).toBeGreaterThanOrEqual(first)
    expect(heard).toBeGreaterThanOrEqual(first)
    end()
  })

  it('range: 2,500 keys and a value of 1 MB come whole', { timeout: 30_000 }, async () => {
    const keys = Array.from({ length: 2500 }, (_, at) => `/a/${String(at).padStart(4, '0')}`)
    await Promise.all(keys.map((key) => store().create(key, key)))
    const big = 'x'.repeat(1_000_000)
    await store().create('/a/big', big)
    const { records, more } = await store().range('/a/')
    expect(records.map(({ key }) => key)).toEqual([...keys, '/a/big'])
    expect(records.at(-1)?.value).toBe(big)
    expect(more).toBe(false)
  })

  it('range: is in order of keys, of one prefix, page by page', async () => {
    for (const key of ['/a/2', '/b/1', '/a/1', '/a/3', '/aa/1']) await store().create(key, key)
    const first = await store().range('/a/', { limit: 2 })
    expect(first).toMatchObject({ records: [{ key: '/a/1' }, { key: '/a/2' }], more: true })
    expect(first.left).toBeUndefined()
    const rest = await store().range('/a/', { limit: 2, from: '/a/2\u0000' })
    expect(rest.records.map(({ key }) => key)).toEqual(['/a/3'])
    expect(rest.more).toBe(false)
  })

  it('range: tells how many keys there are beyond its limit, at that revision', async () => {
    for (const key of ['/a/1', '/a/2', '/a/3', '/a/4', '/b/1']) await store().create(key, key)
    const revision = await store().create('/a/5', 'x')
    await store().delete('/a/5', revision)
    const left = async (options: RangeOptions) => (await store().range('/a/', { isCounted: true, ...options })).left
    expect(await left({ limit: 1 })).toBe(3)
    expect(await left({ limit: 1, revision })).toBe(4)
    expect(await left({ limit: 1, revision, from: '/a/3' })).toBe(2)
    expect(await left({ limit: 5, revision })).toBeUndefined()
  })

  it('range: shows the state at an older revision, deletions and re-creations included', async () => {
    const first = await store().create('/a/1', 'x')
    const second = await store().update('/a/1', 'y', first)
    const third = await store().delete('/a/1', second)
    await store().create('/a/1', 'z')
    const valuesAt = async (revision: number) =>
      (await store().range('/a/', { revision })).records.map(({ value }) => value)
    expect(await valuesAt(first)).toEqual(['x'])
    expect(await valuesAt(second)).toEqual(['y'])
    expect(await valuesAt(third)).toEqual([])
    expect(await valuesAt(third + 1)).toEqual(['z'])
    await expect(store().range('/a/', { revision: third + 2 })).rejects.toMatchObject({ code: 'FUTURE_REVISION' })
  })

  it('range: keeps any text', async () => {
    const value = JSON.stringify({ text: 'zürich \u0000 \u{1F6F6} "\\' })
    await store().create('/a/ü', value)
    expect((await store().range('/a/')).records[0]).toMatchObject({ key: '/a/ü', value })
  })
}

function changes(store: () => Store): void {
  it('changes: tells what happened between two revisions; a deletion carries the last value', async () => {
    const first = await store().create('/a/1', 'x')
    await store().create('/b/1', 'other')
    const third = await store().update('/a/1', 'y', first)
    const fourth = await store().delete('/a/1', third)
    const told = await store().changes('/a/', first, fourth)
    expect(told.map(briefly)).toEqual([`put /a/1=y@${third}`, `delete /a/1=y@${fourth}`])
    expect((await store().changes('/a/', first, third)).map(briefly)).toEqual([`put /a/1=y@${third}`])
  })
}

function compaction(store: () => Store): void {
  it('compact: keeps the newest state, refuses the past, and breaks no later change', async () => {
    const first = await store().create('/a/1', 'x')
    const gone = await store().create('/a/2', 'x')
    const second = await store().update('/a/1', 'y', first)
    const deleted = await store().delete('/a/2', gone)
    await store().compact(deleted)
    await expect(store().range('/a/', { revision: second })).rejects.toMatchObject({ code: 'COMPACTED' })
    await expect(store().changes('/a/', first, deleted)).rejects.toMatchObject({ code: 'COMPACTED' })
    expect((await store().range('/a/')).records.map(({ value }) => value)).toEqual(['y'])
    const last = await store().delete('/a/1', second)
    expect((await store().changes('/a/', deleted, last)).map(briefly)).toEqual([`delete /a/1=y@${last}`])
  })

  it('compact: under a watch, every event still comes once and in order', async () => {
    const events = follow(store())
    let compacted = 0
    const write = async (writer: number) => {
      let revision = await store().create(`/a/${writer}`, '0')
      for (let at = 1; at <= 40; at++) {
        revision = await store().update(`/a/${writer}`, `${at}`, revision)
        if (writer === 0 && at % 4 === 0) {
          await store().compact(revision)
          compacted = revision
        }
      }
      await store().delete(`/a/${writer}`, revision)
    }
    await Promise.all(Array.from({ length: 16 }, (_, writer) => write(writer)))
    for (let writer = 0; writer < 16; writer++) {
      const ofKey = events.filter(({ record }) => record.key === `/a/${writer}`)
      expect(ofKey.map(({ type, record }) => (type === 'put' ? record.value : `gone ${record.value}`))).toEqual([
        ...Array.from({ length: 41 }, (_, at) => `${at}`),
        'gone 40',
      ])
    }
    const revisions = events.map(({ record }) => record.revision)
    expect(revisions).toEqual([...new Set(revisions)].sort((left, right) => left - right))
    await expect(store().changes('/a/', compacted - 1, compacted)).rejects.toMatchObject({ code: 'COMPACTED' })
    expect((await store().changes('/a/', compacted, revisions.at(-1) ?? 0)).map(briefly)).toEqual(
      events.filter(({ record }) => record.revision > compacted).map(briefly),
    )
  })

  it('compact: what is compacted already may be compacted again; the future may not', async () => {
    const first = await store().create('/a/1', 'x')
    const second = await store().update('/a/1', 'y', first)
    await store().compact(second)
    await store().compact(first)
    await expect(store().compact(second + 1000)).rejects.toMatchObject({ code: 'FUTURE_REVISION' })
  })
}

function lapses(store: () => Store): void {
  it('ttlSeconds: the key is deleted when its time is over, and subscribers hear of it', {
    timeout: 20_000,
  }, async () => {
    const events = follow(store())
    await store().create('/a/stays', 'x')
    const kept = await store().create('/a/kept', 'x', { ttlSeconds: 1 })
    await store().update('/a/kept', 'y', kept)
    const begun = Date.now()
    await store().create('/a/lapses', 'last', { ttlSeconds: 1 })
    await store().create('/a/later', 'x', { ttlSeconds: 3600 })
    const lapsed = () => events.find(({ type, record }) => type === 'delete' && record.key === '/a/lapses')
    while (!lapsed()) await new Promise((resolve) => setTimeout(resolve, 50))
    expect(Date.now() - begun).toBeGreaterThanOrEqual(1000)
    expect(lapsed()?.record.value).toBe('last')
    expect((await store().range('/a/')).records.map(({ key }) => key)).toEqual(['/a/kept', '/a/later', '/a/stays'])
    await store().create('/a/lapses', 'again')
  })
}

function survival({ store, reopen }: { store: () => Store; reopen: () => Promise<Store> }): void {
  it('open: finds everything again, and goes on with a later revision', async () => {
    const first = await store().create('/a/1', 'x')
    const second = await store().update('/a/1', 'y', first)
    const again = await reopen()
    expect((await again.range('/a/')).records).toEqual([{ key: '/a/1', value: 'y', revision: second, created: first }])
    const third = await again.create('/a/2', 'z')
    expect(third).toBeGreaterThan(second)
    expect(await again.changes('/a/', first, third)).toHaveLength(2)
  })

  it('close: what comes later is refused', async () => {
    await store().create('/a/1', 'x')
    await store().close()
    await expect(store().create('/a/2', 'x')).rejects.toMatchObject({ code: 'STORE_CLOSED' })
    await reopen()
  })

  it('open: never gives a revision out twice, even when the last one was compacted away', async () => {
    const first = await store().create('/a/1', 'x')
    const gone = await store().delete('/a/1', first)
    await store().compact(gone)
    expect(await (await reopen()).create('/a/1', 'y')).toBeGreaterThan(gone)
  })
}
