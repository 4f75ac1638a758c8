/**
 * One key of this process beside the objects. Each of our writes carries the condition that the mark still has the
 * revision that we know. So raising it is a fence: once that is acknowledged, no write that was sent before can be
 * carried out any more, however long a member still holds it. And it is a milestone: once the watch has told the mark's
 * new revision, it has told everything before.
 */
import { randomUUID } from 'node:crypto'
import type { EtcdClient } from './client.ts'
import { isOutcomeUnknown } from './client.ts'
import type { Leases } from './leases.ts'
import type { Patience } from './patience.ts'

/** A process that was killed leaves its mark behind for so long; one that lives makes a new one. */
const ttlSeconds = 3600

/** Keys below `<prefix>coracle-marks/` are ours alone: no subscriber hears of them. */
export function marksBelow(prefix: string): string {
  return `${prefix}coracle-marks/`
}

export class Mark {
  readonly key: Buffer
  readonly #client: EtcdClient
  readonly #leases: Leases
  #revision = 0
  #raising: Promise<void> | undefined

  constructor(options: { client: EtcdClient; leases: Leases; prefix: string }) {
    this.#client = options.client
    this.#leases = options.leases
    this.key = Buffer.from(marksBelow(options.prefix) + randomUUID())
  }

  /** The revision that a write's condition has to name. Throws what gRPC says once `patience` is over. */
  async current(patience: Patience): Promise<number> {
    return this.#revision > 0 ? this.#revision : this.raise(0, patience)
  }

  /** A write with the condition `known` was refused, because the mark is at `found` (0: it has lapsed). */
  moved(known: number, found: number): void {
    if (this.#revision === known) this.#revision = found
  }

  /** Resolves to the mark's revision once that is above `than`. Throws what gRPC says once `patience` is over. */
  async raise(than: number, patience: Patience): Promise<number> {
    while (this.#revision <= than) {
      try {
        this.#raising ??= this.#put().finally(() => {
          this.#raising = undefined
        })
        await this.#raising
      } catch (error) {
        if (!isOutcomeUnknown(error) || patience.isOver) throw error
        await patience.pause()
      }
    }
    return this.#revision
  }

  async remove(): Promise<void> {
    const success = [{ request_delete_range: { key: this.key } }]
    if (this.#revision > 0) await this.#client.call('KV.Txn', { compare: [], success, failure: [] })
  }

  async #put(): Promise<void> {
    const lease = await this.#leases.get(ttlSeconds)
    const success = [{ request_put: { key: this.key, value: Buffer.alloc(0), lease } }]
    const { header } = await this.#client.call('KV.Txn', { compare: [], success, failure: [] })
    this.#revision = Math.max(this.#revision, header.revision)
  }
}
