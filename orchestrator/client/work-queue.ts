import { type Clock, systemClock } from '../../runtime/base/clock.ts'
import { messageOf } from '../../runtime/base/errors.ts'
import { type Log, silentLog } from '../../runtime/base/log.ts'

export interface WorkQueueOptions {
  /** Shown in the log. */
  readonly name: string
  /** Does the work of one key from what is observed now. What it throws is logged, and the key comes again later. */
  process(key: string): Promise<void>
  /** So many keys at once; 1 when left out. The same key is never in two hands. */
  readonly concurrency?: number
  readonly clock?: Clock
  readonly log?: Log
}

const firstRetry = 10
const longestRetry = 60_000

/**
 * Keys to be worked on, each at most once in the queue.
 *
 *     add ─▶ waiting ─▶ working ─▶ done            a key that is added while it is worked on
 *              ▲           │ fails                 comes again afterwards, once
 *              └─ backoff ◀┘
 */
export class WorkQueue {
  readonly #options: WorkQueueOptions
  readonly #clock: Clock
  readonly #log: Log
  readonly #waiting = new Set<string>()
  readonly #working = new Map<string, Promise<void>>()
  readonly #again = new Set<string>()
  readonly #failures = new Map<string, number>()
  readonly #stop = new AbortController()

  constructor(options: WorkQueueOptions) {
    this.#options = options
    this.#clock = options.clock ?? systemClock
    this.#log = options.log ?? silentLog
  }

  add(key: string): void {
    if (this.#stop.signal.aborted) return
    if (this.#working.has(key)) this.#again.add(key)
    else this.#waiting.add(key)
    // Not in the turn of whoever adds, who may add the same key again.
    queueMicrotask(() => this.#next())
  }

  /** Adds the key after this time. */
  addAfter(key: string, milliseconds: number): void {
    this.#clock.sleep(milliseconds, this.#stop.signal).then(
      () => this.add(key),
      () => {},
    )
  }

  /** Keys that wait or are worked on. */
  get size(): number {
    return this.#waiting.size + this.#working.size
  }

  /** Takes nothing more up; resolves when the work in hand is done. */
  async close(): Promise<void> {
    this.#stop.abort(new Error(`the queue ${this.#options.name} is closed`))
    this.#waiting.clear()
    await Promise.all(this.#working.values())
  }

  #next(): void {
    if (this.#stop.signal.aborted) return
    const { concurrency = 1 } = this.#options
    for (const key of this.#waiting) {
      if (this.#working.size >= concurrency) return
      this.#waiting.delete(key)
      this.#working.set(key, this.#work(key))
    }
  }

  async #work(key: string): Promise<void> {
    try {
      await this.#options.process(key)
      this.#failures.delete(key)
    } catch (error) {
      this.#retryLater(key, error)
    }
    this.#working.delete(key)
    if (this.#again.delete(key) && !this.#stop.signal.aborted) this.#waiting.add(key)
    this.#next()
  }

  #retryLater(key: string, error: unknown): void {
    const failures = this.#failures.get(key) ?? 0
    this.#failures.set(key, failures + 1)
    this.#log.warn('work failed', { queue: this.#options.name, key, error: messageOf(error), attempt: failures + 1 })
    this.addAfter(key, Math.min(firstRetry * 2 ** Math.min(failures, 20), longestRetry))
  }
}
