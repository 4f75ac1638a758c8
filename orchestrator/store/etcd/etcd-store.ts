import { status } from '@grpc/grpc-js'
import type { Clock } from '../../../runtime/base/clock.ts'
import { messageOf } from '../../../runtime/base/errors.ts'
import { storeError } from '../errors.ts'
import { endOf } from '../range-end.ts'
import type { Range, RangeOptions, Store, StoreEvent, StoreRecord, Subscriber, WriteOptions } from '../store.ts'
import { checkEtcd } from './check.ts'
import { codeOf, type EtcdAccess, EtcdClient, isOutcomeUnknown } from './client.ts'
import { Delivery } from './delivery.ts'
import { Follower } from './follower.ts'
import { Leases } from './leases.ts'
import { Mark, marksBelow } from './mark.ts'
import type { Calls, KeyValue, RangeResponse, WatchEvent } from './messages.ts'
import { pastEvents } from './past.ts'
import { Patience } from './patience.ts'
import { compactedError, eventOf, futureError, recordOf } from './records.ts'
import { Witnesses, type Write } from './witnesses.ts'
import { asStoreError, writeOnce } from './writer.ts'

export interface EtcdStoreOptions extends EtcdAccess {
  readonly clock: Clock
  /** Only keys below it are followed, and may be written; it ends in `/`. */
  readonly prefix: string
}

/** Several API servers may use one cluster. Throws STORE_FAILED when it cannot be reached. */
export async function openEtcdStore(options: EtcdStoreOptions): Promise<EtcdStore> {
  const store = new EtcdStore(options)
  try {
    await store.start()
    return store
  } catch (error) {
    await store.close()
    throw error
  }
}

/** What one answer holds at most: 2 kB each, it is 2 MB. */
const pageSize = 1000

/** A watch that is this late is asked for anew, at another member if there is one. */
const lateMilliseconds = 5000

/** Most often the watch is there at once; then a consistent read costs etcd no write. */
const briefMilliseconds = 20

export class EtcdStore implements Store {
  readonly #client: EtcdClient
  readonly #clock: Clock
  readonly #prefix: string
  readonly #leases: Leases
  readonly #mark: Mark
  readonly #witnesses = new Witnesses()
  readonly #delivery = new Delivery()
  readonly #follower: Follower
  readonly #subscribers = new Set<Subscriber>()
  readonly #writing = new Set<Promise<number>>()
  #reading: Promise<number> = Promise.resolve(0)
  #nextReading: Promise<number> | undefined
  #failure: Error | undefined
  #closed: Error | undefined

  constructor({ clock, prefix, ...access }: EtcdStoreOptions) {
    this.#client = new EtcdClient(access)
    this.#clock = clock
    this.#prefix = prefix
    this.#leases = new Leases(this.#client, clock)
    this.#mark = new Mark({ client: this.#client, leases: this.#leases, prefix })
    this.#follower = new Follower({
      client: this.#client,
      clock,
      prefix,
      tell: (events, revision) => this.#tell(events, revision),
      lose: (revision) => this.#lose(revision),
      newestRevision: () => this.#newestRevision(),
      report: (error) => {
        this.#failure = error
      },
    })
  }

  get failure(): Error | undefined {
    return this.#closed ?? this.#failure
  }

  /** Follows everything from now on. */
  async start(): Promise<void> {
    const revision = await this.#newestRevision()
    this.#delivery.advance(revision)
    this.#follower.start(revision)
  }

  create(key: string, value: string, options: WriteOptions = {}): Promise<number> {
    return this.#write({ key, value, expected: 0, ...options })
  }

  update(key: string, value: string, expected: number, options: WriteOptions = {}): Promise<number> {
    return this.#write({ key, value, expected, ...options })
  }

  delete(key: string, expected: number): Promise<number> {
    return this.#write({ key, expected })
  }

  /** Those who ask while one question is under way share the next one: that one knows all that they can know of. */
  revision(): Promise<number> {
    this.#nextReading ??= this.#reading
      .catch(() => {})
      .then(() => {
        this.#nextReading = undefined
        this.#reading = this.#readRevision()
        return this.#reading
      })
    return this.#nextReading
  }

  async range(prefix: string, options: RangeOptions = {}): Promise<Range> {
    const records: StoreRecord[] = []
    let { revision, from = prefix } = options
    const limit = options.limit ?? Number.POSITIVE_INFINITY
    for (;;) {
      const page = await this.#page({ prefix, from, revision, limit: Math.min(pageSize, limit - records.length) })
      revision ??= page.header.revision
      for (const kv of page.kvs) {
        const record = recordOf(kv)
        if (!record.key.startsWith(marksBelow(this.#prefix))) records.push(record)
        from = `${record.key}\0`
      }
      if (!page.more) return { records, revision, more: false }
      if (records.length < limit) continue
      return { records, revision, more: true, ...(options.isCounted ? { left: page.count - page.kvs.length } : {}) }
    }
  }

  async changes(prefix: string, after: number, upTo: number): Promise<readonly StoreEvent[]> {
    if (after >= upTo) return []
    const patience = new Patience(this.#clock)
    // The past is read by a watch, and that one ends with an event after `upTo`: there has to be one.
    await this.#mark.raise(upTo, patience).catch((error: unknown) => {
      throw asStoreError(error, `read the changes after ${after}`)
    })
    const events = await pastEvents(this.#client, { prefix: this.#prefix, after, upTo, patience })
    return events.filter(({ kv }) => this.#isOthers(kv) && kv.key.toString().startsWith(prefix)).map(eventOf)
  }

  subscribe(subscriber: Subscriber): () => void {
    this.#subscribers.add(subscriber)
    return () => this.#subscribers.delete(subscriber)
  }

  async compact(revision: number): Promise<void> {
    try {
      await this.#call('KV.Compact', { revision })
    } catch (error) {
      if (codeOf(error) !== status.OUT_OF_RANGE) throw asStoreError(error, 'compact the store')
      // Below what is compacted already it says the same: then somebody else was faster.
      const newest = await this.#newestRevision()
      if (revision > newest) throw futureError(revision, newest)
    }
  }

  check(): Promise<readonly string[]> {
    return checkEtcd(this.#client, this.#clock)
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = storeError('STORE_CLOSED', 'use the store: it is closed')
    await Promise.allSettled(this.#writing)
    await this.#follower.close()
    this.#delivery.close()
    // It lapses by itself.
    await this.#mark.remove().catch(() => {})
    this.#client.close()
  }

  async #write(write: Write): Promise<number> {
    if (this.#closed) throw this.#closed
    const writing = writeOnce(
      {
        client: this.#client,
        clock: this.#clock,
        leases: this.#leases,
        mark: this.#mark,
        witnesses: this.#witnesses,
        told: (revision, patience) => this.#told(revision, patience),
        reached: (revision, patience) => this.#reach(revision, patience),
      },
      write,
    )
    this.#writing.add(writing)
    try {
      return await writing
    } finally {
      this.#writing.delete(writing)
    }
  }

  async #readRevision(): Promise<number> {
    const newest = await this.#newestRevision()
    await this.#reach(newest, new Patience(this.#clock)).catch((error: unknown) => {
      throw storeError('STORE_FAILED', messageOf(error), error)
    })
    return newest
  }

  /** Waits until subscribers have heard of everything up to `revision`, which may be of a key that we do not follow. */
  async #reach(revision: number, patience: Patience): Promise<void> {
    if (await this.#delivery.reach(revision, briefMilliseconds)) return
    try {
      await this.#told(await this.#mark.raise(revision - 1, patience), patience)
    } catch (error) {
      throw asStoreError(error, `reach revision ${revision}`)
    }
  }

  async #told(revision: number, patience: Patience): Promise<void> {
    while (!(await this.#delivery.reach(revision, lateMilliseconds))) {
      if (patience.isOver) throw storeError('STORE_UNCERTAIN', `see revision ${revision}: the watch does not tell it`)
      this.#follower.restart()
    }
  }

  #tell(events: readonly WatchEvent[], revision: number): void {
    this.#witnesses.tell(events)
    const told = events.filter(({ kv }) => this.#isOthers(kv)).map(eventOf)
    for (const subscriber of this.#subscribers) subscriber.deliver(told, revision)
    this.#delivery.advance(revision)
  }

  async #lose(revision: number): Promise<void> {
    this.#witnesses.blind()
    await Promise.all([...this.#subscribers].map((subscriber) => subscriber.reload(revision)))
    this.#delivery.advance(revision)
  }

  #isOthers(kv: KeyValue): boolean {
    return !kv.key.toString().startsWith(marksBelow(this.#prefix))
  }

  async #newestRevision(): Promise<number> {
    try {
      const { header } = await this.#call('KV.Range', { key: this.#mark.key, count_only: true })
      return header.revision
    } catch (error) {
      throw asStoreError(error, 'read the newest revision')
    }
  }

  async #page(asked: {
    prefix: string
    from: string
    revision: number | undefined
    limit: number
  }): Promise<RangeResponse> {
    const { prefix, from, revision, limit } = asked
    try {
      return await this.#call('KV.Range', {
        key: Buffer.from(from),
        range_end: Buffer.from(endOf(prefix)),
        limit,
        ...(revision === undefined ? {} : { revision }),
      })
    } catch (error) {
      if (codeOf(error) !== status.OUT_OF_RANGE || revision === undefined) throw asStoreError(error, `read ${prefix}`)
      const newest = await this.#newestRevision()
      throw revision > newest ? futureError(revision, newest) : compactedError(revision, error)
    }
  }

  /** A call that may be repeated, until it is answered. */
  async #call<Name extends keyof Calls>(name: Name, request: Calls[Name][0]): Promise<Calls[Name][1]> {
    const patience = new Patience(this.#clock)
    for (;;) {
      try {
        return await this.#client.call(name, request)
      } catch (error) {
        if (this.#closed || !isOutcomeUnknown(error) || patience.isOver) throw error
        await patience.pause()
      }
    }
  }
}
