import {
  blockBytes,
  checkSum,
  damagedTar,
  decimal,
  nameIn,
  nanoseconds,
  numberIn,
  paddingOf,
  unsupportedTar,
  untilZero,
} from './tar-fields.ts'
import { decodePax, type PaxRecords } from './tar-pax.ts'
import { SparseContents, type SparseMap, sparseMapOf } from './tar-sparse.ts'

/**
 * Reads a tar archive as it comes, without streams or promises: a layer of ten thousand files is mostly headers.
 * IMPLEMENTED: ustar, PAX (local and global), GNU long names, sparse files (`tar-sparse.ts`), numbers in base 256,
 * archives without magic (V7). NOT IMPLEMENTED, refused: multi-volume archives, and other types of entries.
 * Why not tar-stream: it reads PAX records as UTF-8, which destroys binary extended attributes (file capabilities)
 * and names. Sources: pax(1) of POSIX.1-2017, "tar" in the manual of GNU tar.
 */
export interface TarHeader {
  /** As it stands in the archive: not text, and not to be trusted. */
  name: Buffer
  /** Target of a link. */
  link: Buffer
  type: TarType
  /** Permission bits with set-user-id, set-group-id and sticky. */
  mode: number
  uid: number
  gid: number
  /** Bytes of the file. */
  size: number
  /** Nanoseconds since the epoch. */
  mtime: bigint
  major: number
  minor: number
  xattrs: ReadonlyMap<string, Buffer>
}

export type TarType = 'file' | 'link' | 'symlink' | 'character-device' | 'block-device' | 'directory' | 'fifo'

/** What is done with each entry; `offset` is where its data begins in the archive. */
export interface TarSink {
  entry(header: TarHeader, offset: number): void
  /** A piece of the data of the entry; the bytes are the caller's again afterwards. */
  data(chunk: Buffer): void
  /** So many zeros come next in the file that are not in the archive. */
  hole(bytes: number): void
  /** The entry is complete. */
  end(): void
}

/** Names and attributes; more than this is an attack. */
const maximumRecordBytes = 1 << 20

const types: Readonly<Record<string, TarType>> = {
  '\0': 'file',
  '0': 'file',
  '7': 'file',
  S: 'file',
  '1': 'link',
  '2': 'symlink',
  '3': 'character-device',
  '4': 'block-device',
  '5': 'directory',
  '6': 'fifo',
}

/** What lies in front of an entry and speaks of it. */
interface Pending {
  longName?: Buffer
  longLink?: Buffer
  pax: PaxRecords
}

type Phase =
  | { kind: 'header' }
  | { kind: 'map'; map: SparseMap; header: TarHeader; bytes: number }
  | { kind: 'data'; left: number; padding: number; sparse?: SparseContents | undefined }
  | { kind: 'record'; flag: string; left: number; padding: number; parts: Buffer[] }
  | { kind: 'skip'; left: number }
  | { kind: 'over' }

/** Throws `IMAGE_LAYER_INVALID` from `write` and `end`, and whatever the sink throws. */
export class TarReader {
  readonly #sink: TarSink
  readonly #block = Buffer.alloc(blockBytes)
  #filled = 0
  #phase: Phase = { kind: 'header' }
  #global: PaxRecords = new Map()
  #pending: Pending = { pax: new Map() }
  #offset = 0

  constructor(sink: TarSink) {
    this.#sink = sink
  }

  /** The next bytes of the archive. */
  write(chunk: Buffer): void {
    let at = 0
    while (at < chunk.length) {
      const used = this.#step(chunk.subarray(at))
      at += used
      this.#offset += used
    }
  }

  /** No more bytes will come. An archive may end without its two empty blocks, but not within an entry. */
  end(): void {
    const phase = this.#phase.kind
    const clean = phase === 'over' || phase === 'skip' || (phase === 'header' && this.#filled === 0)
    if (!clean) throw damagedTar('it ends in the middle')
  }

  /** Uses up the beginning of `bytes`; how many. */
  #step(bytes: Buffer): number {
    const phase = this.#phase
    switch (phase.kind) {
      case 'over':
        return bytes.length
      case 'header':
      case 'map':
        return this.#fillBlock(bytes)
      case 'skip': {
        const used = Math.min(phase.left, bytes.length)
        phase.left -= used
        if (phase.left === 0) this.#phase = { kind: 'header' }
        return used
      }
      case 'data': {
        const piece = bytes.subarray(0, phase.left)
        phase.left -= piece.length
        if (phase.sparse) phase.sparse.data(piece)
        else this.#sink.data(piece)
        if (phase.left === 0) this.#endEntry(phase)
        return piece.length
      }
      case 'record': {
        const piece = bytes.subarray(0, phase.left)
        phase.left -= piece.length
        phase.parts.push(Buffer.from(piece))
        if (phase.left === 0) this.#endRecord(phase)
        return piece.length
      }
    }
  }

  #fillBlock(bytes: Buffer): number {
    const used = bytes.copy(this.#block, this.#filled, 0, Math.min(bytes.length, blockBytes - this.#filled))
    this.#filled += used
    if (this.#filled === blockBytes) {
      this.#filled = 0
      const offset = this.#offset + used
      if (this.#phase.kind === 'map') this.#map(this.#phase, offset)
      else this.#header(this.#block, offset)
    }
    return used
  }

  #header(block: Buffer, offset: number): void {
    if (block.every((byte) => byte === 0)) {
      this.#phase = { kind: 'over' }
      return
    }
    checkSum(block)
    const flag = String.fromCharCode(block.readUInt8(156))
    const size = numberIn(block, 124, 12)
    if ('xgLK'.includes(flag)) {
      if (size > maximumRecordBytes) throw damagedTar(`a header has ${size} bytes`)
      this.#phase = { kind: 'record', flag, left: size, padding: paddingOf(size), parts: [] }
      if (size === 0) this.#endRecord(this.#phase)
      return
    }
    const { header, bytes } = this.#completed(block, flag)
    const map = header.type === 'file' ? sparseMapOf(block, flag, this.#pending.pax) : undefined
    this.#pending = { pax: new Map() }
    if (map) this.#map({ map, header: { ...header, size: map.size }, bytes }, offset)
    else this.#begin(header, { bytes, offset })
  }

  /** The blocks of a map come before the data. */
  #map({ map, header, bytes }: { map: SparseMap; header: TarHeader; bytes: number }, offset: number): void {
    if (this.#phase.kind === 'map') map.addBlock(this.#block)
    if (!map.isComplete) {
      this.#phase = { kind: 'map', map, header, bytes }
      return
    }
    const left = bytes - map.bytesInData
    const sparse = new SparseContents(this.#sink, { pieces: map.pieces(left), size: map.size })
    this.#begin(header, { bytes: left, offset, sparse })
  }

  #begin(header: TarHeader, o: { bytes: number; offset: number; sparse?: SparseContents }): void {
    const { bytes, offset, sparse } = o
    this.#sink.entry(header, offset)
    // Only files have data; what a link or folder announces is nonsense of old tools, but it is there.
    const padding = paddingOf(bytes)
    if (header.type !== 'file') {
      this.#sink.end()
      this.#phase = bytes === 0 ? { kind: 'header' } : { kind: 'skip', left: bytes + padding }
    } else if (bytes === 0) this.#endEntry({ padding: 0, sparse })
    else this.#phase = { kind: 'data', left: bytes, padding, sparse }
  }

  #endEntry({ padding, sparse }: { padding: number; sparse?: SparseContents | undefined }): void {
    sparse?.end()
    this.#sink.end()
    this.#phase = padding === 0 ? { kind: 'header' } : { kind: 'skip', left: padding }
  }

  #endRecord({ flag, parts, padding }: Extract<Phase, { kind: 'record' }>): void {
    const bytes = Buffer.concat(parts)
    if (flag === 'x') this.#pending.pax = decodePax(bytes)
    else if (flag === 'g') this.#global = new Map([...this.#global, ...decodePax(bytes)])
    else if (flag === 'L') this.#pending.longName = untilZero(bytes)
    else this.#pending.longLink = untilZero(bytes)
    this.#phase = padding === 0 ? { kind: 'header' } : { kind: 'skip', left: padding }
  }

  /** The block, with what the records before it say instead; and how many bytes of data follow. */
  #completed(block: Buffer, flag: string): { header: TarHeader; bytes: number } {
    const { longName, longLink } = this.#pending
    const pax: PaxRecords = new Map([...this.#global, ...this.#pending.pax])
    const text = (key: string) => pax.get(key)?.toString('latin1') || undefined
    const number = (key: string, at: number, length: number) => {
      const given = text(key)
      return given === undefined ? numberIn(block, at, length) : decimal(given, key)
    }
    const name = nonEmpty(pax.get('GNU.sparse.name')) ?? nonEmpty(pax.get('path')) ?? longName ?? nameIn(block)
    const known = types[flag]
    if (!known) throw unsupportedTar(`entries of type ${JSON.stringify(flag)}`)
    // Before there was a type for folders, a slash at the end of the name made one.
    const type = known === 'file' && name.at(-1) === 0x2f ? 'directory' : known
    const bytes = number('size', 124, 12)
    const header = {
      name,
      link: nonEmpty(pax.get('linkpath')) ?? longLink ?? untilZero(block.subarray(157, 257)),
      type,
      mode: numberIn(block, 100, 8) & 0o7777,
      uid: number('uid', 108, 8),
      gid: number('gid', 116, 8),
      size: bytes,
      mtime: nanoseconds(text('mtime')) ?? BigInt(numberIn(block, 136, 12, 'signed')) * 1_000_000_000n,
      major: numberIn(block, 329, 8),
      minor: numberIn(block, 337, 8),
      xattrs: xattrsOf(pax),
    }
    return { header, bytes }
  }
}

const nonEmpty = (bytes: Buffer | undefined) => (bytes && bytes.length > 0 ? bytes : undefined)

/**
 * Extended attributes: star's records, whose values are bytes, and those of libarchive, with names encoded as in URLs and
 * values in base64. Where both are there, as bsdtar writes them, they say the same.
 */
function xattrsOf(pax: PaxRecords): Map<string, Buffer> {
  const [star, libarchive] = ['SCHILY.xattr.', 'LIBARCHIVE.xattr.']
  const found = new Map<string, Buffer>()
  for (const [key, value] of pax) {
    if (key.startsWith(libarchive)) {
      const name = percentDecoded(key.slice(libarchive.length))
      if (!found.has(name)) found.set(name, Buffer.from(value.toString('latin1'), 'base64'))
    } else if (key.startsWith(star)) found.set(key.slice(star.length), value)
  }
  return found
}

const percentDecoded = (text: string) =>
  text.replaceAll(/%([0-9a-fA-F]{2})/g, (_all, digits: string) => String.fromCharCode(Number.parseInt(digits, 16)))
