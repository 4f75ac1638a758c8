/**
 * Between the server's thread and the store's thread. One `write` is in flight at a time and carries everything that
 * came while the one before was being committed: that is the group commit.
 *
 *     main                          worker
 *      │ ── write {id, writes} ──▶    │ BEGIN … COMMIT (fsync)
 *      │ ◀─ answer {id, outcomes} ──  │
 *      │ ── range | changes | … ─▶    │ each answered in order
 *      │ ◀─ answer {id, value} ─────  │ or failure {id, error}
 */
import type { ErrorRecord } from '../../../runtime/base/errors.ts'
import type { StoreCode } from '../errors.ts'
import type { RangeOptions } from '../store.ts'

/** `expected` is 0 for a create; a deletion has no value. `expires`: milliseconds since 1970. */
export interface Write {
  readonly key: string
  readonly value?: string
  readonly expected: number
  readonly expires?: number
}

/** Keys whose time is over, at the revision that says so, and when that of the next one will be. */
export interface Lapsed {
  readonly due: readonly { readonly key: string; readonly revision: number }[]
  readonly next: number | undefined
}

/** What became of one write: `previous` is the value that a deletion removed. */
export type Outcome =
  | { readonly revision: number; readonly created: number; readonly previous?: string }
  | { readonly refused: StoreCode; readonly revision: number }

export type Question =
  | { type: 'write'; writes: readonly Write[] }
  | { type: 'range'; prefix: string; options: RangeOptions }
  | { type: 'changes'; prefix: string; after: number; upTo: number }
  | { type: 'compact'; revision: number }
  | { type: 'lapsed'; now: number }
  | { type: 'check' }
  | { type: 'close' }

export type Request = Question & { id: number }
export type Answer = { id: number; value: unknown } | { id: number; error: ErrorRecord }
