/**
 * One of several leads: the holder of a Lease, which it renews while it lives. Times are measured here, never compared
 * with those of another machine's clock.
 * Source: k8s.io/client-go/tools/leaderelection.
 *
 *     follower ── the lease is free, or nobody has renewed it for its duration ──▶ leader
 *        ▲                                                                          │
 *        └── it could not be renewed in time, or `lead` has ended ◀─────────────────┘
 */
import type { Clock } from '../../runtime/base/clock.ts'
import { hasCode, messageOf } from '../../runtime/base/errors.ts'
import type { Log } from '../../runtime/base/log.ts'
import { resources } from '../api/resources.ts'
import type { Lease } from '../api/types.ts'
import type { ApiClient } from './api-client.ts'

export interface ElectionTimes {
  /** A lease that nobody has renewed for so long is free. A whole number: it is written into the lease. */
  readonly leaseSeconds: number
  /** A leader that could not renew for so long stops leading; shorter than the lease, so that two never lead. */
  readonly renewSeconds: number
  /** Between two tries. */
  readonly retrySeconds: number
}

export const usualTimes: ElectionTimes = { leaseSeconds: 15, renewSeconds: 10, retrySeconds: 2 }

export interface ElectionOptions {
  readonly client: ApiClient
  readonly clock: Clock
  readonly log: Log
  /** Of the lease, in the namespace kube-system. */
  readonly name: string
  /** Who we are: different for every process. */
  readonly identity: string
  readonly times?: ElectionTimes
  /** Leads until `signal` aborts; resolves when it has stopped everything that it began. */
  lead(signal: AbortSignal): Promise<void>
}

export interface Election {
  readonly isLeader: boolean
  /** Stops leading, and gives the lease up, so that the next one need not wait. */
  close(): Promise<void>
}

/** Takes part in an election until closed. */
export function startElection(options: ElectionOptions): Election {
  const candidate = new Candidate(options)
  const done = candidate.run()
  return {
    get isLeader() {
      return candidate.isLeader
    },
    async close() {
      candidate.stop()
      await done
    },
  }
}

const namespace = 'kube-system'

class Candidate {
  readonly #options: ElectionOptions
  readonly #times: ElectionTimes
  readonly #stopped = new AbortController()
  /** What was last seen of the lease, and when we saw it change. */
  #seen: { lease: Lease; at: number } | undefined
  isLeader = false

  constructor(options: ElectionOptions) {
    this.#options = options
    this.#times = options.times ?? usualTimes
  }

  stop(): void {
    this.#stopped.abort()
  }

  async run(): Promise<void> {
    while (!this.#stopped.signal.aborted) {
      if (await this.#tryOnce()) await this.#leadUntilLost()
      else await this.#pause()
    }
  }

  async #pause(): Promise<void> {
    const { clock } = this.#options
    await clock.sleep(this.#times.retrySeconds * 1000, this.#stopped.signal).catch(() => {})
  }

  async #leadUntilLost(): Promise<void> {
    const { log, name, clock, lead } = this.#options
    const over = new AbortController()
    const end = () => over.abort()
    this.#stopped.signal.addEventListener('abort', end, { once: true })
    this.isLeader = true
    log.info(`${name}: leading`)
    const leading = lead(over.signal).catch((error: unknown) => log.error(`${name}: ${messageOf(error)}`))
    const ended = leading.then(end)
    let renewed = clock.now()
    while (!over.signal.aborted) {
      await this.#pause()
      if (await this.#tryOnce()) renewed = clock.now()
      else if (clock.now() - renewed > this.#times.renewSeconds * 1000 || this.#isSomebodyElses()) end()
    }
    this.#stopped.signal.removeEventListener('abort', end)
    await ended
    this.isLeader = false
    log.info(`${name}: leading no more`)
    await this.#release()
  }

  #isSomebodyElses(): boolean {
    return this.#seen !== undefined && this.#seen.lease.spec?.holderIdentity !== this.#options.identity
  }

  /** True if the lease is ours, for the next `leaseSeconds`. */
  async #tryOnce(): Promise<boolean> {
    if (this.#stopped.signal.aborted) return false
    try {
      const current = await this.#read()
      if (!current) {
        this.#note(await this.#options.client.create(resources.leases, this.#ours(undefined)))
        return true
      }
      this.#note(current)
      if (!this.#isFree(current)) return false
      this.#note(await this.#options.client.update(resources.leases, this.#ours(current)))
      return true
    } catch (error) {
      // Somebody was faster; or the server is away, which the next try shows.
      if (!hasCode(error, 'CONFLICT') && !hasCode(error, 'ALREADY_EXISTS')) {
        this.#options.log.warn(`${this.#options.name}: the lease: ${messageOf(error)}`)
      }
      return false
    }
  }

  async #read(): Promise<Lease | undefined> {
    const { client, name } = this.#options
    try {
      return await client.get(resources.leases, { namespace, name })
    } catch (error) {
      if (hasCode(error, 'NOT_FOUND')) return undefined
      throw error
    }
  }

  #note(lease: Lease): void {
    const isSame = this.#seen?.lease.metadata?.resourceVersion === lease.metadata?.resourceVersion
    if (!isSame) this.#seen = { lease, at: this.#options.clock.now() }
  }

  #isFree({ spec }: Lease): boolean {
    if (!spec?.holderIdentity || spec.holderIdentity === this.#options.identity) return true
    const seconds = spec.leaseDurationSeconds ?? this.#times.leaseSeconds
    return this.#options.clock.now() - (this.#seen?.at ?? 0) > seconds * 1000
  }

  #ours(current: Lease | undefined): Lease {
    const { identity, clock, name } = this.#options
    const now = microTime(clock.now())
    const before = current?.spec
    const isNew = before?.holderIdentity !== identity
    return {
      metadata: { ...current?.metadata, name, namespace },
      spec: {
        ...before,
        holderIdentity: identity,
        leaseDurationSeconds: this.#times.leaseSeconds,
        renewTime: now,
        acquireTime: isNew ? now : (before?.acquireTime ?? now),
        leaseTransitions: (before?.leaseTransitions ?? 0) + (isNew && current ? 1 : 0),
      },
    }
  }

  async #release(): Promise<void> {
    const lease = this.#seen?.lease
    if (!lease || this.#isSomebodyElses()) return
    const now = microTime(this.#options.clock.now())
    const spec = { ...lease.spec, holderIdentity: '', leaseDurationSeconds: 1, renewTime: now, acquireTime: now }
    try {
      this.#note(await this.#options.client.update(resources.leases, { ...lease, spec }))
    } catch (error) {
      this.#options.log.warn(`${this.#options.name}: the lease could not be given up: ${messageOf(error)}`)
    }
  }
}

/** metav1.MicroTime. */
function microTime(milliseconds: number): string {
  return `${new Date(milliseconds).toISOString().slice(0, 23)}000Z`
}
