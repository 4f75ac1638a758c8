/** A watch over WebSocket: one message an event. Source: k8s.io/apiserver/pkg/endpoints/handlers/watch.go. */
import type { Duplex } from 'node:stream'
import { type WebSocket, WebSocketServer } from 'ws'
import { badRequest, unknownResource } from '../api/status.ts'
import type { Incoming } from './incoming.ts'
import type { UpgradingClient } from './kubelet-proxy.ts'
import { protobufType } from './negotiate.ts'
import { numberOf, watchQueryOf } from './query.ts'
import type { Registry } from './registry.ts'
import type { ResourceRequest } from './request-info.ts'
import { presentationOf, refuseUnsupported } from './resource-handler.ts'
import { storedKindOf } from './shown.ts'
import { type Watching, watchObjects } from './verbs/watch.ts'
import { framingOf } from './watch-frames.ts'

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
  const query = watchQueryOf(incoming.query)
  const seconds = numberOf(incoming.query, 'timeoutSeconds') || longestSeconds
  const framing = framingOf(kind, presentationOf(registry, incoming), registry.clock)
  const collection = {
    kind: storedKindOf(kind),
    ...(kind.conversion ? { servedAs: kind } : {}),
    ...(info.namespace === undefined ? {} : { namespace: info.namespace }),
  }
  // JSON may come as bytes too, which are made once for all watchers of an event.
  const binary = framing.contentType.startsWith(protobufType)
  let webSocket: WebSocket | undefined
  const early: (string | Uint8Array)[] = []
  // What is wrong with the query is answered while this is HTTP: the watch is there before the WebSocket.
  const watching = await watchObjects(registry, collection, {
    query,
    deliver(event) {
      const frame = framing.frame(event)
      if (!webSocket) early.push(frame)
      else send(webSocket, frame, binary)
    },
  })
  endWithSocket(socket, watching)
  new WebSocketServer({ noServer: true, perMessageDeflate: false }).handleUpgrade(request, socket, head, (opened) => {
    opened.on('error', () => opened.terminate())
    webSocket = opened
    for (const frame of early.splice(0)) send(opened, frame, binary)
    follow(opened, watching, { seconds, withBookmarks: query.allowWatchBookmarks ?? false })
  })
}

function send(webSocket: WebSocket, frame: string | Uint8Array, binary: boolean): void {
  webSocket.send(frame, { binary })
  if (webSocket.bufferedAmount > largestBacklogBytes) webSocket.terminate()
}

function endWithSocket(socket: Duplex, watching: Watching): void {
  if (socket.destroyed) watching.end()
  else socket.once('close', () => watching.end())
}

function follow(
  webSocket: WebSocket,
  watching: Watching,
  { seconds, withBookmarks }: { seconds: number; withBookmarks: boolean },
): void {
  const bookmarks = withBookmarks ? setInterval(() => watching.bookmark(), bookmarkMs) : undefined
  const finish = () => {
    if (withBookmarks) watching.bookmark()
    webSocket.close(1000)
  }
  const timeout = setTimeout(finish, Math.min(seconds, longestSeconds) * 1000)
  webSocket.once('close', () => {
    clearInterval(bookmarks)
    clearTimeout(timeout)
  })
}
