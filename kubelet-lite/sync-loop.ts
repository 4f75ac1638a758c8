import { readdir } from 'node:fs/promises'
import type { Clock } from '../runtime/base/clock.ts'
import { messageOf } from '../runtime/base/errors.ts'
import type { Log } from '../runtime/base/log.ts'
import type { RuntimeService } from './cri/types.ts'
import { podsDirectory } from './pod-directory.ts'
import type { PodWorkers } from './pod-workers.ts'
import type { Sources } from './sources.ts'

export interface SyncLoopOptions {
  /** The data directory. */
  root: string
  runtime: RuntimeService
  sources: Sources
  workers: PodWorkers
  clock: Clock
  log: Log
}

const reconnectMs = 200
const resyncMs = 60_000

/**
 * Three things wake a pod's worker, and none of them says what to do: its sources changed, something of it ended, or
 * a minute has passed.
 */
export class SyncLoop {
  readonly #options: SyncLoopOptions
  readonly #stop = new AbortController()
  #running: Promise<unknown> = Promise.resolve()

  constructor(options: SyncLoopOptions) {
    this.#options = options
  }

  /** Wakes every pod that is wanted or exists, then goes on by events. Call it when the sources have been read. */
  start(): void {
    this.#running = Promise.all([this.#follow(), this.#resync()])
  }

  async close(): Promise<void> {
    this.#stop.abort()
    await this.#running
  }

  async #wakeAll(): Promise<void> {
    const { sources, runtime, workers } = this.#options
    const wanted = sources.list().map((pod) => pod.metadata?.uid ?? '')
    // Of a pod whose removal was cut short there may be nothing left but its folder.
    const folders = await readdir(podsDirectory(this.#options.root))
    for (const uid of new Set([...wanted, ...(await runtime.podUids()), ...folders])) workers.wake(uid)
  }

  async #follow(): Promise<void> {
    const { runtime, workers, clock, log } = this.#options
    const { signal } = this.#stop
    while (!signal.aborted) {
      try {
        // Events may have been missed while nobody listened: look at everything once.
        const events = runtime.events(signal)
        await this.#wakeAll()
        for await (const { podUid } of events) workers.wake(podUid)
      } catch (error) {
        if (!signal.aborted) log.warn(`runtime events: ${messageOf(error)}`, { error })
      }
      await clock.sleep(reconnectMs, signal).catch(() => undefined)
    }
  }

  async #resync(): Promise<void> {
    const { clock, log } = this.#options
    const { signal } = this.#stop
    while (!signal.aborted) {
      try {
        await clock.sleep(resyncMs, signal)
        await this.#wakeAll()
      } catch (error) {
        if (!signal.aborted) log.warn(`look at all pods again: ${messageOf(error)}`, { error })
      }
    }
  }
}
