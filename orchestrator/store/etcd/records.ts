/** etcd's words as the store's. */
import { messageOf } from '../../../runtime/base/errors.ts'
import { storeError } from '../errors.ts'
import type { StoreEvent, StoreRecord } from '../store.ts'
import type { KeyValue, WatchEvent } from './messages.ts'

export function recordOf({ key, value, mod_revision, create_revision }: KeyValue): StoreRecord {
  return { key: key.toString(), value: value.toString(), revision: mod_revision, created: create_revision }
}

export function eventOf({ type, kv, prev_kv }: WatchEvent): StoreEvent {
  if (type === 'PUT') return { type: 'put', record: recordOf(kv) }
  const { value = Buffer.alloc(0), create_revision = 0 } = prev_kv ?? {}
  return { type: 'delete', record: recordOf({ ...kv, value, create_revision }) }
}

export function futureError(asked: number, newest: number): Error {
  return storeError('FUTURE_REVISION', `read revision ${asked}: the store is at ${newest}`)
}

export function compactedError(asked: number, cause: unknown): Error {
  return storeError('COMPACTED', `read revision ${asked}: ${messageOf(cause)}`, cause)
}
