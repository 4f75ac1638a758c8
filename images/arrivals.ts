import type { Digest } from './digest.ts'

/**
 * How far a blob has come that this process is storing:
 *
 *   coming ──▶ verified   all bytes are in the file, and they have its digest; it is about to get its name
 *      └─────▶ broken     the file is given up: what has been read from it is worth nothing
 */
export type ArrivalState = 'coming' | 'verified' | 'broken'

/** A blob on its way into the store. Until it is `verified`, its bytes may be anything. */
export class Arrival {
  /** Where its bytes are being written; after it has settled, there is no such file any more. */
  readonly path: string
  #bytes = 0
  #state: ArrivalState = 'coming'
  readonly #watchers = new Set<() => void>()

  constructor(path: string) {
    this.path = path
  }

  /** So many are in the file. */
  get bytes(): number {
    return this.#bytes
  }

  get state(): ArrivalState {
    return this.#state
  }

  grow(bytes: number): void {
    this.#bytes = bytes
    for (const watcher of [...this.#watchers]) watcher()
  }

  /** Nothing happens if it has been settled already. */
  settle(state: 'verified' | 'broken'): void {
    if (this.#state !== 'coming') return
    this.#state = state
    for (const watcher of [...this.#watchers]) watcher()
  }

  /** Calls `watcher` after every change, until the function that this returns is called. */
  watch(watcher: () => void): () => void {
    this.#watchers.add(watcher)
    return () => this.#watchers.delete(watcher)
  }
}

/** The blobs that are on their way, so that somebody can read along. */
export class Arrivals {
  readonly #coming = new Map<Digest, Arrival>()
  readonly #asked = new Map<Digest, Set<(arrival: Arrival) => void>>()

  /** A blob is being written to this file now; whoever calls this settles the arrival and then ends it. */
  begin(digest: Digest, path: string): Arrival {
    const arrival = new Arrival(path)
    this.#coming.set(digest, arrival)
    for (const hear of this.#asked.get(digest) ?? []) hear(arrival)
    return arrival
  }

  /** The file of this arrival has got another name, or is gone. */
  end(digest: Digest, arrival: Arrival): void {
    arrival.settle('broken')
    if (this.#coming.get(digest) === arrival) this.#coming.delete(digest)
  }

  /** The arrival of a blob as soon as it begins; undefined if `settled` comes to an end before that. */
  async of(digest: Digest, settled: Promise<unknown>): Promise<Arrival | undefined> {
    const coming = this.#coming.get(digest)
    if (coming) return coming
    const begun = Promise.withResolvers<Arrival | undefined>()
    const asked = this.#asked.get(digest) ?? new Set()
    this.#asked.set(digest, asked.add(begun.resolve))
    const over = () => begun.resolve(undefined)
    settled.then(over, over)
    try {
      return await begun.promise
    } finally {
      asked.delete(begun.resolve)
      if (asked.size === 0) this.#asked.delete(digest)
    }
  }
}
