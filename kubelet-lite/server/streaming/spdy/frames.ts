import { streamingError } from '../errors.ts'
import { HeaderDecoder, type HeaderEncoder, type SpdyHeaders } from './header-block.ts'

/**
 * Frames of SPDY/3.1, those that matter to a server:
 *
 *   data       0 | stream id (31)             flags (8) | length (24) | bytes
 *   control    1 | version 3 (15) | type (16) flags (8) | length (24) | by type
 *
 * Source: SPDY protocol draft 3.1, section 2.
 */
export type Frame =
  | { type: 'data'; stream: number; bytes: Buffer; isLast: boolean }
  | { type: 'syn-stream'; stream: number; headers: SpdyHeaders; isLast: boolean }
  | { type: 'syn-reply'; stream: number; isLast: boolean }
  | { type: 'headers'; stream: number; headers: SpdyHeaders; isLast: boolean }
  | { type: 'reset'; stream: number; status: number }
  | { type: 'window-update'; stream: number; bytes: number }
  | { type: 'settings'; initialWindowBytes: number | undefined }
  | { type: 'ping'; id: number }
  | { type: 'go-away' }
  | { type: 'other'; number: number }

const version = 3
const headerBytes = 8
const flagLast = 0x01
const initialWindowSetting = 7
const types = {
  synStream: 1,
  synReply: 2,
  reset: 3,
  settings: 4,
  ping: 6,
  goAway: 7,
  headers: 8,
  windowUpdate: 9,
} as const
const [maximumControlBytes, maximumDataBytes] = [1 << 16, 1 << 24]

/** Cuts bytes into frames. Throws `STREAM_PROTOCOL`. */
export class FrameReader {
  readonly #decoder = new HeaderDecoder()
  #chunks: Buffer[] = []
  #size = 0

  /** The frames that are complete with this chunk. */
  read(chunk: Buffer): Frame[] {
    this.#chunks.push(chunk)
    this.#size += chunk.length
    const frames: Frame[] = []
    for (let needed = this.#neededBytes(); needed !== undefined && this.#size >= needed; needed = this.#neededBytes()) {
      const bytes = this.#joined()
      this.#chunks = needed < bytes.length ? [bytes.subarray(needed)] : []
      this.#size -= needed
      frames.push(this.#decode(bytes.subarray(0, needed)))
    }
    return frames
  }

  #neededBytes(): number | undefined {
    if (this.#size < headerBytes) return undefined
    const bytes = (this.#chunks[0]?.length ?? 0) >= headerBytes ? this.#chunks[0] : this.#joined()
    if (!bytes) return undefined
    const isControl = (bytes.readUInt8(0) & 0x80) !== 0
    const length = bytes.readUIntBE(5, 3)
    if (isControl && bytes.readUInt16BE(0) !== (0x8000 | version)) throw broken('a frame of another version')
    if (length > (isControl ? maximumControlBytes : maximumDataBytes)) throw broken(`a frame of ${length} bytes`)
    return headerBytes + length
  }

  #joined(): Buffer {
    const bytes = this.#chunks.length === 1 && this.#chunks[0] ? this.#chunks[0] : Buffer.concat(this.#chunks)
    this.#chunks = [bytes]
    return bytes
  }

  #decode(frame: Buffer): Frame {
    const isLast = (frame.readUInt8(4) & flagLast) !== 0
    const body = frame.subarray(headerBytes)
    const first = frame.readUInt32BE(0)
    if (first >>> 31 === 0) return { type: 'data', stream: first, bytes: body, isLast }
    try {
      return this.#decodeControl(first & 0xffff, body, isLast)
    } catch (error) {
      if (error instanceof RangeError) throw broken('a frame is too short')
      throw error
    }
  }

  #decodeControl(number: number, body: Buffer, isLast: boolean): Frame {
    const stream = () => body.readUInt32BE(0) & 0x7fffffff
    switch (number) {
      case types.synStream:
        // After the stream: the one it belongs to (4), priority and slot (2).
        return { type: 'syn-stream', stream: stream(), headers: this.#decoder.decode(body.subarray(10)), isLast }
      case types.synReply:
        this.#decoder.decode(body.subarray(4))
        return { type: 'syn-reply', stream: stream(), isLast }
      case types.headers:
        return { type: 'headers', stream: stream(), headers: this.#decoder.decode(body.subarray(4)), isLast }
      case types.reset:
        return { type: 'reset', stream: stream(), status: body.readUInt32BE(4) }
      case types.windowUpdate:
        return { type: 'window-update', stream: stream(), bytes: body.readUInt32BE(4) & 0x7fffffff }
      case types.settings:
        return { type: 'settings', initialWindowBytes: initialWindow(body) }
      case types.ping:
        return { type: 'ping', id: body.readUInt32BE(0) }
      case types.goAway:
        return { type: 'go-away' }
      default:
        return { type: 'other', number }
    }
  }
}

function initialWindow(body: Buffer): number | undefined {
  for (let left = body.readUInt32BE(0), at = 4; left > 0; left--, at += 8) {
    if (body.readUIntBE(at + 1, 3) === initialWindowSetting) return body.readUInt32BE(at + 4)
  }
  return undefined
}

export function dataFrame(stream: number, bytes: Buffer, isLast: boolean): Buffer[] {
  const header = Buffer.alloc(headerBytes)
  header.writeUInt32BE(stream, 0)
  header.writeUInt8(isLast ? flagLast : 0, 4)
  header.writeUIntBE(bytes.length, 5, 3)
  return [header, bytes]
}

export function synReplyFrame(stream: number, encoder: HeaderEncoder): Buffer {
  return control(types.synReply, Buffer.concat([word(stream), encoder.encode(new Map())]))
}

export function synStreamFrame(stream: number, headers: SpdyHeaders, encoder: HeaderEncoder): Buffer {
  return control(types.synStream, Buffer.concat([word(stream), word(0), Buffer.alloc(2), encoder.encode(headers)]))
}

/** Status 1 is PROTOCOL_ERROR, 3 REFUSED_STREAM, 5 CANCEL. */
export function resetFrame(stream: number, status: 1 | 3 | 5): Buffer {
  return control(types.reset, Buffer.concat([word(stream), word(status)]))
}

export function pingFrame(id: number): Buffer {
  return control(types.ping, word(id))
}

/** Status 0: nothing is wrong. */
export function goAwayFrame(lastStream: number): Buffer {
  return control(types.goAway, Buffer.concat([word(lastStream), word(0)]))
}

export function windowUpdateFrame(stream: number, bytes: number): Buffer {
  return control(types.windowUpdate, Buffer.concat([word(stream), word(bytes)]))
}

function control(type: number, body: Buffer): Buffer {
  const header = Buffer.alloc(headerBytes)
  header.writeUInt16BE(0x8000 | version, 0)
  header.writeUInt16BE(type, 2)
  header.writeUIntBE(body.length, 5, 3)
  return Buffer.concat([header, body])
}

function word(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

function broken(what: string) {
  return streamingError('STREAM_PROTOCOL', `read SPDY frame: ${what}`)
}
