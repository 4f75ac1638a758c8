/** A log over WebSocket, as the conformance tests read it. Source: k8s.io/apiserver/pkg/util/wsstream/stream.go. */
import type { IncomingMessage } from 'node:http'
import { type WebSocket, WebSocketServer } from 'ws'
import { badRequest } from '../api/status.ts'
import { type KubeletAccess, passRefusal, requestTo, type UpgradingClient } from './kubelet-proxy.ts'
import type { KubeletTarget } from './verbs/connect.ts'

/** The first is what a client means that names none. */
const protocols = ['', 'binary.k8s.io', 'base64.binary.k8s.io']

/** Sends what the kubelet answers, a message for each piece; an answer other than 200 is the client's, as HTTP. Throws BAD_REQUEST. */
export function logOverWebSocket(target: KubeletTarget, access: KubeletAccess, client: UpgradingClient): void {
  const { request, socket, head } = client
  const offered = String(request.headers['sec-websocket-protocol'] ?? '')
    .split(',')
    .map((each) => each.trim())
  const protocol = protocols.find((each) => offered.includes(each))
  if (request.headers.upgrade?.toLowerCase() !== 'websocket' || protocol === undefined) {
    throw badRequest('this path takes only a WebSocket of binary.k8s.io or base64.binary.k8s.io')
  }
  const asked = requestTo(target, access, { method: 'GET' })
  socket.once('close', () => asked.destroy())
  asked.once('error', () => socket.destroy())
  asked.once('response', (answer) => {
    if (answer.statusCode !== 200) return passRefusal(answer, socket)
    const server = new WebSocketServer({ noServer: true, handleProtocols: () => protocol, perMessageDeflate: false })
    server.handleUpgrade(request, socket, head, (webSocket) => void send(answer, webSocket, protocol))
  })
  asked.end()
}

async function send(answer: IncomingMessage, webSocket: WebSocket, protocol: string): Promise<void> {
  webSocket.on('error', () => webSocket.terminate())
  const isText = protocol.startsWith('base64')
  try {
    for await (const piece of answer as AsyncIterable<Buffer>) {
      // Waiting for each keeps a slow reader from filling our memory.
      await new Promise<void>((resolve, reject) =>
        webSocket.send(isText ? piece.toString('base64') : piece, (error) => (error ? reject(error) : resolve())),
      )
    }
    webSocket.close(1000)
  } catch {
    // The client has gone, or the kubelet.
    webSocket.terminate()
  }
}
