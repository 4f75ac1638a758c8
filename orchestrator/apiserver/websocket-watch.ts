/** A watch over WebSocket: one message an event. Source: k8s.io/apiserver/pkg/endpoints/handlers/watch.go. */
import { type WebSocket, WebSocketServer } from 'ws'
import { badRequest, toStatus, unknownResource } from '../api/status.ts'
import type { Incoming } from './incoming.ts'
import type { UpgradingClient } from './kubelet-proxy.ts'
import { protobufType } from './negotiate.ts'
import { numberOf } from './parameters.ts'
import { watchQueryOf } from './query.ts'
import type { Registry } from './registry.ts'
import type { ResourceRequest } from './request-info.ts'
import { presentationOf, refuseUnsupported } from './resource-handler.ts'
import { storedKindOf } from './shown.ts'
import { planWatch, type WatchedEvent, type Watching, type WatchPlan, watchObjects } from './verbs/watch.ts'
import { type Framing, framingOf } from './watch-frames.ts'

const longestSeconds = 1800
const bookmarkMs = 60_000
/** A watcher that leaves more than this unread is cut off; it lists again when it comes back. */
const largestBacklogBytes = 8 * 1024 * 1024

/** Sends every event, as text, or as binary messages where they are protobuf. Throws NOT_FOUND, BAD_REQUEST, NOT_ACCEPTABLE. */
export async function watchOverWebSocket(
  registry: Registry,
  { incoming, info }: { incoming: Incoming; info: ResourceRequest },
  { request, socket, head }: UpgradingClient,
): Promise<void> {
  const kind = registry.kinds.find(info)
  if (!kind || kind.storedAt === '' || (!kind.namespaced && info.namespace !== undefined)) throw unknownResource()
  refuseUnsupported(kind, info)
  if (request.headers.upgrade?.toLowerCase() !== 'websocket') throw badRequest('a watch takes only a WebSocket')
  const query = watchQueryOf(incoming.query, info.name)
  const seconds = numberOf(incoming.query, 'timeoutSeconds') || longestSeconds
  const framing = framingOf(kind, presentationOf(registry, incoming), registry.clock)
  const collection = {
    kind: storedKindOf(kind),
    ...(kind.conversion ? { servedAs: kind } : {}),
    ...(info.namespace === undefined ? {} : { namespace: info.namespace }),
  }
  // JSON may come as bytes too, which are made once for all watchers of an event.
  const watch = new SocketWatch(framing, framing.contentType.startsWith(protobufType))
  // What is wrong with the query is answered while this is HTTP.
  await watch.start(registry, planWatch(collection, query))
  socket.once('close', () => watch.end())
  if (socket.destroyed) watch.end()
  new WebSocketServer({ noServer: true, perMessageDeflate: false }).handleUpgrade(request, socket, head, (opened) =>
    watch.open(opened, { seconds, withBookmarks: query.allowWatchBookmarks ?? false }),
  )
}

/** Events become messages; those that come before the WebSocket is there wait for it. */
class SocketWatch {
  readonly #framing: Framing
  readonly #binary: boolean
  readonly #early: (string | Uint8Array)[] = []
  #webSocket: WebSocket | undefined
  #watching: Watching | undefined
  #isOver = false

  constructor(framing: Framing, binary: boolean) {
    this.#framing = framing
    this.#binary = binary
  }

  /** Resolves when it watches, or has failed: then the failure is its only message. */
  async start(registry: Registry, plan: WatchPlan): Promise<void> {
    try {
      this.#watching = await watchObjects(registry, plan, (event) => this.#take(event))
    } catch (error) {
      this.#fail(error)
    }
    if (this.#isOver) this.end()
  }

  open(opened: WebSocket, { seconds, withBookmarks }: { seconds: number; withBookmarks: boolean }): void {
    opened.on('error', () => opened.terminate())
    this.#webSocket = opened
    for (const frame of this.#early.splice(0)) this.#send(frame)
    if (this.#isOver) opened.close(1000)
    else this.#follow(opened, { seconds, withBookmarks })
  }

  end(): void {
    this.#isOver = true
    this.#watching?.end()
  }

  #follow(opened: WebSocket, { seconds, withBookmarks }: { seconds: number; withBookmarks: boolean }): void {
    const bookmarks = withBookmarks ? setInterval(() => this.#watching?.bookmark(), bookmarkMs) : undefined
    const finish = () => {
      if (withBookmarks) this.#watching?.bookmark()
      opened.close(1000)
    }
    const timeout = setTimeout(finish, Math.min(seconds, longestSeconds) * 1000)
    opened.once('close', () => {
      clearInterval(bookmarks)
      clearTimeout(timeout)
    })
  }

  #take(event: WatchedEvent): void {
    if (this.#isOver) return
    try {
      this.#send(this.#framing.frame(event))
    } catch (error) {
      // Whoever cannot be told of an event must not go on as if there had been none.
      this.#fail(error)
      throw error
    }
  }

  #fail(error: unknown): void {
    if (this.#isOver) return
    this.#send(this.#framing.failure(toStatus(error)))
    this.end()
    this.#webSocket?.close(1000)
  }

  #send(frame: string | Uint8Array): void {
    if (!this.#webSocket) {
      this.#early.push(frame)
      return
    }
    this.#webSocket.send(frame, { binary: this.#binary })
    if (this.#webSocket.bufferedAmount > largestBacklogBytes) this.#webSocket.terminate()
  }
}
