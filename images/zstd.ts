import { Readable } from 'node:stream'
import { createZstdDecompress, zstdDecompressSync } from 'node:zlib'
import { imageError } from './errors.ts'

/**
 * Unpacks a zstd file of any number of frames. Node's decompressor stops after the first frame, and layers in the
 * zstd:chunked format have one for each file, and skippable frames for tools that know them: so the frames are told
 * apart here, by their headers and the headers of their blocks, without unpacking anything. RFC 8878, section 3.1.
 */
export async function* unpackZstd(source: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  const bytes = new ByteReader(source)
  for (;;) {
    const magic = await bytes.take(4)
    if (magic.length === 0) return
    if (magic.length === 4 && (magic.readUInt32LE(0) & skippableMask) >>> 0 === skippableMagic) {
      await bytes.skip((await bytes.takeAll(4)).readUInt32LE(0))
      continue
    }
    if (magic.length < 4 || magic.readUInt32LE(0) !== frameMagic) throw damaged('a frame begins with other bytes')
    yield* unpackFrame(frameBytes(bytes, magic))
  }
}

const frameMagic = 0xfd2fb528
const skippableMagic = 0x184d2a50
const skippableMask = 0xfffffff0
/** Frames up to this size are unpacked in one call, which is much faster for thousands of small ones. */
const smallFrameBytes = 1 << 17
/** What is handed to the decompressor, and taken from it, at a time. */
const pieceBytes = 1 << 18

async function* unpackFrame(pieces: AsyncGenerator<Buffer>): AsyncGenerator<Buffer> {
  const head: Buffer[] = []
  let size = 0
  let isWhole = false
  while (!isWhole && size <= smallFrameBytes) {
    const next = await pieces.next()
    if (next.done) isWhole = true
    else {
      head.push(next.value)
      size += next.value.length
    }
  }
  const atOnce = isWhole ? unpackAtOnce(Buffer.concat(head)) : undefined
  if (atOnce) yield atOnce
  else yield* unpackPiecewise(head, pieces)
}

/** Undefined when a small frame unpacks to something large. */
function unpackAtOnce(frame: Buffer): Buffer | undefined {
  try {
    return zstdDecompressSync(frame, { maxOutputLength: 1 << 24 })
  } catch (error) {
    if ((error as { code?: unknown }).code === 'ERR_BUFFER_TOO_LARGE') return undefined
    throw error
  }
}

async function* unpackPiecewise(head: readonly Buffer[], rest: AsyncGenerator<Buffer>): AsyncGenerator<Buffer> {
  const whole = async function* () {
    yield* head
    yield* rest
  }
  const decompress = createZstdDecompress({ chunkSize: pieceBytes })
  const input = Readable.from(gathered(whole()), { objectMode: false })
  input.on('error', (error) => decompress.destroy(error))
  for await (const chunk of input.pipe(decompress)) yield chunk as Buffer
}

/** The same bytes in larger pieces: each goes to a thread of the pool and back, whatever its size. */
async function* gathered(pieces: AsyncGenerator<Buffer>): AsyncGenerator<Buffer> {
  let kept: Buffer[] = []
  let size = 0
  for await (const piece of pieces) {
    kept.push(piece)
    size += piece.length
    if (size < pieceBytes) continue
    yield Buffer.concat(kept)
    kept = []
    size = 0
  }
  if (size > 0) yield Buffer.concat(kept)
}

/** The bytes of one frame whose magic number has been read. */
async function* frameBytes(bytes: ByteReader, magic: Buffer): AsyncGenerator<Buffer> {
  const descriptor = await bytes.takeAll(1)
  const flags = descriptor.readUInt8(0)
  const singleSegment = (flags & 0x20) !== 0
  const dictionaryBytes = [0, 1, 2, 4][flags & 3] ?? 0
  const sizeBytes = [singleSegment ? 1 : 0, 2, 4, 8][flags >> 6] ?? 0
  const rest = await bytes.takeAll((singleSegment ? 0 : 1) + dictionaryBytes + sizeBytes)
  yield Buffer.concat([magic, descriptor, rest])
  for (;;) {
    const header = await bytes.takeAll(3)
    const value = header.readUIntLE(0, 3)
    const type = (value >> 1) & 3
    yield header
    // A block of type 1 is one byte, repeated.
    for (let left = type === 1 ? 1 : value >> 3; left > 0; ) {
      const piece = await bytes.some(left)
      left -= piece.length
      yield piece
    }
    if (value & 1) break
  }
  if (flags & 4) yield await bytes.takeAll(4)
}

/** Takes exact numbers of bytes from chunks of any size. */
class ByteReader {
  readonly #source: AsyncIterator<Uint8Array>
  #chunk: Buffer = Buffer.alloc(0)

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]()
  }

  /** Up to `limit` bytes, at least one. Throws when there are none. */
  async some(limit: number): Promise<Buffer> {
    if (this.#chunk.length === 0 && !(await this.#fill())) throw damaged('it ends in the middle')
    const piece = this.#chunk.subarray(0, limit)
    this.#chunk = this.#chunk.subarray(piece.length)
    return piece
  }

  /** `count` bytes, or fewer at the end. */
  async take(count: number): Promise<Buffer> {
    const pieces: Buffer[] = []
    for (let left = count; left > 0; ) {
      if (this.#chunk.length === 0 && !(await this.#fill())) break
      const piece = await this.some(left)
      left -= piece.length
      pieces.push(piece)
    }
    return pieces.length === 1 && pieces[0] ? pieces[0] : Buffer.concat(pieces)
  }

  async takeAll(count: number): Promise<Buffer> {
    const bytes = await this.take(count)
    if (bytes.length < count) throw damaged('it ends in the middle')
    return bytes
  }

  async skip(count: number): Promise<void> {
    for (let left = count; left > 0; ) left -= (await this.some(left)).length
  }

  async #fill(): Promise<boolean> {
    while (this.#chunk.length === 0) {
      const next = await this.#source.next()
      if (next.done) return false
      this.#chunk = Buffer.from(next.value.buffer, next.value.byteOffset, next.value.byteLength)
    }
    return true
  }
}

function damaged(reason: string) {
  return imageError('IMAGE_LAYER_INVALID', `unpack zstd: ${reason}`)
}
