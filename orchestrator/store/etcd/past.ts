import { messageOf } from '../../../runtime/base/errors.ts'
import { storeError } from '../errors.ts'
import { endOf } from '../range-end.ts'
import type { EtcdClient } from './client.ts'
import type { WatchEvent, WatchResponse } from './messages.ts'
import type { Patience } from './patience.ts'

interface Past {
  readonly prefix: string
  readonly after: number
  /** There is an event below the prefix after this revision. */
  readonly upTo: number
  readonly patience: Patience
}

/** The events below a prefix after `after`, up to and with `upTo`. Throws COMPACTED, STORE_FAILED. */
export async function pastEvents(client: EtcdClient, past: Past): Promise<readonly WatchEvent[]> {
  for (;;) {
    const read = await readOnce(client, past).catch((error: unknown) => ({ failed: error }))
    if ('events' in read) return read.events
    if ('compacted' in read) {
      throw storeError('COMPACTED', `read the changes after ${past.after}: compacted up to ${read.compacted}`)
    }
    if (past.patience.isOver) {
      throw storeError('STORE_FAILED', `read the changes after ${past.after}: ${messageOf(read.failed)}`, read.failed)
    }
    await past.patience.pause()
  }
}

type Read = { readonly events: readonly WatchEvent[] } | { readonly compacted: number }

async function readOnce(client: EtcdClient, { prefix, after, upTo }: Past): Promise<Read> {
  const stream = await client.watch()
  const events: WatchEvent[] = []
  const reading = new Promise<Read>((resolve, reject) => {
    stream.on('data', ({ canceled, compact_revision, cancel_reason, events: more }: WatchResponse) => {
      if (canceled && compact_revision > 0) return resolve({ compacted: compact_revision })
      if (canceled) return reject(new Error(cancel_reason))
      for (const event of more) {
        if (event.kv.mod_revision <= after) continue
        if (event.kv.mod_revision > upTo) return resolve({ events })
        if (event.type === 'DELETE' && event.prev_kv === null) return resolve({ compacted: event.kv.mod_revision })
        events.push(event)
      }
    })
    stream.on('error', reject)
    stream.on('end', () => reject(new Error('the stream ended')))
  })
  const [key, range_end] = [Buffer.from(prefix), Buffer.from(endOf(prefix))]
  // One too early, as in follower.ts; and 0 would be now.
  const start_revision = Math.max(after, 1)
  stream.write({ create_request: { key, range_end, start_revision, prev_kv: true, fragment: true } })
  try {
    return await reading
  } finally {
    stream.cancel()
  }
}
