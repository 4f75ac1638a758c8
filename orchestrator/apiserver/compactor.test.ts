import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import type { Clock } from '../../runtime/base/clock.ts'
import { silentLog as log } from '../../runtime/base/log.ts'
import { Broadcaster } from '../store/broadcaster.ts'
import { openEmbeddedStore } from '../store/embedded/embedded-store.ts'
import { startCompactor } from './compactor.ts'

/** Sleeps end when the test says so. */
function steppedClock(): Clock & { step(): Promise<void>; slept: number[] } {
  let wake = () => {}
  const slept: number[] = []
  return {
    now: () => 0,
    slept,
    sleep: (milliseconds, signal) =>
      new Promise((resolve, reject) => {
        slept.push(milliseconds)
        wake = resolve
        signal?.addEventListener('abort', () => reject(signal.reason), { once: true })
      }),
    async step() {
      const before = slept.length
      wake()
      while (slept.length === before) await new Promise((resolve) => setTimeout(resolve, 1))
    },
  }
}

it('startCompactor: every five minutes it forgets what is older than five minutes', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'coracle-compactor-'))
  const store = await openEmbeddedStore(join(folder, 'store.db'))
  const broadcaster = new Broadcaster(store, '/r/')
  await broadcaster.start()
  const clock = steppedClock()
  const stop = startCompactor({ store, broadcaster, clock, log })
  const first = await store.create('/r/1', 'x')
  const second = await store.update('/r/1', 'y', first)
  await clock.step()
  const third = await store.update('/r/1', 'z', second)
  expect(await store.changes('/r/', first, third)).toHaveLength(2)
  await clock.step()
  await expect(store.changes('/r/', first, third)).rejects.toMatchObject({ code: 'COMPACTED' })
  expect(await store.changes('/r/', second, third)).toHaveLength(1)
  expect(new Set(clock.slept)).toEqual(new Set([300_000]))
  await stop()
  broadcaster.close()
  await store.close()
  rmSync(folder, { recursive: true })
})
