/**
 * Writes exactly once. A write is one transaction: if the key has the expected revision and our mark its own, put.
 *
 *   send ──▶ done ───────────────────────────────▶ wait until the watch has told it ──▶ its revision
 *     ▲  └─▶ refused ─┬─ the mark has moved ──▶ send again (it cannot have been carried out)
 *     │               └─ the key has ─────────▶ wait until the watch has told that ──▶ the refusal
 *     │  └─▶ no answer ──▶ raise the mark ──▶ wait until the watch has told the mark
 *     │                                         ├─ the watch has told our write ──▶ its revision
 *     │                                         ├─ it has told another one ───────▶ the refusal
 *     └──────── it never was, nor can be ◀──────┘
 */
import { status } from '@grpc/grpc-js'
import type { Clock } from '../../../runtime/base/clock.ts'
import { CoracleError, messageOf } from '../../../runtime/base/errors.ts'
import { type StoreCode, storeError } from '../errors.ts'
import { codeOf, type EtcdClient, isOutcomeUnknown } from './client.ts'
import type { Leases } from './leases.ts'
import type { Mark } from './mark.ts'
import type { KeyValue, RequestOp, TxnRequest } from './messages.ts'
import { Patience } from './patience.ts'
import type { Witness, Witnesses, Write } from './witnesses.ts'

export interface WriterParts {
  readonly client: EtcdClient
  readonly clock: Clock
  readonly leases: Leases
  readonly mark: Mark
  readonly witnesses: Witnesses
  /** Resolves when the watch has told everything up to `revision`, which is of an event below the prefix. */
  told(revision: number, patience: Patience): Promise<void>
  /** The same for any revision. */
  reached(revision: number, patience: Patience): Promise<void>
}

type Outcome =
  | { readonly state: 'done'; readonly revision: number }
  | { readonly state: 'refused'; readonly found: KeyValue | undefined; readonly revision: number }
  | { readonly state: 'not sent' }
  | { readonly state: 'unknown'; readonly cause: unknown; readonly mark: number }

/** Resolves to the revision of the write. Throws as `Store` says. */
export async function writeOnce(parts: WriterParts, write: Write): Promise<number> {
  const patience = new Patience(parts.clock)
  const witness = parts.witnesses.watch(write)
  try {
    for (;;) {
      const outcome = await attempt(parts, write, patience)
      if (outcome.state === 'done') {
        await parts.told(outcome.revision, patience)
        return outcome.revision
      }
      if (outcome.state === 'refused') throw await refusal(parts, { write, outcome, patience })
      if (outcome.state === 'unknown') {
        const seen = await settle(parts, { write, witness, outcome, patience })
        if (seen?.isOurs) return seen.revision
        if (seen) throw refusedBy(write, seen.found)
        if (patience.isOver) throw storeError('STORE_FAILED', `write ${write.key}: ${messageOf(outcome.cause)}`)
        await patience.pause()
      }
    }
  } finally {
    parts.witnesses.release(write)
  }
}

async function attempt(parts: WriterParts, write: Write, patience: Patience): Promise<Outcome> {
  const { client, leases, mark } = parts
  const known = await mark.current(patience).catch((error: unknown) => {
    throw asStoreError(error, `write ${write.key}`)
  })
  try {
    const lease = write.ttlSeconds === undefined ? undefined : await leases.get(write.ttlSeconds)
    const { succeeded, header, responses } = await client.call('KV.Txn', transaction(write, { mark, known, lease }))
    if (succeeded) return { state: 'done', revision: header.revision }
    const [found, foundMark] = responses.map(({ response_range }) => response_range?.kvs[0])
    if (foundMark?.mod_revision === known) return { state: 'refused', found, revision: header.revision }
    mark.moved(known, foundMark?.mod_revision ?? 0)
    return { state: 'not sent' }
  } catch (error) {
    if (write.ttlSeconds !== undefined && codeOf(error) === status.NOT_FOUND) {
      // The lease has lapsed, or was revoked by somebody.
      leases.forget(write.ttlSeconds)
      return { state: 'not sent' }
    }
    if (!isOutcomeUnknown(error)) throw asStoreError(error, `write ${write.key}`, 'VALUE_TOO_LARGE')
    return { state: 'unknown', cause: error, mark: known }
  }
}

function transaction(write: Write, at: { mark: Mark; known: number; lease: number | undefined }): TxnRequest {
  const key = Buffer.from(write.key)
  const condition = { target: 'MOD', result: 'EQUAL' } as const
  const lease = at.lease === undefined ? {} : { lease: at.lease }
  const change: RequestOp =
    write.value === undefined
      ? { request_delete_range: { key } }
      : { request_put: { key, value: Buffer.from(write.value), ...lease } }
  return {
    compare: [
      { ...condition, key, mod_revision: write.expected },
      { ...condition, key: at.mark.key, mod_revision: at.known },
    ],
    success: [change],
    failure: [{ request_range: { key } }, { request_range: { key: at.mark.key } }],
  }
}

/** After this nothing that was sent before can still be carried out; undefined: and nothing was. Throws STORE_UNCERTAIN. */
async function settle(
  parts: WriterParts,
  doubt: { write: Write; witness: Witness; outcome: { cause: unknown; mark: number }; patience: Patience },
): Promise<Witness['seen']> {
  const { write, witness, outcome, patience } = doubt
  try {
    const fence = await parts.mark.raise(outcome.mark, patience)
    await parts.told(fence, patience)
  } catch (error) {
    throw storeError('STORE_UNCERTAIN', `write ${write.key}: no answer: ${messageOf(error)}`, outcome.cause)
  }
  if (witness.isBlind && !witness.seen?.isOurs) {
    throw storeError('STORE_UNCERTAIN', `write ${write.key}: no answer, and its past is compacted`, outcome.cause)
  }
  return witness.seen
}

async function refusal(
  parts: WriterParts,
  { write, outcome, patience }: { write: Write; outcome: Outcome & { state: 'refused' }; patience: Patience },
): Promise<Error> {
  const { found, revision } = outcome
  if (found) await parts.told(found.mod_revision, patience)
  else await parts.reached(revision, patience)
  return refusedBy(write, found?.mod_revision ?? 0)
}

function refusedBy({ key, expected, value }: Write, revision: number): Error {
  const code = expected === 0 ? 'KEY_EXISTS' : revision === 0 ? 'KEY_NOT_FOUND' : 'REVISION_MISMATCH'
  const verb = value === undefined ? 'delete' : 'write'
  return storeError(code, `${verb} ${key}: expected revision ${expected}, found ${revision}`)
}

/** What gRPC says as the store's own error; those that are already pass. `invalid`: what INVALID_ARGUMENT means here. */
export function asStoreError(error: unknown, act: string, invalid: StoreCode = 'STORE_FAILED'): Error {
  if (error instanceof CoracleError) return error
  const code = codeOf(error) === status.INVALID_ARGUMENT ? invalid : 'STORE_FAILED'
  return storeError(code, `${act}: ${messageOf(error)}`, error)
}
