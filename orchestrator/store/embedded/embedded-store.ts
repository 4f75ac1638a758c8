import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { Worker } from 'node:worker_threads'
import { fromRecord, messageOf } from '../../../runtime/base/errors.ts'
import { storeError } from '../errors.ts'
import type { Range, RangeOptions, Store, StoreEvent } from '../store.ts'
import type { Answer, Outcome, Question, Write } from './protocol.ts'

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
export async function openEmbeddedStore(path: string): Promise<EmbeddedStore> {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  const lock = takeLock(`${path}-lock`)
  const worker = new Worker(new URL('./worker.ts', import.meta.url), { workerData: { path } })
  const store = new EmbeddedStore(worker, lock)
  try {
    await store.opened
  } catch (error) {
    lock.close()
    throw error
  }
  return store
}

function takeLock(path: string): DatabaseSync {
  const lock = new DatabaseSync(path)
  try {
    lock.exec('PRAGMA locking_mode=EXCLUSIVE; BEGIN EXCLUSIVE')
    return lock
  } catch (error) {
    lock.close()
    throw storeError('STORE_LOCKED', `open the store: another process holds ${path}`, error)
  }
}

export class EmbeddedStore implements Store {
  /** Resolves to the revision at which the store was found. */
  readonly opened: Promise<number>
  readonly #worker: Worker
  readonly #lock: DatabaseSync
  readonly #waiting = new Map<number, Waiting<never>>()
  readonly #listeners = new Set<(events: readonly StoreEvent[]) => void>()
  #queue: PendingWrite[] = []
  #isWriting = false
  #lastId = 0
  #failure: Error | undefined

  constructor(worker: Worker, lock: DatabaseSync) {
    this.#worker = worker
    this.#lock = lock
    this.opened = new Promise<number>((resolve, reject) => this.#waiting.set(0, { resolve, reject }))
    worker.on('message', (answer: Answer) => this.#receive(answer))
    worker.on('error', (error) => this.#fail(storeError('STORE_FAILED', `run the store: ${messageOf(error)}`, error)))
    worker.on('exit', () => this.#fail(storeError('STORE_CLOSED', 'use the store: it is closed')))
  }

  get failure(): Error | undefined {
    return this.#failure
  }

  create(key: string, value: string): Promise<number> {
    return this.#enqueue({ key, value, expected: 0 })
  }

  update(key: string, value: string, expected: number): Promise<number> {
    return this.#enqueue({ key, value, expected })
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

  subscribe(listener: (events: readonly StoreEvent[]) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  compact(revision: number): Promise<void> {
    return this.#ask({ type: 'compact', revision })
  }

  check(): Promise<readonly string[]> {
    return this.#ask({ type: 'check' })
  }

  async close(): Promise<void> {
    if (this.#failure) return
    const exited = new Promise<void>((resolve) => this.#worker.once('exit', () => resolve()))
    while (this.#isWriting) await new Promise((resolve) => setImmediate(resolve))
    await this.#ask({ type: 'close' })
    await exited
    this.#lock.close()
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
    if (events.length > 0) for (const listener of this.#listeners) listener(events)
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
