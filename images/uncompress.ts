import { messageOf } from '../runtime/base/errors.ts'
import { type Decompressor, gzipDecompressor, zstdDecompressor } from '../runtime/linux/decompress.ts'
import { imageError } from './errors.ts'
import type { Compression } from './manifest.ts'

/** Where packed bytes come from. */
export interface Packed {
  /** Reads as many as are there and fit; 0 at the end. */
  read(into: Uint8Array): Promise<number>
}

/** Two such pieces take turns: one is filled while the other is used. Each goes to a thread and back, so not too small. */
const pieceBytes = 1 << 19
const packedBytes = 1 << 18

/**
 * The bytes without their packing. A piece is good only until the next is asked for. Throws `IMAGE_LAYER_INVALID` for
 * damaged bytes, and what `read` throws.
 */
export async function* uncompressed(packed: Packed, compression: Compression): AsyncGenerator<Buffer> {
  if (compression === 'none') {
    const piece = Buffer.allocUnsafeSlow(pieceBytes)
    for (let count = await packed.read(piece); count > 0; count = await packed.read(piece)) {
      yield piece.subarray(0, count)
    }
    return
  }
  const source = new Uncompressor(packed, compression)
  let [next, current] = [Buffer.allocUnsafeSlow(pieceBytes), Buffer.allocUnsafeSlow(pieceBytes)]
  try {
    for (let filling = source.fill(next); ; ) {
      const count = await filling
      if (count === 0) return
      ;[next, current] = [current, next]
      filling = source.fill(next)
      // It fails for whoever asks for it, and nobody does if this is given up before.
      filling.catch(() => {})
      yield current.subarray(0, count)
    }
  } finally {
    await source.close()
  }
}

class Uncompressor {
  readonly #packed: Packed
  readonly #name: string
  readonly #stream: Decompressor
  readonly #input = Buffer.allocUnsafeSlow(packedBytes)
  /** What is left of the input. */
  #left: Buffer = this.#input.subarray(0, 0)
  /** The stream holds more than fitted into the last output. */
  #hasMore = false
  /** All that has come so far is a file that could end here. */
  #isWhole: boolean
  #step: Promise<unknown> | undefined
  #isClosed = false

  constructor(packed: Packed, compression: 'gzip' | 'zstd') {
    this.#packed = packed
    this.#name = compression
    this.#stream = compression === 'gzip' ? gzipDecompressor() : zstdDecompressor()
    // No frames are a zstd file, too; a gzip file has at least one member.
    this.#isWhole = compression === 'zstd'
  }

  /** Fills as much of `output` as comes without waiting for more; 0 at the end. */
  async fill(output: Uint8Array): Promise<number> {
    for (;;) {
      if (this.#left.length === 0 && !this.#hasMore) {
        const count = await this.#packed.read(this.#input)
        if (this.#isClosed) return 0
        if (count === 0 && !this.#isWhole) throw this.#damaged('it ends in the middle')
        if (count === 0) return 0
        this.#left = this.#input.subarray(0, count)
      }
      const step = this.#stream.step(this.#left, output).catch((error: unknown) => {
        throw this.#damaged(messageOf(error))
      })
      this.#step = step
      const { taken, made, isEnd } = await step
      this.#left = this.#left.subarray(taken)
      this.#hasMore = made === output.length && !isEnd
      if (taken > 0 || made > 0) this.#isWhole = isEnd
      else if (this.#left.length > 0) throw this.#damaged('it does not go on')
      if (made > 0) return made
    }
  }

  /** Waits for the step that is being made, not for bytes that are to come. */
  async close(): Promise<void> {
    this.#isClosed = true
    await this.#step?.catch(() => {})
    this.#stream.close()
  }

  #damaged(reason: string) {
    return imageError('IMAGE_LAYER_INVALID', `unpack ${this.#name}: ${reason}`)
  }
}
