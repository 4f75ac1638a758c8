import type { Clock } from '../../runtime/base/clock.ts'
import { messageOf } from '../../runtime/base/errors.ts'
import type { Log } from '../../runtime/base/log.ts'
import type { Broadcaster } from '../store/broadcaster.ts'
import type { Store } from '../store/store.ts'

/** As in Kubernetes: the past of the last five to ten minutes can be read. */
const intervalMilliseconds = 5 * 60 * 1000

export interface CompactorOptions {
  readonly store: Store
  readonly broadcaster: Broadcaster
  readonly clock: Clock
  readonly log: Log
}

/** Lets the store forget the past, until the returned function is called and its promise resolves. */
export function startCompactor({ store, broadcaster, clock, log }: CompactorOptions): () => Promise<void> {
  const stop = new AbortController()
  const run = async () => {
    let before = 0
    while (!stop.signal.aborted) {
      await clock.sleep(intervalMilliseconds, stop.signal).catch(() => {})
      if (stop.signal.aborted) return
      const now = broadcaster.revision
      try {
        if (before > 0) await store.compact(before)
      } catch (error) {
        log.warn('the store was not compacted', { error: messageOf(error) })
      }
      before = now
    }
  }
  const running = run()
  return async () => {
    stop.abort(new Error('the server closes'))
    await running
  }
}
