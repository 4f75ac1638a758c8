/** The messages of etcd.proto as proto-loader gives and takes them. Revisions are far below 2^53: numbers hold them. */
export interface Header {
  readonly revision: number
}

export interface KeyValue {
  readonly key: Buffer
  readonly value: Buffer
  readonly create_revision: number
  readonly mod_revision: number
}

export interface RangeRequest {
  readonly key: Buffer
  /** Unset: only `key` itself. */
  readonly range_end?: Buffer
  readonly limit?: number
  readonly revision?: number
  readonly count_only?: boolean
}

export interface RangeResponse {
  readonly header: Header
  readonly kvs: readonly KeyValue[]
  readonly more: boolean
  /** Of all keys in the range, whatever the limit is. */
  readonly count: number
}

export type RequestOp =
  | { readonly request_range: RangeRequest }
  | { readonly request_put: { readonly key: Buffer; readonly value: Buffer; readonly lease?: number } }
  | { readonly request_delete_range: { readonly key: Buffer } }

export interface TxnRequest {
  readonly compare: readonly {
    readonly target: 'MOD'
    readonly result: 'EQUAL'
    readonly key: Buffer
    readonly mod_revision: number
  }[]
  readonly success: readonly RequestOp[]
  readonly failure: readonly RequestOp[]
}

export interface TxnResponse {
  readonly header: Header
  readonly succeeded: boolean
  readonly responses: readonly { readonly response_range: RangeResponse | null }[]
}

export interface WatchEvent {
  readonly type: 'PUT' | 'DELETE'
  readonly kv: KeyValue
  readonly prev_kv: KeyValue | null
}

export interface WatchRequest {
  readonly create_request: {
    readonly key: Buffer
    readonly range_end: Buffer
    readonly start_revision: number
    readonly prev_kv: boolean
    readonly fragment: boolean
  }
}

export interface WatchResponse {
  readonly header: Header
  readonly created: boolean
  readonly canceled: boolean
  /** Not 0: the watch began before this revision, and the past is compacted up to it. */
  readonly compact_revision: number
  readonly cancel_reason: string
  /** More events of the same revision follow. */
  readonly fragment: boolean
  readonly events: readonly WatchEvent[]
}

/** The calls with one answer: what is asked, and what is answered. */
export interface Calls {
  'KV.Range': [RangeRequest, RangeResponse]
  'KV.Txn': [TxnRequest, TxnResponse]
  'KV.Compact': [{ readonly revision: number }, { readonly header: Header }]
  'Lease.LeaseGrant': [{ readonly TTL: number; readonly ID: number }, { readonly ID: number }]
  'Auth.Authenticate': [{ readonly name: string; readonly password: string }, { readonly token: string }]
  'Maintenance.Alarm': [
    { readonly action: 'GET' },
    { readonly alarms: readonly { readonly alarm: 'NONE' | 'NOSPACE' | 'CORRUPT' }[] },
  ]
  'Maintenance.HashKV': [
    { readonly revision: number },
    { readonly header: Header; readonly hash: number; readonly compact_revision: number },
  ]
}
