import type { WatchedEvent } from './verbs/watch.ts'
import type { Framing } from './watch-frames.ts'

/** A watcher that leaves more than this unread is cut off; it lists again when it comes back. */
const largestBacklogBytes = 8 * 1024 * 1024
/** What a watch begins with goes on when less than this is unsent. */
const enoughBytes = 256 * 1024

/** Where the frames of a watch go. */
export interface WatchSink {
  write(frame: string | Uint8Array): void
  /** Bytes that the client has not taken yet. */
  unsent(): number
  /** Ends the connection of a client that does not read. */
  cutOff(): void
}

/**
 * Between the events of a watch and a client that may be slower. A watch can begin with all objects that there are, or
 * with minutes of changes: these are in memory anyway, and become bytes only as fast as the client reads. What happens
 * from then on is kept for him, but not without end.
 */
export class WatchOutbox {
  readonly #framing: Framing
  #sink: WatchSink | undefined
  #beginning: WatchedEvent[] = []
  #next = 0
  /** What came while the beginning was on its way. */
  #later: (string | Uint8Array)[] = []
  #laterBytes = 0

  constructor(framing: Framing) {
    this.#framing = framing
  }

  /** Whether the client has been sent all that there is. */
  get isCaughtUp(): boolean {
    return this.#next >= this.#beginning.length
  }

  /** One more event; those before `open` are what the watch begins with. Throws what framing throws. */
  take(event: WatchedEvent): void {
    if (!this.#sink) {
      this.#beginning.push(event)
      return
    }
    const frame = this.#framing.frame(event)
    if (this.isCaughtUp) this.#sink.write(frame)
    else {
      this.#later.push(frame)
      this.#laterBytes += frame.length
    }
    if (this.#sink.unsent() + this.#laterBytes > largestBacklogBytes) this.#sink.cutOff()
  }

  /** Sends from now on. The sink's owner calls `flow` whenever it has drained. Throws what framing throws. */
  open(sink: WatchSink): void {
    this.#sink = sink
    this.flow()
  }

  /** Goes on with the beginning. Throws what framing throws. */
  flow(): void {
    const sink = this.#sink
    if (!sink || this.#beginning.length === 0) return
    // The first of all frames is made here, before any later one: a table has its columns there.
    while (!this.isCaughtUp && sink.unsent() < enoughBytes) {
      const event = this.#beginning[this.#next++]
      if (event) sink.write(this.#framing.frame(event))
    }
    if (!this.isCaughtUp) return
    for (const frame of this.#later) sink.write(frame)
    this.clear()
  }

  /** Forgets what has not been sent. */
  clear(): void {
    this.#beginning = []
    this.#next = 0
    this.#later = []
    this.#laterBytes = 0
  }
}
