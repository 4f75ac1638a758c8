import { messageOf } from '../../runtime/base/errors.ts'
import type { Topic } from './broadcaster.ts'
import { storeError } from './errors.ts'
import type { Store, StoreEvent, StoreRecord } from './store.ts'

/** `value` of a deletion is the last state, at the revision of the deletion. `previous` is unset for a new key. */
export interface CacheEvent<T> {
  readonly type: 'put' | 'delete'
  readonly key: string
  readonly revision: number
  readonly value: T
  readonly previous?: T
}

/** Turns stored text into the shared, frozen value at that revision. */
export type Decode<T> = (text: string, revision: number, key: string) => T

export interface CacheEntry<T> {
  readonly key: string
  readonly value: T
  readonly revision: number
}

export interface WatchCacheOptions<T> {
  readonly prefix: string
  readonly store: Store
  readonly decode: Decode<T>
  /** The same value at a later revision: spares the decoding of what is deleted, which is here already. */
  readonly atRevision?: (value: T, revision: number) => T
  /**
   * Is told what a watcher threw: that one is told of what comes next, and nobody else is kept from anything. It is told
   * of texts that cannot be read, too.
   */
  readonly failed?: (error: unknown) => void
}

/** This many past events of each prefix are answered from memory; older ones from the store. */
const windowSize = 2048

/**
 * All values below one prefix, in memory, with the recent events: gets, lists and watches never touch the store unless
 * they ask for the past.
 */
export class WatchCache<T> implements Topic {
  readonly prefix: string
  readonly #store: Store
  readonly #decode: Decode<T>
  readonly #entries = new Map<string, CacheEntry<T>>()
  readonly #watchers = new Set<(event: CacheEvent<T>) => void>()
  readonly #written = new Map<string, { text: string; make: (revision: number) => T }>()
  #window: CacheEvent<T>[] = []
  /** Events after this revision are all in the window. */
  #windowStart = 0
  #ordered: readonly CacheEntry<T>[] | undefined

  readonly #atRevision: WatchCacheOptions<T>['atRevision']
  readonly #failed: (error: unknown) => void

  constructor(options: WatchCacheOptions<T>) {
    this.prefix = options.prefix
    this.#store = options.store
    this.#decode = options.decode
    this.#atRevision = options.atRevision
    this.#failed = options.failed ?? (() => {})
  }

  get(key: string): CacheEntry<T> | undefined {
    return this.#entries.get(key)
  }

  /** In order of keys. The array is shared: do not change it. */
  list(): readonly CacheEntry<T>[] {
    this.#ordered ??= [...this.#entries.values()].sort((left, right) => (left.key < right.key ? -1 : 1))
    return this.#ordered
  }

  /** In order of keys, only those that start with `prefix`. */
  listBelow(prefix: string): readonly CacheEntry<T>[] {
    if (prefix === this.prefix) return this.list()
    const all = this.list()
    const start = firstAtOrAfter(all, prefix)
    let end = start
    while (all[end]?.key.startsWith(prefix)) end++
    return all.slice(start, end)
  }

  /**
   * Spares the decoding of what this process writes itself: when the event with exactly this text arrives, `make` is
   * asked for the value instead of the decoder. Returns the function that withdraws it.
   */
  expect(key: string, text: string, make: (revision: number) => T): () => void {
    const written = { text, make }
    this.#written.set(key, written)
    return () => {
      if (this.#written.get(key) === written) this.#written.delete(key)
    }
  }

  /**
   * Every event after revision `after`, then every new one, each once and in order, until the returned function is
   * called. What is still in memory is delivered before this returns. Throws COMPACTED when the past is gone.
   */
  async watch(after: number, deliver: (event: CacheEvent<T>) => void): Promise<() => void> {
    if (after >= this.#windowStart) {
      for (const event of this.#window) if (event.revision > after) deliver(event)
      return this.follow(deliver)
    }
    const early: CacheEvent<T>[] = []
    const endEarly = this.follow((event) => early.push(event))
    try {
      const past = await this.#past(after, this.#newestRevision())
      for (const event of past) deliver(event)
      for (const event of early) if (event.revision > (past.at(-1)?.revision ?? after)) deliver(event)
      return this.follow(deliver)
    } finally {
      endEarly()
    }
  }

  /** Every event from now on. */
  follow(deliver: (event: CacheEvent<T>) => void): () => void {
    this.#watchers.add(deliver)
    return () => this.#watchers.delete(deliver)
  }

  /**
   * Watchers are told the difference to what was here before: what happened in between is lost, and who asks for it is
   * told that it is compacted. An object that has gone is told with its last known state.
   */
  load(records: readonly StoreRecord[], revision: number): void {
    const gone = new Map(this.#entries)
    for (const { key } of records) gone.delete(key)
    this.#window = []
    this.#windowStart = revision
    const changed = records.filter(({ key, revision: at }) => this.#entries.get(key)?.revision !== at)
    for (const record of changed.sort((left, right) => left.revision - right.revision)) {
      const change = this.#changeOf('put', record)
      if (change) this.#tell(change)
    }
    for (const { key, value } of gone.values()) this.#tell(this.#change({ type: 'delete', key, revision, value }))
  }

  apply(event: StoreEvent): void {
    const change = this.#changeOf(event.type, event.record)
    if (!change) return
    this.#remember(change)
    this.#tell(change)
  }

  /** What a write changes here. What cannot be read is as good as gone, and nothing when there was nothing. */
  #changeOf(type: 'put' | 'delete', record: StoreRecord): CacheEvent<T> | undefined {
    const { key, revision } = record
    const known = this.#entries.get(key)
    if (type === 'delete' && known && this.#atRevision) {
      return this.#change({ type, key, revision, value: this.#atRevision(known.value, revision) })
    }
    const read = this.#read(record)
    if (read) return this.#change({ type, key, revision, ...read })
    return known && this.#change({ type: 'delete', key, revision, value: known.value })
  }

  /** Undefined for a text that is no value: it is told of, and keeps nobody from the others. */
  #read({ key, value: text, revision }: StoreRecord): { value: T } | undefined {
    try {
      return { value: this.#valueOf(key, text, revision) }
    } catch (error) {
      this.#failed(storeError('UNREADABLE', `read ${key} at ${revision}: ${messageOf(error)}`, error))
      return undefined
    }
  }

  #change({ type, key, revision, value }: Omit<CacheEvent<T>, 'previous'>): CacheEvent<T> {
    const previous = this.#entries.get(key)?.value
    if (type === 'put') this.#entries.set(key, { key, value, revision })
    else this.#entries.delete(key)
    this.#ordered = undefined
    return { type, key, revision, value, ...(previous === undefined ? {} : { previous }) }
  }

  #tell(event: CacheEvent<T>): void {
    for (const deliver of this.#watchers) {
      try {
        deliver(event)
      } catch (error) {
        this.#failed(error)
      }
    }
  }

  #valueOf(key: string, text: string, revision: number): T {
    const written = this.#written.get(key)
    if (written?.text !== text) return this.#decode(text, revision, key)
    this.#written.delete(key)
    return written.make(revision)
  }

  #remember(event: CacheEvent<T>): void {
    this.#window.push(event)
    if (this.#window.length < 2 * windowSize) return
    const forgotten = this.#window.splice(0, windowSize)
    this.#windowStart = forgotten.at(-1)?.revision ?? this.#windowStart
  }

  #newestRevision(): number {
    return this.#window.at(-1)?.revision ?? this.#windowStart
  }

  /** From the store: an event needs the value before it, which the events themselves tell, or the state at `after`. */
  async #past(after: number, upTo: number): Promise<CacheEvent<T>[]> {
    if (after < 0) throw storeError('COMPACTED', `watch from revision ${after}: there is none`)
    const events = await this.#store.changes(this.prefix, after, upTo)
    if (events.length === 0) return []
    const before = new Map<string, T>()
    if (after > 0) {
      const { records } = await this.#store.range(this.prefix, { revision: after })
      for (const record of records) {
        const read = this.#read(record)
        if (read) before.set(record.key, read.value)
      }
    }
    return events.flatMap(({ type, record }): CacheEvent<T>[] => {
      const { key, revision } = record
      const read = this.#read(record)
      if (!read) return []
      const { value } = read
      const previous = before.get(key)
      if (type === 'put') before.set(key, value)
      else before.delete(key)
      return [{ type, key, revision, value, ...(previous === undefined ? {} : { previous }) }]
    })
  }
}

function firstAtOrAfter<T>(entries: readonly CacheEntry<T>[], key: string): number {
  let low = 0
  let high = entries.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((entries[middle]?.key ?? '') < key) low = middle + 1
    else high = middle
  }
  return low
}
