import type { ServerResponse } from 'node:http'
import type { Kind } from '../api/kinds/kind.ts'
import { toStatus } from '../api/status.ts'
import type { Status } from '../api/types.ts'
import type { Presentation, StreamedAnswer } from './answer.ts'
import type { Incoming } from './incoming.ts'
import { numberOf } from './parameters.ts'
import { watchQueryOf } from './query.ts'
import type { Registry } from './registry.ts'
import type { Collection } from './verbs/create.ts'
import { planWatch, type WatchedEvent, type Watching, watchObjects } from './verbs/watch.ts'
import { type Framing, framingOf } from './watch-frames.ts'
import { WatchOutbox } from './watch-outbox.ts'

const shortestTimeoutSeconds = 1800
/** A timer cannot be set for longer than 2^31 milliseconds. */
const longestTimeoutSeconds = 2_000_000
const bookmarkSeconds = 60

/**
 * Answers a watch: one frame an event, until the client leaves or its time is over. Throws BAD_REQUEST, INVALID for what
 * cannot be watched so; what goes wrong later, and be it at once, is the last event of the stream, as in Kubernetes.
 */
export function watchAnswer(
  registry: Registry,
  collection: Collection,
  { incoming, name, presentation, kind }: { incoming: Incoming; name: string; presentation: Presentation; kind: Kind },
): StreamedAnswer {
  const query = watchQueryOf(incoming.query, name)
  const plan = planWatch(collection, query)
  const given = numberOf(incoming.query, 'timeoutSeconds')
  const seconds = given || shortestTimeoutSeconds * (1 + registry.random(1000) / 1000)
  return {
    async stream(response) {
      const stream = new WatchStream(response, framingOf(kind, presentation, registry.clock))
      const count = registry.metrics.watchCount(kind)
      const deliver = (event: WatchedEvent) => {
        count.events++
        stream.send(event)
      }
      try {
        const watching = await watchObjects(registry, plan, deliver)
        stream.run(watching, { seconds, withBookmarks: query.allowWatchBookmarks ?? false })
      } catch (error) {
        stream.fail(toStatus(error))
      }
    },
  }
}

/** One response that stays open. */
class WatchStream {
  readonly #response: ServerResponse
  readonly #framing: Framing
  readonly #outbox: WatchOutbox
  #isOver = false
  #watching: Watching | undefined
  #timers: NodeJS.Timeout[] = []

  constructor(response: ServerResponse, framing: Framing) {
    this.#response = response
    this.#framing = framing
    this.#outbox = new WatchOutbox(framing)
    response.once('close', () => this.#end())
    response.on('drain', () => this.#guard(() => this.#outbox.flow()))
  }

  /** Throws what framing throws, once the client has been told. */
  send(event: WatchedEvent): void {
    if (this.#isOver) return
    try {
      this.#outbox.take(event)
    } catch (error) {
      // Whoever cannot be told of an event must not go on as if there had been none.
      this.fail(toStatus(error))
      throw error
    }
  }

  /** Follows `watching` until the client leaves or `seconds` are over. */
  run(watching: Watching, { seconds, withBookmarks }: { seconds: number; withBookmarks: boolean }): void {
    this.#watching = watching
    if (this.#isOver) {
      this.#end()
      return
    }
    this.#begin()
    this.#response.flushHeaders()
    if (withBookmarks) this.#timers.push(setInterval(() => watching.bookmark(), bookmarkSeconds * 1000))
    const finish = () => {
      if (withBookmarks && !this.#isOver && this.#outbox.isCaughtUp) watching.bookmark()
      this.#response.end()
      this.#end()
    }
    this.#timers.push(setTimeout(finish, Math.min(seconds, longestTimeoutSeconds) * 1000))
    const response = this.#response
    const sink = {
      write: (frame: string | Uint8Array) => void response.write(frame),
      unsent: () => response.writableLength,
      cutOff: () => response.destroy(),
    }
    this.#guard(() => this.#outbox.open(sink))
  }

  /** The last event says what went wrong. */
  fail(status: Status): void {
    if (this.#isOver) return
    this.#begin()
    this.#response.end(this.#framing.failure(status))
    this.#end()
  }

  #guard(send: () => void): void {
    if (this.#isOver) return
    try {
      send()
    } catch (error) {
      this.fail(toStatus(error))
    }
  }

  #begin(): void {
    if (this.#response.headersSent) return
    this.#response.writeHead(200, { 'Content-Type': this.#framing.contentType, 'Cache-Control': 'no-cache, private' })
  }

  #end(): void {
    this.#isOver = true
    this.#outbox.clear()
    this.#watching?.end()
    for (const timer of this.#timers.splice(0)) clearTimeout(timer)
  }
}
