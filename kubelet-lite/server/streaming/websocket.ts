import type { IncomingMessage } from 'node:http'
import { type Duplex, Readable, Writable } from 'node:stream'
import { type WebSocket, WebSocketServer } from 'ws'
import { streamingError } from './errors.ts'
import { refuseUpgrade, valuesOf } from './upgrade.ts'

/** kubectl sends up to 32 kB at once; nobody needs more than this. */
const maximumMessageBytes = 4 << 20
const closeWithinMs = 5000

/**
 * Accepts a WebSocket with the first of `protocols` that the client offers. A client that offers none gets one without
 * protocol if `protocols` has ''. Throws `STREAM_UPGRADE`, after answering 400.
 */
export async function acceptWebSocket(
  request: IncomingMessage,
  socket: Duplex,
  o: { head: Buffer; protocols: readonly string[] },
): Promise<{ webSocket: WebSocket; protocol: string }> {
  const offered = valuesOf(request.headers['sec-websocket-protocol'])
  const names = offered.length === 0 ? [''] : offered
  const protocol = o.protocols.find((one) => names.includes(one))
  if (protocol === undefined) {
    throw refuseUpgrade(socket, 400, `unable to upgrade: no supported protocol in [${offered.join(' ')}]`)
  }
  const server = new WebSocketServer({ noServer: true, maxPayload: maximumMessageBytes, perMessageDeflate: false })
  // kubectl's protocol SPDY/3.1+portforward.k8s.io has a slash, which RFC 6455 forbids and ws refuses: the choice is made
  // here, and ws never sees it.
  delete request.headers['sec-websocket-protocol']
  if (protocol !== '') server.on('headers', (headers) => headers.push(`Sec-WebSocket-Protocol: ${protocol}`))
  const opened = new Promise<WebSocket>((resolve, reject) => {
    server.once('wsClientError', (error) =>
      reject(streamingError('STREAM_UPGRADE', `upgrade connection: ${error.message}`)),
    )
    socket.once('close', () => reject(streamingError('STREAM_CLOSED', 'upgrade connection: the client has gone')))
    server.handleUpgrade(request, socket, o.head, resolve)
  })
  return { webSocket: await opened, protocol }
}

/** How the number of a channel and its bytes lie in a message: in binary, or as text with base64 behind a digit. */
export type ChannelCoding = 'binary' | 'base64'

export interface ChannelOptions {
  coding: ChannelCoding
  /** v5: channel 255 with a number says that the client has no more for that channel. */
  canClose: boolean
}

const closeChannel = 255

/** Streams over one WebSocket: the first byte of each message says which. */
export class ChannelSocket {
  /** Resolves when the WebSocket is closed, by whichever side. */
  readonly closed: Promise<void>
  readonly #webSocket: WebSocket
  readonly #options: ChannelOptions
  readonly #readers = new Map<number, Readable>()

  constructor(webSocket: WebSocket, options: ChannelOptions) {
    this.#webSocket = webSocket
    this.#options = options
    this.closed = new Promise((resolve) => webSocket.once('close', () => resolve()))
    webSocket.on('message', (data: Buffer) => this.#receive(data))
    // 'close' follows, and tells everybody.
    webSocket.on('error', () => {})
    webSocket.once('close', () => {
      for (const reader of this.#readers.values()) reader.push(null)
      this.#readers.clear()
    })
  }

  /** What the client sends on a channel. Must be asked for before the first message comes. */
  reader(channel: number): Readable {
    const reader = new Readable({ read: () => this.#webSocket.resume() })
    this.#readers.set(channel, reader)
    return reader
  }

  /** Sends on a channel; ending it sends nothing. Fails once the client has gone. */
  writer(channel: number): Writable {
    const writer = new Writable({
      write: (chunk: Buffer, _, done) =>
        this.#webSocket.send(this.#encode(channel, chunk), (error) => done(error ?? null)),
    })
    // Whoever writes learns of failures there; without a listener they would end this process.
    writer.on('error', () => {})
    return writer
  }

  /** Says goodbye, and does not wait for ever for the answer. */
  async close(): Promise<void> {
    this.#webSocket.close(1000)
    const timer = setTimeout(() => this.#webSocket.terminate(), closeWithinMs)
    await this.closed
    clearTimeout(timer)
  }

  #encode(channel: number, bytes: Buffer): Buffer | string {
    if (this.#options.coding === 'base64') return `${channel}${bytes.toString('base64')}`
    return Buffer.concat([Buffer.of(channel), bytes])
  }

  #receive(data: Buffer): void {
    if (data.length === 0) return
    const isText = this.#options.coding === 'base64'
    const channel = isText ? Number(String.fromCharCode(data.readUInt8(0))) : data.readUInt8(0)
    const bytes = isText ? Buffer.from(data.toString('latin1', 1), 'base64') : data.subarray(1)
    if (this.#options.canClose && channel === closeChannel) {
      const ended = bytes[0]
      if (ended !== undefined) this.#endReader(ended)
      return
    }
    const reader = this.#readers.get(channel)
    if (reader && bytes.length > 0 && !reader.push(bytes)) this.#webSocket.pause()
  }

  #endReader(channel: number): void {
    this.#readers.get(channel)?.push(null)
    this.#readers.delete(channel)
  }
}
