import { CoracleError } from '../../runtime/base/errors.ts'

/**
 * KEY_EXISTS, KEY_NOT_FOUND and REVISION_MISMATCH refuse a write; COMPACTED and FUTURE_REVISION refuse a read;
 * STORE_FAILED: the disk did; STORE_LOCKED: another process has this store; STORE_CLOSED: used after close;
 * SLOW_WATCHER: a reader that did not keep up was cut off.
 */
export type StoreCode =
  | 'KEY_EXISTS'
  | 'KEY_NOT_FOUND'
  | 'REVISION_MISMATCH'
  | 'COMPACTED'
  | 'FUTURE_REVISION'
  | 'STORE_FAILED'
  | 'STORE_LOCKED'
  | 'STORE_CLOSED'
  | 'SLOW_WATCHER'

const retryableCodes: readonly StoreCode[] = ['STORE_FAILED', 'SLOW_WATCHER']

/** An error of this folder, to be thrown. */
export function storeError(code: StoreCode, message: string, cause?: unknown): CoracleError {
  return new CoracleError(message, { code, cause, retryable: retryableCodes.includes(code) })
}
