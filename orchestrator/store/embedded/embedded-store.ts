import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import { Worker } from 'node:worker_threads'
import { type Clock, systemClock } from '../../../runtime/base/clock.ts'
import { fromRecord, messageOf } from '../../../runtime/base/errors.ts'
import { storeError } from '../errors.ts'
import type { Range, RangeOptions, Store, StoreEvent, Subscriber, WriteOptions } from '../store.ts'
import { Expiry } from './expiry.ts'
import { takeLock } from './lock.ts'
import type { Answer, Lapsed, Outcome, Question, Write } from './protocol.ts'

interface Waiting<T> {
  resolve(value: T): void
  reject(error: unknown): void
}

interface PendingWrite extends Waiting<number> {
  write: Write
}

/** More than this in one commit only lengthens the wait of the first. */
const largestGroup = 2000

/**
 * The embedded store: one SQLite file at `path`, written by a thread of its own with group commit. One process at a
 * time: throws STORE_LOCKED when another has it. A file `<path>-lock` holds that lock; the kernel drops it with the
 * process, so a kill -9 leaves nothing to clean.
 */
export async function openEmbeddedStore(path: string, clock: Clock = systemClock): Promise<EmbeddedStore> {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  const lock = takeLock(path)
  const worker = new Worker(new URL('./worker.ts', import.meta.url), { workerData: { path } })
  const store = new EmbeddedStore({ worker, lock, clock })
  try {
    await store.start()
  } catch (error) {
    lock.close()
    throw error
  }
  return store
}

export class EmbeddedStore implements Store {
  readonly #worker: Worker
  readonly #lock: DatabaseSync
  readonly #clock: Clock
  readonly #opened: Promise<number>
  readonly #waiting = new Map<number, Waiting<never>>()
  readonly #subscribers = new Set<Subscriber>()
  #expiry: Expiry | undefined
  #queue: PendingWrite[] = []
  #isWriting = false
  #lastId = 0
  #told = 0
  #failure: Error | undefined

  constructor({ worker, lock, clock }: { worker: Worker; lock: DatabaseSync; clock: Clock }) {
    this.#worker = worker
    this.#lock = lock
    this.#clock = clock
    this.#opened = new Promise<number>((resolve, reject) => this.#waiting.set(0, { resolve, reject }))
    worker.on('message', (answer: Answer) => this.#receive(answer))
    worker.on('error', (error) => this.#fail(storeError('STORE_FAILED', `run the store: ${messageOf(error)}`, error)))
    worker.on('exit', () => this.#fail(storeError('STORE_CLOSED', 'use the store: it is closed')))
  }

  /** Resolves when the log is open, and keys begin to lapse. */
  async start(): Promise<void> {
    this.#told = await this.#opened
    this.#expiry = new Expiry({
      clock: this.#clock,
      lapsed: (now) => this.#ask<Lapsed>({ type: 'lapsed', now }),
      remove: (key, revision) => this.delete(key, revision),
    })
  }

  get failure(): Error | undefined {
    return this.#failure
  }

  create(key: string, value: string, options: WriteOptions = {}): Promise<number> {
    return this.#enqueue({ key, value, expected: 0, ...this.#expires(options) })
  }

  update(key: string, value: string, expected: number, options: WriteOptions = {}): Promise<number> {
    return this.#enqueue({ key, value, expected, ...this.#expires(options) })
  }

  delete(key: string, expected: number): Promise<number> {
    return this.#enqueue({ key, expected })
  }

  range(prefix: string, options: RangeOptions = {}): Promise<Range> {
    return this.#ask({ type: 'range', prefix, options })
  }

  changes(prefix: string, after: number, upTo: number): Promise<readonly StoreEvent[]> {
    return this.#ask({ type: 'changes', prefix, after, upTo })
  }

  /** Nobody else writes here, and who writes is answered after all have been told. */
  revision(): number {
    return this.#told
  }

  subscribe(subscriber: Subscriber): () => void {
    this.#subscribers.add(subscriber)
    return () => this.#subscribers.delete(subscriber)
  }

  /** In many small steps: writers do not wait for the whole. */
  async compact(revision: number): Promise<void> {
    let isDone = false
    while (!isDone) isDone = await this.#ask<boolean>({ type: 'compact', revision })
  }

  check(): Promise<readonly string[]> {
    return this.#ask({ type: 'check' })
  }

  async close(): Promise<void> {
    await this.#expiry?.close()
    if (this.#failure) return
    const exited = new Promise<void>((resolve) => this.#worker.once('exit', () => resolve()))
    while (this.#isWriting) await new Promise((resolve) => setImmediate(resolve))
    await this.#ask({ type: 'close' })
    await exited
    this.#lock.close()
  }

  #expires({ ttlSeconds }: WriteOptions): { expires?: number } {
    if (ttlSeconds === undefined) return {}
    const expires = this.#clock.now() + ttlSeconds * 1000
    this.#expiry?.expect(expires)
    return { expires }
  }

  #enqueue(write: Write): Promise<number> {
    return new Promise((resolve, reject) => {
      if (this.#failure) return reject(this.#failure)
      this.#queue.push({ write, resolve, reject })
      if (!this.#isWriting) {
        this.#isWriting = true
        // What the same turn of the event loop still brings joins the first group.
        setImmediate(() => void this.#commitQueue())
      }
    })
  }

  async #commitQueue(): Promise<void> {
    while (this.#queue.length > 0) {
      const group = this.#queue.splice(0, largestGroup)
      try {
        const outcomes = await this.#ask<Outcome[]>({ type: 'write', writes: group.map(({ write }) => write) })
        this.#announce(group, outcomes)
      } catch (error) {
        for (const pending of group) pending.reject(error)
      }
    }
    this.#isWriting = false
  }

  #announce(group: readonly PendingWrite[], outcomes: readonly Outcome[]): void {
    const events: StoreEvent[] = []
    group.forEach(({ write }, at) => {
      const outcome = outcomes[at]
      if (outcome && !('refused' in outcome)) events.push(eventOf(write, outcome))
    })
    const last = events.at(-1)
    if (last) {
      this.#told = last.record.revision
      for (const subscriber of this.#subscribers) subscriber.deliver(events, this.#told)
    }
    group.forEach(({ write, resolve, reject }, at) => {
      const outcome = outcomes[at]
      if (!outcome) reject(storeError('STORE_FAILED', `write ${write.key}: no answer`))
      else if ('refused' in outcome) {
        reject(
          storeError(
            outcome.refused,
            `write ${write.key}: expected revision ${write.expected}, found ${outcome.revision}`,
          ),
        )
      } else resolve(outcome.revision)
    })
  }

  #ask<T>(question: Question): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (this.#failure) return reject(this.#failure)
      const id = ++this.#lastId
      this.#waiting.set(id, { resolve, reject })
      this.#worker.postMessage({ ...question, id })
    })
  }

  #receive(answer: Answer): void {
    const waiting = this.#waiting.get(answer.id)
    this.#waiting.delete(answer.id)
    if ('error' in answer) waiting?.reject(fromRecord(answer.error))
    else waiting?.resolve(answer.value as never)
  }

  #fail(error: Error): void {
    this.#failure ??= error
    for (const waiting of this.#waiting.values()) waiting.reject(this.#failure)
    this.#waiting.clear()
    for (const pending of this.#queue.splice(0)) pending.reject(this.#failure)
  }
}

function eventOf(write: Write, outcome: { revision: number; created: number; previous?: string }): StoreEvent {
  const { key, value } = write
  const { revision, created } = outcome
  if (value !== undefined) return { type: 'put', record: { key, value, revision, created } }
  return { type: 'delete', record: { key, value: outcome.previous ?? '', revision, created } }
}
