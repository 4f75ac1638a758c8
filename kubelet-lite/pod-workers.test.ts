import { describe, expect, it } from 'vitest'
import { systemClock } from '../runtime/base/clock.ts'
import { silentLog } from '../runtime/base/log.ts'
import { PodWorkers, type SyncOutcome } from './pod-workers.ts'

const until = async (condition: () => boolean) => {
  for (let round = 0; round < 200 && !condition(); round++) await systemClock.sleep(5)
}
const workersWith = (sync: (uid: string) => Promise<SyncOutcome>) =>
  new PodWorkers({ sync, clock: systemClock, log: silentLog })

describe('PodWorkers', () => {
  it('wake: never two rounds of one pod at a time, and one more for any number of calls meanwhile', async () => {
    let running = 0
    let most = 0
    let rounds = 0
    const workers = workersWith(async () => {
      most = Math.max(most, ++running)
      await systemClock.sleep(20)
      running--
      rounds++
      return {}
    })
    for (let call = 0; call < 5; call++) workers.wake('a')
    await systemClock.sleep(5)
    for (let call = 0; call < 5; call++) workers.wake('a')
    await until(() => rounds === 2)
    await systemClock.sleep(30)
    await workers.close()
    expect({ most, rounds }).toEqual({ most: 1, rounds: 2 })
  })
  it('wake: different pods do not wait for each other', async () => {
    const seen = new Set<string>()
    const workers = workersWith(async (uid) => {
      seen.add(uid)
      await until(() => seen.size === 2)
      return 'gone'
    })
    workers.wake('a')
    workers.wake('b')
    await until(() => seen.size === 2)
    await workers.close()
    expect([...seen]).toEqual(['a', 'b'])
  })
  it('sync: comes again when it asked to, and after an error', async () => {
    let rounds = 0
    const workers = workersWith(async () => {
      rounds++
      if (rounds === 1) return { againInMs: 1 }
      if (rounds === 2) throw new Error('boom')
      return 'gone'
    })
    workers.wake('a')
    await until(() => rounds === 3)
    await workers.close()
    expect(rounds).toBe(3)
  })
})
