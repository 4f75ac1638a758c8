import type { Clock } from '../runtime/base/clock.ts'
import { messageOf } from '../runtime/base/errors.ts'
import type { Log } from '../runtime/base/log.ts'

/** Says when to look at the pod again, in milliseconds from now; `gone` when nothing is left to do for it, ever. */
export type SyncOutcome = { againInMs?: number } | 'gone'

export interface PodWorkersOptions {
  sync: (uid: string, signal: AbortSignal) => Promise<SyncOutcome>
  clock: Clock
  log: Log
}

interface Worker {
  /** Somebody called while a round was under way: one more round, however many called. */
  again: boolean
  running: Promise<void> | undefined
  timer: NodeJS.Timeout | undefined
  failures: number
}

const firstRetryMs = 500
const longestRetryMs = 10_000

/**
 * One worker per pod UID; a pod is never worked on twice at the same time.
 *
 *   wake ─► round ─► idle ── wake, or its own timer ─► round ─► … ─► gone
 *              └─ wake during a round: exactly one more round follows
 */
export class PodWorkers {
  readonly #workers = new Map<string, Worker>()
  readonly #stop = new AbortController()
  readonly #options: PodWorkersOptions

  constructor(options: PodWorkersOptions) {
    this.#options = options
  }

  /** Something may have changed for this pod. */
  wake(uid: string): void {
    if (this.#stop.signal.aborted) return
    const worker = this.#workers.get(uid) ?? { again: false, running: undefined, timer: undefined, failures: 0 }
    this.#workers.set(uid, worker)
    worker.again = true
    worker.running ??= this.#run(uid, worker)
  }

  /** Ends after the rounds that are under way. */
  async close(): Promise<void> {
    this.#stop.abort()
    const workers = [...this.#workers.values()]
    for (const worker of workers) clearTimeout(worker.timer)
    await Promise.all(workers.map((worker) => worker.running))
  }

  async #run(uid: string, worker: Worker): Promise<void> {
    clearTimeout(worker.timer)
    let outcome: SyncOutcome = {}
    while (worker.again && !this.#stop.signal.aborted) {
      worker.again = false
      outcome = await this.#round(uid, worker)
    }
    worker.running = undefined
    if (outcome === 'gone') this.#workers.delete(uid)
    else if (outcome.againInMs !== undefined && !this.#stop.signal.aborted) {
      worker.timer = setTimeout(() => this.wake(uid), Math.max(0, outcome.againInMs))
    }
  }

  async #round(uid: string, worker: Worker): Promise<SyncOutcome> {
    try {
      const outcome = await this.#options.sync(uid, this.#stop.signal)
      worker.failures = 0
      return outcome
    } catch (error) {
      if (this.#stop.signal.aborted) return {}
      worker.failures++
      this.#options.log.warn(`pod ${uid}: ${messageOf(error)}`, { error })
      return { againInMs: Math.min(longestRetryMs, firstRetryMs * 2 ** (worker.failures - 1)) }
    }
  }
}
