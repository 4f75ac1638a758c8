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
}

export interface Range {
  readonly records: readonly StoreRecord[]
  /** The revision that this is the state of. */
  readonly revision: number
  readonly more: boolean
}

/**
 * Every write is durable before its promise resolves, gets the next revision, and is refused with a CoracleError:
 * `KEY_EXISTS`, `KEY_NOT_FOUND`, `REVISION_MISMATCH`, or `STORE_FAILED` (nothing was written; `retryable`).
 */
export interface Store {
  /** Why no write can succeed any more; unset while all is well. */
  readonly failure: Error | undefined
  /** Writes a key that must not exist. Resolves to the revision. */
  create(key: string, value: string): Promise<number>
  /** Writes a key whose newest revision must be `expected`. Resolves to the revision. */
  update(key: string, value: string, expected: number): Promise<number>
  /** Removes a key whose newest revision must be `expected`. Resolves to the revision of the deletion. */
  delete(key: string, expected: number): Promise<number>
  /** The keys that start with `prefix`, in order. */
  range(prefix: string, options?: RangeOptions): Promise<Range>
  /** What happened to keys with this prefix after revision `after`, up to and with `upTo`. Throws COMPACTED. */
  changes(prefix: string, after: number, upTo: number): Promise<readonly StoreEvent[]>
  /**
   * Calls `listener` with every event from now on, in order and before the writer's own promise resolves; all events
   * of one commit together. Returns the function that ends it.
   */
  subscribe(listener: (events: readonly StoreEvent[]) => void): () => void
  /** Forgets what is older than `revision`, but the newest state of each key. */
  compact(revision: number): Promise<void>
  /** Looks for broken invariants: an empty list when all is well. */
  check(): Promise<readonly string[]>
  /** Finishes what was begun. */
  close(): Promise<void>
}
