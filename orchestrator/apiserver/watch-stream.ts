import type { ServerResponse } from 'node:http'
import type { Kind } from '../api/kinds/kind.ts'
import { apiVersionOf } from '../api/kinds/table.ts'
import { toStatus } from '../api/status.ts'
import type { KubeObject } from '../api/types.ts'
import type { Answer, Presentation, StreamedAnswer } from './answer.ts'
import { statusAnswer } from './answer.ts'
import type { Incoming } from './incoming.ts'
import { jsonOf } from './objects.ts'
import { numberOf, watchQueryOf } from './query.ts'
import type { Registry } from './registry.ts'
import { shownBy } from './shown.ts'
import { partialOf, tableOf } from './table.ts'
import type { Collection } from './verbs/create.ts'
import { type WatchedEvent, type Watching, watchObjects } from './verbs/watch.ts'

const shortestTimeoutSeconds = 1800
/** A timer cannot be set for longer than 2^31 milliseconds. */
const longestTimeoutSeconds = 2_000_000
const bookmarkSeconds = 60

/** A watcher that leaves more than this unread is cut off; it lists again when it comes back. */
const largestBacklogBytes = 8 * 1024 * 1024

/** Answers a watch: frames of JSON, one a line, until the client leaves or its time is over. */
export function watchAnswer(
  registry: Registry,
  collection: Collection,
  request: { incoming: Incoming; presentation: Presentation; kind: Kind },
): StreamedAnswer {
  return {
    async stream(response) {
      const stream = new WatchStream(response, framer(request.kind, request.presentation, registry))
      const query = watchQueryOf(request.incoming.query)
      try {
        const watching = await watchObjects(registry, collection, { query, deliver: (event) => stream.send(event) })
        const seconds =
          numberOf(request.incoming.query, 'timeoutSeconds') ||
          shortestTimeoutSeconds * (1 + registry.random(1000) / 1000)
        stream.run(watching, { seconds, withBookmarks: query.allowWatchBookmarks ?? false })
      } catch (error) {
        stream.fail(statusAnswer(toStatus(error)))
      }
    },
  }
}

type Framer = (event: WatchedEvent) => string

/** Turns events into lines, in the form that the client asked for. */
function framer(kind: Kind, { form, includeObject }: Presentation, registry: Registry): Framer {
  const { as, version = 'v1' } = form
  let withColumns = true
  const rowOf = (objects: readonly KubeObject[], resourceVersion: string | undefined) => {
    const table = tableOf(kind, objects, { version, includeObject, withColumns, now: registry.clock.now() })
    withColumns = false
    return { ...table, metadata: { resourceVersion } }
  }
  return (event) => {
    if (event.type === 'BOOKMARK') return bookmarkFrame(kind, event, form.as ? { as, version } : {})
    const { object, type } = event
    if (as === 'Table') return frame(type, JSON.stringify(rowOf([object], object.metadata?.resourceVersion)))
    if (as) return frame(type, JSON.stringify(partialOf(object, version)))
    return frame(type, jsonOf(shownBy(kind, object)))
  }
}

const frame = (type: string, json: string) => `{"type":"${type}","object":${json}}\n`

function bookmarkFrame(
  kind: Kind,
  event: WatchedEvent & { type: 'BOOKMARK' },
  { as, version = 'v1' }: { as?: string | undefined; version?: string },
): string {
  const metadata = {
    resourceVersion: String(event.revision),
    creationTimestamp: null,
    ...(event.initialEventsEnd ? { annotations: { 'k8s.io/initial-events-end': 'true' } } : {}),
  }
  if (as === 'Table') {
    const row = { cells: [], object: { kind: 'PartialObjectMetadata', apiVersion: `meta.k8s.io/${version}`, metadata } }
    return frame(
      'BOOKMARK',
      JSON.stringify({
        kind: 'Table',
        apiVersion: `meta.k8s.io/${version}`,
        metadata: { resourceVersion: metadata.resourceVersion },
        columnDefinitions: [],
        rows: [row],
      }),
    )
  }
  const type = as
    ? { kind: 'PartialObjectMetadata', apiVersion: `meta.k8s.io/${version}` }
    : { kind: kind.kind, apiVersion: apiVersionOf(kind) }
  return frame('BOOKMARK', JSON.stringify({ ...type, metadata }))
}

/** One response that stays open. */
class WatchStream {
  readonly #response: ServerResponse
  readonly #frame: Framer
  #isOver = false
  #watching: Watching | undefined
  #timers: NodeJS.Timeout[] = []

  constructor(response: ServerResponse, frameOf: Framer) {
    this.#response = response
    this.#frame = frameOf
    response.once('close', () => this.#end())
  }

  send(event: WatchedEvent): void {
    if (this.#isOver) return
    this.#begin()
    this.#response.write(this.#frame(event))
    if (this.#response.writableLength > largestBacklogBytes) this.#response.destroy()
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
      if (withBookmarks && !this.#isOver) watching.bookmark()
      this.#response.end()
      this.#end()
    }
    this.#timers.push(setTimeout(finish, Math.min(seconds, longestTimeoutSeconds) * 1000))
  }

  /** Answers with an error: as a response of its own, or as the last event when the stream has begun. */
  fail(answer: Answer): void {
    if (this.#isOver) return
    if (this.#response.headersSent) this.#response.end(frame('ERROR', String(answer.body).trim()))
    else this.#response.writeHead(answer.status, { 'Content-Type': answer.contentType }).end(answer.body)
    this.#end()
  }

  #begin(): void {
    if (this.#response.headersSent) return
    this.#response.writeHead(200, { 'Content-Type': 'application/json', 'Cache-Control': 'no-cache, private' })
  }

  #end(): void {
    this.#isOver = true
    this.#watching?.end()
    for (const timer of this.#timers.splice(0)) clearTimeout(timer)
  }
}
