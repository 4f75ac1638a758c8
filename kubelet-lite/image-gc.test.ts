import { expect, it } from 'vitest'
import { silentLog } from '../runtime/base/log.ts'
import { ImageGarbage } from './image-gc.ts'

it('ImageGarbage: asks again and again, goes on after an error, and stops when closed', async () => {
  const asked: unknown[] = []
  const enough = Promise.withResolvers<void>()
  const clock = {
    now: () => 0,
    sleep: (_milliseconds: number, signal?: AbortSignal) =>
      asked.length < 3
        ? Promise.resolve()
        : new Promise<void>((_done, failed) => {
            enough.resolve()
            signal?.addEventListener('abort', () => failed(signal.reason))
          }),
  }
  const images = {
    reclaim: async (options?: object) => {
      asked.push(options)
      if (asked.length === 1) throw new Error('disk')
      return { usedPercent: 90, wantedBytes: 2, freedBytes: 1, removed: [] }
    },
  }
  const garbage = new ImageGarbage({ images, settings: { highPercent: 70 }, clock, log: silentLog })
  garbage.start()
  await enough.promise
  await garbage.close()
  expect(asked).toEqual([{ highPercent: 70 }, { highPercent: 70 }, { highPercent: 70 }])
})
