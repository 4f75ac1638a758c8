/**
 * What the API server needs of a store: what Kubernetes needs of etcd. Keys and values are text, order is by revision;
 * a store knows no kind.
 */

/** A key's newest state (at some revision). */
export interface StoreRecord {
  readonly key: string
  readonly value: string
  /** The revision of the last write. */
  readonly revision: number
  /** The revision at which the key was made. */
  readonly created: number
}

export type StoreEvent =
  | { readonly type: 'put'; readonly record: StoreRecord }
  /** `record` is the last state; `record.revision` is the revision of the deletion. */
  | { readonly type: 'delete'; readonly record: StoreRecord }

export interface RangeOptions {
  /** At this revision; the newest when left out. Throws COMPACTED or FUTURE_REVISION. */
  revision?: number
  /** From this key on (inclusive), within the prefix. */
  from?: string
  limit?: number
  /** To be told how many keys the limit leaves out. */
  isCounted?: boolean
}

export interface Range {
  readonly records: readonly StoreRecord[]
  /** The revision that this is the state of. */
  readonly revision: number
  readonly more: boolean
  /** How many keys of the prefix come after the last record; set where `isCounted` and there are more. */
  readonly left?: number
}

export interface WriteOptions {
  /**
   * After so many seconds the store deletes the key by itself: not before, and at most a minute later. Each write says
   * it anew; one that does not takes it back.
   */
  readonly ttlSeconds?: number
}

/** Follows a store. */
export interface Subscriber {
  /**
   * All events of one commit (or several) together, in order of revisions; keys that lapse together may share one.
   * `revision` is up to where everything has been told by now, also when `events` is empty.
   */
  deliver(events: readonly StoreEvent[], revision: number): void
  /**
   * Events up to `revision` were compacted away before they could be told: what one knows has to be read anew, at that
   * revision. Later events come when the promise has resolved. Only a store that several servers share ever calls it.
   */
  reload(revision: number): Promise<void>
}

/**
 * Every write is durable before its promise resolves, gets the next revision, and is refused with a CoracleError:
 * `KEY_EXISTS`, `KEY_NOT_FOUND`, `REVISION_MISMATCH`, `STORE_FAILED` (nothing was written; `retryable`), or
 * `STORE_UNCERTAIN` (it may have been written, or may yet be). Subscribers have heard of a write before its promise
 * resolves, and of what stood in its way before it is refused.
 */
export interface Store {
  /** Why no write can succeed now; unset while all is well. */
  readonly failure: Error | undefined
  /** Writes a key that must not exist. Resolves to the revision. */
  create(key: string, value: string, options?: WriteOptions): Promise<number>
  /** Writes a key whose newest revision must be `expected`. Resolves to the revision. */
  update(key: string, value: string, expected: number, options?: WriteOptions): Promise<number>
  /** Removes a key whose newest revision must be `expected`. Resolves to the revision of the deletion. */
  delete(key: string, expected: number): Promise<number>
  /**
   * The newest revision: of all that anybody was told of before this call. Subscribers have heard of it, too. Known at
   * once by a store that nobody else writes to.
   */
  revision(): number | Promise<number>
  /** The keys that start with `prefix`, in order. */
  range(prefix: string, options?: RangeOptions): Promise<Range>
  /** What happened to keys with this prefix after revision `after`, up to and with `upTo`. Throws COMPACTED. */
  changes(prefix: string, after: number, upTo: number): Promise<readonly StoreEvent[]>
  /** Tells every event from now on. Returns the function that ends it. */
  subscribe(subscriber: Subscriber): () => void
  /** Forgets what is older than `revision`, but the newest state of each key. */
  compact(revision: number): Promise<void>
  /** Looks for broken invariants: an empty list when all is well. */
  check(): Promise<readonly string[]>
  /** Finishes what was begun. */
  close(): Promise<void>
}
