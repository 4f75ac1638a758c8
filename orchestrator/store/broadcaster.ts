import type { Range, Store, StoreEvent, StoreRecord } from './store.ts'

/** Takes the events of the keys below one prefix. */
export interface Topic {
  readonly prefix: string
  /** All that there is at `revision`. Comes again when events were lost. */
  load(records: readonly StoreRecord[], revision: number): void
  apply(event: StoreEvent): void
}

/**
 * One subscription to the store, handed out to topics in revision order. `revision` is what all topics have seen:
 * whoever reads a topic reads the state at that revision.
 */
export class Broadcaster {
  readonly #store: Store
  readonly #root: string
  readonly #topics = new Map<string, Topic>()
  readonly #afterCommit = new Set<() => void>()
  #revision = 0
  #end: (() => void) | undefined

  constructor(store: Store, root: string) {
    this.#store = store
    this.#root = root
  }

  get revision(): number {
    return this.#revision
  }

  /** Topics join before `start`. */
  add(topic: Topic): void {
    this.#topics.set(topic.prefix, topic)
  }

  /** Loads every topic from the store and follows it from then on, without a gap between the two. */
  async start(): Promise<void> {
    let early: StoreEvent[] | undefined = []
    this.#end = this.#store.subscribe({
      deliver: (events, revision) => {
        if (early) early.push(...events)
        else this.#apply(events, revision)
      },
      reload: async (revision) => {
        // Before the first load has come, that one is the reload.
        if (!early) this.#load(await this.#store.range(this.#root, { revision }))
      },
    })
    const range = await this.#store.range(this.#root)
    this.#load(range)
    const missed = early.filter((event) => event.record.revision > range.revision)
    early = undefined
    this.#apply(missed, missed.at(-1)?.record.revision ?? range.revision)
  }

  /** Calls `listener` after each commit, when all topics have seen all of it. */
  onCommit(listener: () => void): () => void {
    this.#afterCommit.add(listener)
    return () => this.#afterCommit.delete(listener)
  }

  close(): void {
    this.#end?.()
  }

  #load(range: Range): void {
    const byTopic = new Map<Topic, StoreRecord[]>([...this.#topics.values()].map((topic) => [topic, []]))
    for (const record of range.records) {
      const topic = this.#topicOf(record.key)
      if (topic) byTopic.get(topic)?.push(record)
    }
    this.#revision = range.revision
    for (const [topic, records] of byTopic) topic.load(records, range.revision)
    for (const listener of this.#afterCommit) listener()
  }

  #apply(events: readonly StoreEvent[], revision: number): void {
    for (const event of events) {
      this.#revision = event.record.revision
      this.#topicOf(event.record.key)?.apply(event)
    }
    this.#revision = Math.max(this.#revision, revision)
    for (const listener of this.#afterCommit) listener()
  }

  /** Prefixes have one or two segments below the root, as `/registry/pods/` and `/registry/services/specs/`. */
  #topicOf(key: string): Topic | undefined {
    const first = key.indexOf('/', this.#root.length)
    const topic = this.#topics.get(key.slice(0, first + 1))
    return topic ?? this.#topics.get(key.slice(0, key.indexOf('/', first + 1) + 1))
  }
}
