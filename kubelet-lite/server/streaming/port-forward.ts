import type { IncomingMessage } from 'node:http'
import { Duplex, Readable, type Writable } from 'node:stream'
import { createWebSocketStream } from 'ws'
import { SpdyConnection } from './spdy/connection.ts'
import type { SpdyStream } from './spdy/stream.ts'
import { refuseUpgrade, switchToSpdy, valuesOf, wantedUpgrade } from './upgrade.ts'
import { acceptWebSocket, ChannelSocket } from './websocket.ts'

/** One connection that the client wants to a port of the pod. */
export interface ForwardedConnection {
  port: number
  /** To be joined with a connection to the port; to be ended when that ends. */
  data: Duplex
  /** A text here tells the client that it did not work. To be ended in every case. */
  error: Writable
}

export interface PortForwardSession {
  /** Ends when the client has gone. */
  connections: AsyncIterable<ForwardedConnection>
  closed: Promise<void>
  close(): void
}

const spdyProtocol = 'portforward.k8s.io'
const tunnelProtocol = 'SPDY/3.1+portforward.k8s.io'
const channelProtocols = ['v4.channel.k8s.io', 'v4.base64.channel.k8s.io']
const maximumPorts = 64

/** A request to upgrade, as Node's HTTP server hands it over. */
export interface PortForwardRequest {
  request: IncomingMessage
  socket: Duplex
  head: Buffer
}

/**
 * Accepts kubectl port-forward: over SPDY, over SPDY in a WebSocket (kubectl since 1.31), or over the channels of a
 * WebSocket with `?port=…` (other clients). Throws `STREAM_UPGRADE`, after answering 400 or 403. Source:
 * kubernetes/kubernetes, staging/src/k8s.io/kubelet/pkg/cri/streaming/portforward; KEP-4006.
 */
export async function acceptPortForward(o: PortForwardRequest): Promise<PortForwardSession> {
  const { request, socket, head } = o
  switch (wantedUpgrade(request)) {
    case 'spdy': {
      const offered = valuesOf(request.headers['x-stream-protocol-version'])
      if (!offered.includes(spdyProtocol)) {
        throw refuseUpgrade(
          socket,
          403,
          `unable to upgrade: client supports [${offered.join(' ')}], not ${spdyProtocol}`,
        )
      }
      switchToSpdy(socket, spdyProtocol)
      if (head.length > 0) socket.unshift(head)
      return overSpdy(socket)
    }
    case 'websocket': {
      const protocols = [tunnelProtocol, ...channelProtocols]
      const { webSocket, protocol } = await acceptWebSocket(request, socket, { head, protocols })
      if (protocol === tunnelProtocol) return overSpdy(createWebSocketStream(webSocket))
      const ports = portsOf(request)
      if (ports.length === 0 || ports.length > maximumPorts) {
        webSocket.close(1008, 'query parameter "port" is required, with numbers between 1 and 65535')
      }
      const coding = protocol.includes('base64') ? 'base64' : 'binary'
      return overChannels(new ChannelSocket(webSocket, { coding, canClose: false }), ports)
    }
    case undefined:
      throw refuseUpgrade(socket, 400, 'Upgrade request required')
  }
}

/** For each connection the client opens two streams, `error` and `data`, with the same request id. */
function overSpdy(transport: Duplex): PortForwardSession {
  const connections = new Readable({ objectMode: true, read() {} })
  const waiting = new Map<string, SpdyStream>()
  const connection = new SpdyConnection(transport, (stream) => {
    const type = stream.headers.get('streamtype') ?? ''
    const port = portOf(stream.headers.get('port') ?? '')
    if (port === undefined || (type !== 'data' && type !== 'error')) {
      stream.refuse()
      return
    }
    const id = requestId(stream, type)
    const error = type === 'error' ? stream : waiting.get(id)
    if (type === 'error') {
      waiting.set(id, stream)
      stream.once('close', () => waiting.delete(id))
      // Nobody writes to us here, but the end must be noticed.
      stream.resume()
    } else if (error) {
      waiting.delete(id)
      connections.push({ port, data: stream, error } satisfies ForwardedConnection)
    } else stream.refuse()
  })
  void connection.closed.then(() => connections.push(null))
  return { connections, closed: connection.closed, close: () => connection.close() }
}

/** Old clients send no id; they open the error stream right before the data stream. */
function requestId(stream: SpdyStream, type: 'data' | 'error'): string {
  return stream.headers.get('requestid') ?? `stream ${type === 'error' ? stream.id : stream.id - 2}`
}

/** Channel 2n is the data of the n-th port and 2n+1 its error; both begin with the port in two bytes, low byte first. */
function overChannels(socket: ChannelSocket, ports: readonly number[]): PortForwardSession {
  const connections = new Readable({ objectMode: true, read() {} })
  for (const [at, port] of ports.entries()) {
    const number = Buffer.alloc(2)
    number.writeUInt16LE(port)
    const [output, error] = [socket.writer(2 * at), socket.writer(2 * at + 1)]
    const data = Duplex.from({ readable: socket.reader(2 * at), writable: output })
    data.on('error', () => {})
    for (const writer of [output, error]) writer.write(number)
    connections.push({ port, data, error } satisfies ForwardedConnection)
  }
  void socket.closed.then(() => connections.push(null))
  return { connections, closed: socket.closed, close: () => void socket.close() }
}

function portsOf(request: IncomingMessage): number[] {
  const query = new URL(request.url ?? '/', 'http://kubelet').searchParams
  // A client asks the API server for `ports`, which asks the kubelet for `port`.
  const texts = [...query.getAll('port'), ...query.getAll('ports')].flatMap((value) => value.split(','))
  const ports = texts.map(portOf)
  return ports.every((port) => port !== undefined) ? ports : []
}

function portOf(text: string): number | undefined {
  const port = Number(text)
  return /^\d{1,5}$/.test(text) && port > 0 && port < 65536 ? port : undefined
}
