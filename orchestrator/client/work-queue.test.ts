import { describe, expect, it } from 'vitest'
import type { Clock } from '../../runtime/base/clock.ts'
import { WorkQueue } from './work-queue.ts'

/** A clock whose sleepers wake when the test says so. */
function handClock() {
  const sleepers: { milliseconds: number; wake: () => void }[] = []
  const clock: Clock = {
    now: () => 0,
    sleep: (milliseconds, signal) =>
      new Promise((resolve, reject) => {
        sleepers.push({ milliseconds, wake: resolve })
        signal?.addEventListener('abort', () => reject(signal.reason))
      }),
  }
  return { clock, sleepers }
}

const turn = () => new Promise((resolve) => setImmediate(resolve))

describe('WorkQueue', () => {
  it('a key that is added often is worked on once', async () => {
    const worked: string[] = []
    const queue = new WorkQueue({ name: 'test', process: async (key) => void worked.push(key) })
    for (const key of ['a', 'b', 'a', 'a']) queue.add(key)
    await turn()
    expect(worked).toEqual(['a', 'b'])
    await queue.close()
  })

  it('a key that is added while it is worked on comes again, and is never in two hands', async () => {
    let finish = () => {}
    let hands = 0
    let most = 0
    let count = 0
    const queue = new WorkQueue({
      name: 'test',
      concurrency: 4,
      async process() {
        hands++
        count++
        most = Math.max(most, hands)
        await new Promise<void>((resolve) => {
          finish = resolve
        })
        hands--
      },
    })
    queue.add('a')
    await turn()
    queue.add('a')
    queue.add('a')
    await turn()
    expect(count).toBe(1)
    finish()
    await turn()
    expect([count, most]).toEqual([2, 1])
    finish()
    await turn()
    expect([count, queue.size]).toEqual([2, 0])
    await queue.close()
  })

  it('what fails comes again, later each time, until it succeeds', async () => {
    const { clock, sleepers } = handClock()
    let failures = 3
    const queue = new WorkQueue({
      name: 'test',
      clock,
      async process() {
        if (failures-- > 0) throw new Error('not yet')
      },
    })
    queue.add('a')
    for (let at = 0; at < 4; at++) {
      await turn()
      sleepers.at(-1)?.wake()
    }
    expect(sleepers.map(({ milliseconds }) => milliseconds)).toEqual([10, 20, 40])
    expect(failures).toBe(-1)
    await queue.close()
  })

  it('works on so many keys at once', async () => {
    let hands = 0
    let most = 0
    const queue = new WorkQueue({
      name: 'test',
      concurrency: 3,
      async process() {
        most = Math.max(most, ++hands)
        await turn()
        hands--
      },
    })
    for (let at = 0; at < 10; at++) queue.add(String(at))
    while (queue.size > 0) await turn()
    expect(most).toBe(3)
    await queue.close()
  })
})
