import { damagedTar, decimal, numberIn, unsupportedTar } from './tar-fields.ts'
import type { PaxRecords } from './tar-pax.ts'

/** A piece of a sparse file that the archive has; between such pieces the file reads as zeros. */
interface Extent {
  offset: number
  length: number
}

/** What is still to come of a map: nothing, blocks of extents behind the header, or text in front of the data. */
type Rest = 'nothing' | 'extents' | 'text'

/** A map with more blocks of its own (40,000 pieces and more) is an attack. */
const mostBlocks = 2048

/**
 * Which pieces of a sparse file an entry has. IMPLEMENTED: GNU tar's old form (type `S`), and its forms 0.0, 0.1 and 1.0 in
 * PAX, of which bsdtar writes the last too. NOT IMPLEMENTED: star's. Source: manual of GNU tar, "Storing Sparse Files".
 */
export class SparseMap {
  /** Bytes of the file, holes and all. */
  readonly size: number
  readonly #extents: Extent[]
  readonly #numbers: number[] = []
  #rest: Rest
  #blocks = 0
  #halfLine = ''
  #bytesInData = 0

  constructor(o: { size: number; extents: Extent[]; rest: Rest }) {
    this.size = o.size
    this.#extents = o.extents
    this.#rest = o.rest
  }

  /** False while blocks of the map come instead of data. */
  get isComplete(): boolean {
    return this.#rest === 'nothing'
  }

  /** Bytes of the map that the entry's size counts as data. */
  get bytesInData(): number {
    return this.#bytesInData
  }

  /** The next block of the map. Throws `IMAGE_LAYER_INVALID`. */
  addBlock(block: Buffer): void {
    if (++this.#blocks > mostBlocks) throw damagedTar(`the map of a sparse file has more than ${mostBlocks} blocks`)
    if (this.#rest === 'text') this.#addText(block)
    else {
      this.#extents.push(...extentsIn(block, 0, 21))
      if (block[504] === 0) this.#rest = 'nothing'
    }
  }

  /** The pieces in their order, of together `length` bytes. Throws `IMAGE_LAYER_INVALID` when they are none of this file. */
  pieces(length: number): Extent[] {
    let [end, total] = [0, 0]
    for (const extent of this.#extents) {
      if (extent.offset < end) throw damagedTar('the pieces of a sparse file overlap')
      end = extent.offset + extent.length
      total += extent.length
    }
    if (end > this.size) throw damagedTar(`a sparse file of ${this.size} bytes has a piece that ends at ${end}`)
    if (total !== length) throw damagedTar(`the pieces of a sparse file have ${total} bytes, ${length} follow`)
    return this.#extents.filter((extent) => extent.length > 0)
  }

  /** Decimal numbers, each on a line: how many pieces, then offset and length of each; the block is filled up with zeros. */
  #addText(block: Buffer): void {
    this.#bytesInData += block.length
    const lines = (this.#halfLine + block.toString('latin1')).split('\n')
    this.#halfLine = lines.pop() ?? ''
    for (const line of lines) {
      this.#numbers.push(decimal(line, 'a number in the map of a sparse file'))
      const [count = 0] = this.#numbers
      if (this.#numbers.length < 1 + 2 * count) continue
      this.#extents.push(...pairs(this.#numbers.slice(1)))
      this.#rest = 'nothing'
      return
    }
  }
}

/** The map of an entry, as far as header and records have it; undefined for files without holes. Throws `IMAGE_LAYER_INVALID`. */
export function sparseMapOf(block: Buffer, flag: string, pax: PaxRecords): SparseMap | undefined {
  if (flag === 'S') {
    const rest = block[482] === 0 ? 'nothing' : 'extents'
    return new SparseMap({ size: numberIn(block, 483, 12), extents: extentsIn(block, 386, 4), rest })
  }
  const text = (key: string) => pax.get(`GNU.sparse.${key}`)?.toString('latin1')
  const [major, minor, map] = [text('major'), text('minor'), text('map')]
  const size = text('realsize') ?? text('size')
  if (major === undefined && map === undefined && size === undefined) return undefined
  const version = major === undefined ? '0.1' : `${major}.${minor}`
  if (version !== '1.0' && version !== '0.1' && version !== '0.0')
    throw unsupportedTar(`sparse files of form ${version}`)
  if (size === undefined) throw damagedTar('a sparse file says nothing of its size')
  const isText = version === '1.0'
  const numbers = isText || !map ? [] : map.split(',').map((part) => decimal(part, 'a number in a map'))
  if (numbers.length % 2 !== 0) throw damagedTar('the map of a sparse file ends in the middle')
  const rest = isText ? 'text' : 'nothing'
  return new SparseMap({ size: decimal(size, 'the size of a sparse file'), extents: pairs(numbers), rest })
}

/** At most `count` extents of 24 bytes; one without an offset ends them. */
function extentsIn(block: Buffer, at: number, count: number): Extent[] {
  const found: Extent[] = []
  for (let start = at; start < at + count * 24 && block[start] !== 0; start += 24) {
    found.push({ offset: numberIn(block, start, 12), length: numberIn(block, start + 12, 12) })
  }
  return found
}

function pairs(numbers: readonly number[]): Extent[] {
  return Array.from({ length: numbers.length / 2 }, (_, at) => ({
    offset: numbers[2 * at] ?? 0,
    length: numbers[2 * at + 1] ?? 0,
  }))
}

/** Puts the data of a sparse file where it belongs. */
export class SparseContents {
  readonly #pieces: readonly Extent[]
  readonly #size: number
  readonly #sink: SparseSink
  #at = 0
  /** How far the file has come. */
  #position = 0

  constructor(sink: SparseSink, o: { pieces: readonly Extent[]; size: number }) {
    this.#sink = sink
    this.#pieces = o.pieces
    this.#size = o.size
  }

  data(bytes: Buffer): void {
    for (let used = 0; used < bytes.length; ) {
      const piece = this.#pieces[this.#at]
      if (!piece) throw new RangeError('more data than the map of a sparse file has')
      this.#holeUpTo(piece.offset)
      const end = piece.offset + piece.length
      const chunk = bytes.subarray(used, used + end - this.#position)
      this.#sink.data(chunk)
      used += chunk.length
      this.#position += chunk.length
      if (this.#position === end) this.#at++
    }
  }

  end(): void {
    this.#holeUpTo(this.#size)
  }

  #holeUpTo(offset: number): void {
    if (offset > this.#position) this.#sink.hole(offset - this.#position)
    this.#position = Math.max(this.#position, offset)
  }
}

interface SparseSink {
  data(chunk: Buffer): void
  hole(bytes: number): void
}
