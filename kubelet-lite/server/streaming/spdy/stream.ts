import { Duplex } from 'node:stream'
import type { SpdyHeaders } from './header-block.ts'

/** What a stream needs of its connection. */
export interface SpdyStreamParts {
  id: number
  headers: SpdyHeaders
  /** Bytes that may be sent before the client gives credit. */
  window: number
  /** Sends one frame; false when the transport is full. */
  send: (bytes: Buffer, isLast: boolean) => boolean
  mayPass: (wanted: number) => number
  reset: (status: 1 | 3 | 5) => void
  /** So many bytes have been read. */
  consumed: (bytes: number) => void
}

interface Waiting {
  bytes: Buffer
  done: (error?: Error | null) => void
}

const frameBytes = 1 << 15
const creditBytes = 1 << 15

/** One stream of a SPDY connection. Ending the writable side sends FIN; destroying it unfinished sends RST_STREAM. */
export class SpdyStream extends Duplex {
  readonly id: number
  readonly headers: SpdyHeaders
  /** What the client's window allows; counts only once the client gives credit. */
  window: number
  readonly #parts: SpdyStreamParts
  #waiting: Waiting | undefined
  #received = 0
  #isReset = false
  #gone: Error | undefined

  constructor(parts: SpdyStreamParts) {
    super({ allowHalfOpen: true })
    this.id = parts.id
    this.headers = parts.headers
    this.window = parts.window
    this.#parts = parts
    // Whoever writes learns of failures there; without a listener they would end this process.
    this.on('error', () => {})
  }

  receiveData(bytes: Buffer): void {
    if (this.destroyed || this.readableEnded) return
    this.#received += bytes.length
    this.push(bytes)
    this.#account()
  }

  receiveEnd(): void {
    if (!this.destroyed) this.push(null)
  }

  receiveReset(): void {
    this.#isReset = true
    this.destroy()
  }

  receiveCredit(bytes: number): void {
    this.window += bytes
  }

  /** The connection is gone: reading comes to its end, writing fails. */
  receiveClose(error: Error): void {
    this.#isReset = true
    this.#gone = error
    this.receiveEnd()
    const waiting = this.#waiting
    this.#waiting = undefined
    waiting?.done(error)
  }

  resumeSending(): void {
    const waiting = this.#waiting
    this.#waiting = undefined
    if (waiting) this.#sendFrom(waiting)
  }

  /** Refuses the stream. */
  refuse(): void {
    this.#isReset = true
    this.#parts.reset(3)
    this.destroy()
  }

  override _read(): void {}

  /** What leaves the buffer is credited. `_read` is no place for that: it is called before the bytes are taken. */
  override read(size?: number): unknown {
    const chunk: unknown = super.read(size)
    this.#account()
    return chunk
  }

  #account(): void {
    const credit = this.#received - this.readableLength
    if (credit < creditBytes) return
    this.#received -= credit
    this.#parts.consumed(credit)
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    if (this.#gone) done(this.#gone)
    else this.#sendFrom({ bytes: chunk, done })
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#parts.send(Buffer.alloc(0), true)
    done()
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    if (!this.#isReset && !(this.writableFinished && this.readableEnded)) this.#parts.reset(5)
    this.#waiting = undefined
    done(error)
  }

  #sendFrom({ bytes, done }: Waiting): void {
    let rest = bytes
    while (rest.length > 0) {
      const allowed = this.#parts.mayPass(Math.min(rest.length, frameBytes))
      const wantsMore = allowed > 0 && this.#parts.send(rest.subarray(0, allowed), false)
      this.window -= allowed
      rest = rest.subarray(allowed)
      if (!wantsMore) {
        this.#waiting = { bytes: rest, done }
        return
      }
    }
    done()
  }
}
