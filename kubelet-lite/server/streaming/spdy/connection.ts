import type { Duplex } from 'node:stream'
import { streamingError } from '../errors.ts'
import {
  dataFrame,
  type Frame,
  FrameReader,
  goAwayFrame,
  pingFrame,
  resetFrame,
  synReplyFrame,
  windowUpdateFrame,
} from './frames.ts'
import { HeaderEncoder } from './header-block.ts'
import { SpdyStream } from './stream.ts'

/** SPDY/3.1 starts with this for every stream and for the connection. */
const defaultWindowBytes = 1 << 16
/** A stream that nobody reads may pile up this much; then the whole connection is not read any more. */
const maximumPileBytes = 1 << 20

/**
 * The server's side of a SPDY/3.1 connection. Streams are opened by the client only, as kubectl does.
 *
 * Flow control: what we have read is credited (WINDOW_UPDATE). What we send is held back by the client's windows only
 * once it has shown that it gives credit: the library of kubectl and of every other client in Go never does and would
 * be waited for in vain after 64 kB (moby/spdystream, connection.go: no case for WindowUpdateFrame).
 */
export class SpdyConnection {
  /** Resolves when the transport is closed, for whatever reason. */
  readonly closed: Promise<void>
  readonly #transport: Duplex
  readonly #onStream: (stream: SpdyStream) => void
  readonly #encoder = new HeaderEncoder()
  readonly #reader = new FrameReader()
  readonly #streams = new Map<number, SpdyStream>()
  #lastStream = 0
  #initialWindow = defaultWindowBytes
  /** Undefined while the client has not shown that it gives credit. */
  #sendWindow: number | undefined
  #sentBytes = 0

  /** `onStream` is called for every stream that the client opens; it must take or reset it. */
  constructor(transport: Duplex, onStream: (stream: SpdyStream) => void) {
    this.#transport = transport
    this.#onStream = onStream
    this.closed = new Promise((resolve) => transport.once('close', resolve))
    transport.on('data', (chunk: Buffer) => this.#receive(chunk))
    transport.on('end', () => this.#end())
    // Told by `closed`; streams get an error below.
    transport.on('error', () => {})
    transport.on('drain', () => this.#resumeSending())
    transport.once('close', () => this.#end())
  }

  /** Says goodbye and closes once everything is sent. */
  close(): void {
    if (this.#transport.writableEnded) return
    this.#transport.write(goAwayFrame(this.#lastStream))
    this.#transport.end()
  }

  destroy(error?: Error): void {
    this.#transport.destroy(error)
  }

  #receive(chunk: Buffer): void {
    try {
      for (const frame of this.#reader.read(chunk)) this.#handle(frame)
    } catch (error) {
      this.destroy(error as Error)
    }
  }

  #handle(frame: Frame): void {
    switch (frame.type) {
      case 'syn-stream':
        this.#open(frame)
        return
      case 'data':
        this.#data(frame)
        return
      case 'headers':
        if (frame.isLast) this.#streams.get(frame.stream)?.receiveEnd()
        return
      case 'reset':
        this.#streams.get(frame.stream)?.receiveReset()
        return
      case 'ping':
        // Odd ids are the client's questions; even ones would be answers to ours, which we do not ask.
        if (frame.id % 2 === 1) this.#transport.write(pingFrame(frame.id))
        return
      case 'window-update':
        this.#credit(frame.stream, frame.bytes)
        return
      case 'settings':
        this.#initialWindow = frame.initialWindowBytes ?? this.#initialWindow
        return
      case 'syn-reply':
      case 'go-away':
      case 'other':
        return
    }
  }

  #open(frame: Extract<Frame, { type: 'syn-stream' }>): void {
    if (frame.stream % 2 === 0 || frame.stream <= this.#lastStream) {
      this.#transport.write(resetFrame(frame.stream, 1))
      return
    }
    this.#lastStream = frame.stream
    const stream = new SpdyStream({
      id: frame.stream,
      headers: frame.headers,
      window: this.#initialWindow,
      send: (bytes, isLast) => this.#send(frame.stream, bytes, isLast),
      mayPass: (wanted) => this.#mayPass(frame.stream, wanted),
      reset: (status) => this.#transport.writable && this.#transport.write(resetFrame(frame.stream, status)),
      consumed: (bytes) => this.#consumed(frame.stream, bytes),
    })
    this.#streams.set(frame.stream, stream)
    stream.once('close', () => {
      this.#streams.delete(frame.stream)
      this.#resumeReading()
    })
    // kubectl drops data of a stream that has no reply yet.
    this.#transport.write(synReplyFrame(frame.stream, this.#encoder))
    this.#onStream(stream)
    if (frame.isLast) stream.receiveEnd()
  }

  #data({ stream: id, bytes, isLast }: Extract<Frame, { type: 'data' }>): void {
    const stream = this.#streams.get(id)
    // A stream that we have closed already; the client may not know yet.
    if (!stream) return
    stream.receiveData(bytes)
    if (stream.readableLength > maximumPileBytes) this.#transport.pause()
    if (isLast) stream.receiveEnd()
  }

  #consumed(id: number, bytes: number): void {
    if (!this.#transport.writable) return
    for (const credited of [id, 0]) this.#transport.write(windowUpdateFrame(credited, bytes))
    this.#resumeReading()
  }

  #resumeReading(): void {
    const isPiled = [...this.#streams.values()].some(({ readableLength }) => readableLength > maximumPileBytes)
    if (this.#transport.isPaused() && !isPiled) this.#transport.resume()
  }

  /** True if the transport wants more. */
  #send(id: number, bytes: Buffer, isLast: boolean): boolean {
    if (!this.#transport.writable) return true
    const [header, body] = dataFrame(id, bytes, isLast)
    this.#transport.cork()
    this.#transport.write(header)
    const wantsMore = bytes.length === 0 || this.#transport.write(body)
    this.#transport.uncork()
    this.#sentBytes += bytes.length
    return wantsMore
  }

  /** How many bytes of `wanted` may be sent now. */
  #mayPass(id: number, wanted: number): number {
    if (this.#sendWindow === undefined) return wanted
    const window = this.#streams.get(id)?.window ?? 0
    return Math.max(0, Math.min(wanted, window, this.#sendWindow - this.#sentBytes))
  }

  #credit(id: number, bytes: number): void {
    this.#sendWindow ??= defaultWindowBytes
    if (id === 0) this.#sendWindow += bytes
    else this.#streams.get(id)?.receiveCredit(bytes)
    this.#resumeSending()
  }

  #resumeSending(): void {
    for (const stream of this.#streams.values()) stream.resumeSending()
  }

  #end(): void {
    for (const stream of this.#streams.values()) {
      stream.receiveClose(streamingError('STREAM_CLOSED', 'use SPDY stream: the client has gone'))
    }
    this.#streams.clear()
    if (!this.#transport.writableEnded) this.#transport.end()
  }
}
