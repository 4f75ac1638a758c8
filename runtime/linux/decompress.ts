import koffi from 'koffi'
import { onPool, own } from './own-exports.ts'

/** What one step has done. */
export interface DecompressStep {
  /** Bytes of the input that are used up. */
  taken: number
  /** Bytes that were written into the output. */
  made: number
  /** What has been taken ends with the end of a gzip member or a zstd frame, and all of it has been made. */
  isEnd: boolean
}

/**
 * Decompresses between buffers that the caller keeps. Why not node:zlib: it makes a new buffer for every piece, which costs
 * a third of the time and fresh memory for all that passes through.
 */
export interface Decompressor {
  /** On a thread of libuv's pool, one step at a time; both buffers are in use until it is done. Throws on damaged input. */
  step(input: Uint8Array, output: Uint8Array): Promise<DecompressStep>
  /** Frees its memory; not during a step. */
  close(): void
}

/** `struct z_stream`: next_in, avail_in, total_in, next_out, avail_out and nine more words. zlib.h. */
const zStream = { bytes: 112, nextIn: 0, availIn: 8, nextOut: 24, availOut: 32 }
const Z_STREAM_END = 1
const Z_BUF_ERROR = -5
/** A window of 32 kB, and the head and end of gzip, which are checked. */
const gzipWindow = 15 + 16

/**
 * A gzip file of any number of members; zeros after the last one are padding, as gzip(1) takes them. RFC 1952. Fails by
 * `Error` when the data are damaged.
 */
export function gzipDecompressor(): Decompressor {
  const [inflate, reset, end] = [
    own('int inflate(void *, int)'),
    own('int inflateReset(void *)'),
    own('int inflateEnd(void *)'),
  ]
  const stream = Buffer.alloc(zStream.bytes)
  const made = own('int inflateInit2_(void *, int, const char *, int)')(stream, gzipWindow, '1', stream.length)
  if (made !== 0) throw new Error(`zlib cannot begin (${made})`)
  let between = false
  return {
    async step(input, output) {
      if (between && input.length > 0) {
        if (input[0] === 0) return { taken: input.length, made: 0, isEnd: true }
        reset(stream)
        between = false
      }
      stream.writeBigUInt64LE(koffi.address(input), zStream.nextIn)
      stream.writeUInt32LE(input.length, zStream.availIn)
      stream.writeBigUInt64LE(koffi.address(output), zStream.nextOut)
      stream.writeUInt32LE(output.length, zStream.availOut)
      const result = Number(await onPool(inflate, stream, 0))
      if (result !== 0 && result !== Z_STREAM_END && result !== Z_BUF_ERROR) throw new Error(`no gzip data (${result})`)
      between = result === Z_STREAM_END
      return {
        taken: input.length - stream.readUInt32LE(zStream.availIn),
        made: output.length - stream.readUInt32LE(zStream.availOut),
        isEnd: between,
      }
    },
    close: () => void end(stream),
  }
}

/** A zstd file of any number of frames, also those that are to be skipped. RFC 8878. Fails like `gzipDecompressor`. */
export function zstdDecompressor(): Decompressor {
  const decompress = own('size_t ZSTD_decompressStream(uintptr_t, void *, void *)')
  const context = own('uintptr_t ZSTD_createDStream()')()
  // ZSTD_outBuffer and ZSTD_inBuffer: address, size, position. zstd.h.
  const [out, into] = [Buffer.alloc(24), Buffer.alloc(24)]
  const fill = (target: Buffer, bytes: Uint8Array) => {
    target.writeBigUInt64LE(koffi.address(bytes), 0)
    target.writeBigUInt64LE(BigInt(bytes.length), 8)
    target.writeBigUInt64LE(0n, 16)
  }
  return {
    async step(input, output) {
      fill(into, input)
      fill(out, output)
      const result = BigInt(await onPool(decompress, context, out, into))
      // An error is the negative of its number; there are fewer than 200.
      const error = -BigInt.asIntN(64, result)
      if (error > 0n && error < 200n) throw new Error(`no zstd data (${error})`)
      const [taken, made] = [Number(into.readBigUInt64LE(16)), Number(out.readBigUInt64LE(16))]
      return { taken, made, isEnd: result === 0n }
    },
    close: () => void own('size_t ZSTD_freeDStream(uintptr_t)')(context),
  }
}
