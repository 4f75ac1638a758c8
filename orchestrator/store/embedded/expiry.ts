import type { Clock } from '../../../runtime/base/clock.ts'
import type { Lapsed } from './protocol.ts'

export interface ExpiryOptions {
  readonly clock: Clock
  lapsed(now: number): Promise<Lapsed>
  /** May be refused: somebody has written the key meanwhile. */
  remove(key: string, revision: number): Promise<unknown>
}

/** Keys that lapse within the same second go together; and a store that fails is not asked more often. */
const pauseMilliseconds = 1000
const longestSleepMilliseconds = 10 * 60 * 1000

/** Deletes keys when their time is over. Sleeps until then. */
export class Expiry {
  readonly #options: ExpiryOptions
  readonly #stop = new AbortController()
  #wake = new AbortController()
  #next = Number.POSITIVE_INFINITY
  readonly #running: Promise<void>

  constructor(options: ExpiryOptions) {
    this.#options = options
    this.#running = this.#run()
  }

  /** Somebody has written a key that lapses then, in milliseconds since 1970. */
  expect(at: number): void {
    if (at >= this.#next) return
    this.#next = at
    this.#wake.abort()
  }

  async close(): Promise<void> {
    this.#stop.abort()
    await this.#running
  }

  async #run(): Promise<void> {
    const { clock } = this.#options
    const stop = this.#stop.signal
    while (!stop.aborted) {
      // A failed store says so to its writers; here it is only tried again.
      await this.#sweep().catch(() => this.expect(clock.now() + pauseMilliseconds))
      await clock.sleep(pauseMilliseconds, stop).catch(() => {})
      while (!stop.aborted && this.#next > clock.now()) {
        this.#wake = new AbortController()
        const sleep = Math.min(this.#next - clock.now(), longestSleepMilliseconds)
        await clock.sleep(sleep, AbortSignal.any([stop, this.#wake.signal])).catch(() => {})
      }
    }
  }

  async #sweep(): Promise<void> {
    const { clock, lapsed, remove } = this.#options
    this.#next = Number.POSITIVE_INFINITY
    const { due, next } = await lapsed(clock.now())
    if (next !== undefined) this.#next = Math.min(this.#next, next)
    const removed = await Promise.allSettled(due.map(({ key, revision }) => remove(key, revision)))
    // What could not be removed is found again; so are those that were too many for one question.
    if (removed.length > 0) this.#next = Math.min(this.#next, clock.now() + pauseMilliseconds)
  }
}
