/**
 * One watch on everything below a prefix, for as long as the store is open: every event once, in order of revisions,
 * whatever becomes of members and connections.
 *
 *   connect ──▶ follow from the revision after the last whole one ──▶ cut off, member without leader, moved on ─┐
 *      ▲                     │ compacted in the meantime                                                        │
 *      │                     ▼                                                                                  │
 *      ├───────────── lose(newest revision): whoever follows reads anew                                         │
 *      └──────────────────────────────── after a pause ◀────────────────────────────────────────────────────────┘
 */
import { status } from '@grpc/grpc-js'
import type { Clock } from '../../../runtime/base/clock.ts'
import { messageOf } from '../../../runtime/base/errors.ts'
import { storeError } from '../errors.ts'
import { endOf } from '../range-end.ts'
import { codeOf, type EtcdClient, type WatchStream } from './client.ts'
import type { WatchEvent, WatchResponse } from './messages.ts'

export interface FollowerOptions {
  readonly client: EtcdClient
  readonly clock: Clock
  readonly prefix: string
  /** All of one or several whole revisions. */
  tell(events: readonly WatchEvent[], revision: number): void
  /** Events up to `revision` cannot be had any more. */
  lose(revision: number): Promise<void>
  /** The newest revision, by a quorum. */
  newestRevision(): Promise<number>
  /** `error` is unset when all is well again. */
  report(error: Error | undefined): void
}

const firstPauseMilliseconds = 50
const longestPauseMilliseconds = 1000

export class Follower {
  readonly #options: FollowerOptions
  readonly #stop = new AbortController()
  #stream: WatchStream | undefined
  #last = 0
  #running: Promise<void> = Promise.resolve()
  #pauseMilliseconds = firstPauseMilliseconds

  constructor(options: FollowerOptions) {
    this.#options = options
  }

  /** Follows what comes after revision `after`, until `close`. */
  start(after: number): void {
    this.#last = after
    this.#options.client.onMove(() => this.restart())
    this.#running = this.#run()
  }

  /** Follows at whatever member is the current one now. */
  restart(): void {
    this.#stream?.cancel()
  }

  async close(): Promise<void> {
    this.#stop.abort(storeError('STORE_CLOSED', 'follow the store: it is closed'))
    this.#stream?.cancel()
    await this.#running
  }

  async #run(): Promise<void> {
    const { clock, report } = this.#options
    while (!this.#stop.signal.aborted) {
      try {
        const outcome = await this.#follow()
        if (outcome === 'compacted') await this.#startAnew()
      } catch (error) {
        if (this.#stop.signal.aborted) return
        // That is our own: another member is asked.
        if (codeOf(error) !== status.CANCELLED) {
          report(storeError('STORE_FAILED', `follow etcd: ${messageOf(error)}`, error))
        }
      }
      await clock.sleep(this.#pauseMilliseconds, this.#stop.signal).catch(() => {})
      this.#pauseMilliseconds = Math.min(2 * this.#pauseMilliseconds, longestPauseMilliseconds)
    }
  }

  async #startAnew(): Promise<void> {
    const newest = await this.#options.newestRevision()
    await this.#options.lose(newest)
    this.#last = newest
  }

  /** One stream, until it ends. */
  async #follow(): Promise<'ended' | 'compacted'> {
    const { client, prefix } = this.#options
    const stream = await client.watch()
    if (this.#stop.signal.aborted) stream.cancel()
    this.#stream = stream
    const ended = new Promise<'ended' | 'compacted'>((resolve, reject) => {
      const take = this.#taker(stream)
      stream.on('data', (response: WatchResponse) => {
        const outcome = take(response)
        if (outcome !== undefined) resolve(outcome)
      })
      stream.on('error', reject)
      stream.on('end', () => resolve('ended'))
    })
    stream.write({
      create_request: {
        key: Buffer.from(prefix),
        range_end: Buffer.from(endOf(prefix)),
        // One too early: what was compacted at the next revision, a deletion, would be missing without a word.
        start_revision: this.#last,
        prev_kv: true,
        fragment: true,
      },
    })
    try {
      return await ended
    } finally {
      this.#stream = undefined
      stream.cancel()
    }
  }

  /** Takes the responses of one stream; says how it ended, once it has. */
  #taker(stream: WatchStream): (response: WatchResponse) => 'ended' | 'compacted' | undefined {
    let pending: WatchEvent[] = []
    let isOver = false
    return (response) => {
      if (isOver) return undefined
      if (response.canceled) {
        isOver = true
        if (response.compact_revision > 0) return 'compacted'
        this.#options.client.forgetToken()
        stream.destroy(storeError('STORE_FAILED', `etcd ended the watch: ${response.cancel_reason}`))
        return undefined
      }
      this.#pauseMilliseconds = firstPauseMilliseconds
      this.#options.report(undefined)
      pending.push(...response.events.filter(({ kv }) => kv.mod_revision > this.#last))
      // Not before a revision is whole: after a cut in its middle it could not be asked for again without repetition.
      if (response.fragment || pending.length === 0) return undefined
      if (pending.some(({ type, prev_kv }) => type === 'DELETE' && prev_kv === null)) {
        isOver = true
        // Compacted between the sending of the event and the look for what was there before.
        return 'compacted'
      }
      this.#last = pending.at(-1)?.kv.mod_revision ?? this.#last
      const whole = pending
      pending = []
      this.#options.tell(whole, this.#last)
      return undefined
    }
  }
}
