import { randomInt } from 'node:crypto'
import type { Clock } from '../../../runtime/base/clock.ts'
import type { EtcdClient } from './client.ts'

interface Lease {
  readonly id: number
  readonly until: number
  keys: number
}

/** One lease for each key would cost etcd more than the keys. Source: k8s.io/apiserver/pkg/storage/etcd3/lease_manager.go. */
const mostKeys = 1000
const longestReuseSeconds = 60
const reusePart = 0.05

/** Leases that keys of about the same age share. */
export class Leases {
  readonly #client: EtcdClient
  readonly #clock: Clock
  readonly #current = new Map<number, Promise<Lease>>()

  constructor(client: EtcdClient, clock: Clock) {
    this.#client = client
    this.#clock = clock
  }

  /** The id of a lease that lasts `ttlSeconds` or a little longer. Throws what gRPC says. */
  async get(ttlSeconds: number): Promise<number> {
    for (;;) {
      const found = this.#current.get(ttlSeconds)
      const known = await found?.catch(() => undefined)
      if (known && this.#clock.now() < known.until && known.keys < mostKeys) {
        known.keys++
        return known.id
      }
      // Of all that wait here only the first asks for a new one.
      if (this.#current.get(ttlSeconds) !== found) continue
      const granted = this.#grant(ttlSeconds)
      this.#current.set(ttlSeconds, granted)
      return (await granted).id
    }
  }

  /** After etcd has said that it does not know a lease. */
  forget(ttlSeconds: number): void {
    this.#current.delete(ttlSeconds)
  }

  async #grant(ttlSeconds: number): Promise<Lease> {
    const reuseSeconds = Math.min(longestReuseSeconds, ttlSeconds * reusePart)
    const until = this.#clock.now() + reuseSeconds * 1000
    // Ids of etcd's own choice are beyond 2^53, where numbers are no longer exact.
    const id = randomInt(1, 2 ** 48 - 1)
    await this.#client.call('Lease.LeaseGrant', { ID: id, TTL: Math.ceil(ttlSeconds + reuseSeconds) })
    return { id, until, keys: 1 }
  }
}
