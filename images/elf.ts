import { imageError } from './errors.ts'

/** What the dynamic linker reads of a program or library. elf(5), ld.so(8). */
export interface ElfFile {
  /** Kind of processor (e_machine): 62 is x86-64, 183 is arm64. */
  machine: number
  /** Path of the dynamic linker (PT_INTERP); undefined for libraries and static programs. */
  interpreter: string | undefined
  /** Names of the libraries that it wants (DT_NEEDED). */
  needed: string[]
  /** Folders to look in first (DT_RUNPATH, or the older DT_RPATH), `$ORIGIN` not replaced. */
  runpath: string[]
}

const PT_LOAD = 1
const PT_DYNAMIC = 2
const PT_INTERP = 3
const DT = { null: 0n, needed: 1n, stringTable: 5n, rpath: 15n, runpath: 29n } as const
const programHeaderBytes = 56
const dynamicEntryBytes = 16

interface Segment {
  type: number
  offset: number
  address: bigint
  size: number
}

/** True if the bytes begin like an ELF file. */
export function isElf(bytes: Buffer): boolean {
  return bytes.length > 64 && bytes.readUInt32BE(0) === 0x7f454c46
}

/** Reads a 64-bit little-endian ELF file. Throws `IMAGE_BUILD` on others and on damaged ones. */
export function parseElf(bytes: Buffer, path: string): ElfFile {
  const broken = (reason: string) => imageError('IMAGE_BUILD', `read program ${path}: ${reason}`)
  if (!isElf(bytes)) throw broken('it is no ELF file')
  if (bytes[4] !== 2 || bytes[5] !== 1) throw broken('it is not for a 64-bit little-endian machine')
  try {
    const segments = segmentsOf(bytes)
    const interpreter = segments.find(({ type }) => type === PT_INTERP)
    return {
      machine: bytes.readUInt16LE(18),
      interpreter: interpreter && textAt(bytes, interpreter.offset),
      ...dynamicOf(bytes, segments),
    }
  } catch (error) {
    if (error instanceof RangeError) throw broken('it is damaged')
    throw error
  }
}

function segmentsOf(bytes: Buffer): Segment[] {
  const start = Number(bytes.readBigUInt64LE(32))
  return Array.from({ length: bytes.readUInt16LE(56) }, (_, at) => {
    const header = start + at * programHeaderBytes
    return {
      type: bytes.readUInt32LE(header),
      offset: Number(bytes.readBigUInt64LE(header + 8)),
      address: bytes.readBigUInt64LE(header + 16),
      size: Number(bytes.readBigUInt64LE(header + 32)),
    }
  })
}

function dynamicOf(bytes: Buffer, segments: readonly Segment[]): Pick<ElfFile, 'needed' | 'runpath'> {
  const dynamic = segments.find(({ type }) => type === PT_DYNAMIC)
  if (!dynamic) return { needed: [], runpath: [] }
  const entries: { tag: bigint; value: bigint }[] = []
  for (let at = dynamic.offset; at < dynamic.offset + dynamic.size; at += dynamicEntryBytes) {
    const tag = bytes.readBigInt64LE(at)
    if (tag === DT.null) break
    entries.push({ tag, value: bytes.readBigUInt64LE(at + 8) })
  }
  const table = entries.find(({ tag }) => tag === DT.stringTable)
  const strings = table ? fileOffset(segments, table.value) : 0
  const texts = (wanted: bigint) =>
    entries.filter(({ tag }) => tag === wanted).map(({ value }) => textAt(bytes, strings + Number(value)))
  const runpath = texts(DT.runpath)
  const paths = runpath.length > 0 ? runpath : texts(DT.rpath)
  return { needed: texts(DT.needed), runpath: paths.flatMap((path) => path.split(':')).filter((path) => path !== '') }
}

/** Where in the file lies what will be loaded at this address. */
function fileOffset(segments: readonly Segment[], address: bigint): number {
  const inside = ({ type, address: from, size }: Segment) =>
    type === PT_LOAD && from <= address && address < from + BigInt(size)
  const segment = segments.find(inside)
  if (!segment) throw new RangeError('address outside of the file')
  return segment.offset + Number(address - segment.address)
}

function textAt(bytes: Buffer, offset: number): string {
  const end = bytes.indexOf(0, offset)
  if (offset >= bytes.length || end < 0) throw new RangeError('text outside of the file')
  return bytes.toString('utf8', offset, end)
}
