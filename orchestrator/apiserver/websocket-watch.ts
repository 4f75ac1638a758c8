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
import { WatchOutbox } from './watch-outbox.ts'

const longestSeconds = 1800
const bookmarkMs = 60_000

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
  socket.on('drain', () => watch.flow())
  if (socket.destroyed) watch.end()
  new WebSocketServer({ noServer: true, perMessageDeflate: false }).handleUpgrade(request, socket, head, (opened) =>
    watch.open(opened, { seconds, withBookmarks: query.allowWatchBookmarks ?? false }),
  )
}

/** Events become messages; those that come before the WebSocket is there wait for it. */
class SocketWatch {
  readonly #framing: Framing
  readonly #outbox: WatchOutbox
  readonly #binary: boolean
  #failure: string | Uint8Array | undefined
  #webSocket: WebSocket | undefined
  #watching: Watching | undefined
  #isOver = false

  constructor(framing: Framing, binary: boolean) {
    this.#framing = framing
    this.#outbox = new WatchOutbox(framing)
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
    const write = (frame: string | Uint8Array) => opened.send(frame, { binary: this.#binary })
    if (this.#failure !== undefined) write(this.#failure)
    if (this.#isOver) {
      opened.close(1000)
      return
    }
    this.#follow(opened, { seconds, withBookmarks })
    const sink = { write, unsent: () => opened.bufferedAmount, cutOff: () => opened.terminate() }
    this.#guard(() => this.#outbox.open(sink))
  }

  /** The client has read: what is left of the beginning goes on. */
  flow(): void {
    if (!this.#isOver) this.#guard(() => this.#outbox.flow())
  }

  end(): void {
    this.#isOver = true
    this.#outbox.clear()
    this.#watching?.end()
  }

  #follow(opened: WebSocket, { seconds, withBookmarks }: { seconds: number; withBookmarks: boolean }): void {
    const bookmarks = withBookmarks ? setInterval(() => this.#watching?.bookmark(), bookmarkMs) : undefined
    const finish = () => {
      if (withBookmarks && this.#outbox.isCaughtUp) this.#watching?.bookmark()
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
      this.#outbox.take(event)
    } catch (error) {
      // Whoever cannot be told of an event must not go on as if there had been none.
      this.#fail(error)
      throw error
    }
  }

  #guard(send: () => void): void {
    try {
      send()
    } catch (error) {
      this.#fail(error)
    }
  }

  #fail(error: unknown): void {
    if (this.#isOver) return
    this.#failure = this.#framing.failure(toStatus(error))
    this.#webSocket?.send(this.#failure, { binary: this.#binary })
    this.end()
    this.#webSocket?.close(1000)
  }
}
