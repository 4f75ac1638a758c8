import type { Clock } from '../../runtime/base/clock.ts'
import type { Log } from '../../runtime/base/log.ts'
import type { ApiClient } from '../client/api-client.ts'
import { WorkQueue } from '../client/work-queue.ts'

export interface ControllerOptions {
  client: ApiClient
  clock: Clock
  log: Log
}

export interface Controller {
  /** Resolves when its caches are filled. */
  start(): Promise<void>
  close(): Promise<void>
}

export interface ReconcilerOptions extends ControllerOptions {
  name: string
  /** Makes the world right for one key. Throws to be called again, later and later. */
  reconcile: (key: string) => Promise<void>
}

/** Key in, act, again on error: the loop that every controller is. */
export class Reconciler {
  readonly #queue: WorkQueue

  constructor(options: ReconcilerOptions) {
    const { name, clock, log } = options
    this.#queue = new WorkQueue({ name, clock, log, process: options.reconcile })
  }

  add(key: string): void {
    this.#queue.add(key)
  }

  /** Looks again after this time: for what is neither done nor wrong yet. */
  addAfter(key: string, milliseconds: number): void {
    this.#queue.addAfter(key, milliseconds)
  }

  /** The controller that consists of this loop and the caches that feed it. */
  with(sources: readonly Controller[]): Controller {
    return {
      start: async () => {
        for (const source of sources) await source.start()
      },
      close: async () => {
        await Promise.all(sources.map((source) => source.close()))
        await this.#queue.close()
      },
    }
  }
}
