import { CoracleError, type Facts } from '../../runtime/base/errors.ts'

/**
 * KEY_EXISTS, KEY_NOT_FOUND and REVISION_MISMATCH refuse a write; COMPACTED and FUTURE_REVISION refuse a read;
 * VALUE_TOO_LARGE: etcd takes 1.5 MB; STORE_FAILED: the disk or the cluster did, and nothing was written;
 * STORE_UNCERTAIN: the cluster did not say whether it was; STORE_LOCKED: another process has this store;
 * STORE_CLOSED: used after close; STORE_DAMAGED: a file that is no store, or not a sound one; STORE_EXISTS: it would be
 * overwritten; SLOW_WATCHER: a reader that did not keep up was cut off; UNREADABLE: a stored text that is no object.
 */
export type StoreCode =
  | 'KEY_EXISTS'
  | 'KEY_NOT_FOUND'
  | 'REVISION_MISMATCH'
  | 'COMPACTED'
  | 'FUTURE_REVISION'
  | 'VALUE_TOO_LARGE'
  | 'STORE_FAILED'
  | 'STORE_UNCERTAIN'
  | 'STORE_LOCKED'
  | 'STORE_CLOSED'
  | 'STORE_DAMAGED'
  | 'STORE_EXISTS'
  | 'SLOW_WATCHER'
  | 'UNREADABLE'

const retryableCodes: readonly StoreCode[] = ['STORE_FAILED', 'SLOW_WATCHER']

/** An error of this folder, to be thrown. */
export function storeError(code: StoreCode, message: string, cause?: unknown, facts?: Facts): CoracleError {
  const retryable = retryableCodes.includes(code)
  return new CoracleError(message, { code, cause, retryable, ...(facts === undefined ? {} : { facts }) })
}
