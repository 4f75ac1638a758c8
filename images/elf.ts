import { closeSync, openSync, readSync } from 'node:fs'
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
const headerBytes = 64
const longestDynamicBytes = 1024 * 1024
const longestTextBytes = 4096

interface Segment {
  type: number
  offset: number
  address: bigint
  size: number
}

/** Bytes of a file from an offset on; fewer than asked for where it ends. */
export type ReadBytes = (offset: number, length: number) => Buffer

/** Reads the few kilobytes that matter of a program that may be a hundred megabytes. Throws `IMAGE_BUILD`. */
export function readElf(path: string): ElfFile {
  const fd = openSync(path, 'r')
  try {
    return parseElf((offset, length) => {
      const bytes = Buffer.alloc(length)
      return bytes.subarray(0, readSync(fd, bytes, 0, length, offset))
    }, path)
  } finally {
    closeSync(fd)
  }
}

/** Reads a 64-bit little-endian ELF file. Throws `IMAGE_BUILD` on others and on damaged ones. */
export function parseElf(read: ReadBytes, path: string): ElfFile {
  const broken = (reason: string) => imageError('IMAGE_BUILD', `read program ${path}: ${reason}`)
  const header = read(0, headerBytes)
  if (header.length < headerBytes || header.readUInt32BE(0) !== 0x7f454c46) throw broken('it is no ELF file')
  if (header[4] !== 2 || header[5] !== 1) throw broken('it is not for a 64-bit little-endian machine')
  try {
    const segments = segmentsOf(read, header)
    const interpreter = segments.find(({ type }) => type === PT_INTERP)
    return {
      machine: header.readUInt16LE(18),
      interpreter: interpreter && textAt(read, interpreter.offset),
      ...dynamicOf(read, segments),
    }
  } catch (error) {
    if (error instanceof RangeError) throw broken('it is damaged')
    throw error
  }
}

function segmentsOf(read: ReadBytes, header: Buffer): Segment[] {
  const count = header.readUInt16LE(56)
  const table = read(Number(header.readBigUInt64LE(32)), count * programHeaderBytes)
  return Array.from({ length: count }, (_, index) => {
    const at = index * programHeaderBytes
    return {
      type: table.readUInt32LE(at),
      offset: Number(table.readBigUInt64LE(at + 8)),
      address: table.readBigUInt64LE(at + 16),
      size: Number(table.readBigUInt64LE(at + 32)),
    }
  })
}

function dynamicOf(read: ReadBytes, segments: readonly Segment[]): Pick<ElfFile, 'needed' | 'runpath'> {
  const dynamic = segments.find(({ type }) => type === PT_DYNAMIC)
  if (!dynamic) return { needed: [], runpath: [] }
  if (dynamic.size > longestDynamicBytes) throw new RangeError('dynamic section too large')
  const section = read(dynamic.offset, dynamic.size)
  const entries: { tag: bigint; value: bigint }[] = []
  for (let at = 0; at < section.length; at += dynamicEntryBytes) {
    const tag = section.readBigInt64LE(at)
    if (tag === DT.null) break
    entries.push({ tag, value: section.readBigUInt64LE(at + 8) })
  }
  const table = entries.find(({ tag }) => tag === DT.stringTable)
  const strings = table ? fileOffset(segments, table.value) : 0
  const texts = (wanted: bigint) =>
    entries.filter(({ tag }) => tag === wanted).map(({ value }) => textAt(read, strings + Number(value)))
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

function textAt(read: ReadBytes, offset: number): string {
  const bytes = read(offset, longestTextBytes)
  const end = bytes.indexOf(0)
  if (end < 0) throw new RangeError('text outside of the file')
  return bytes.toString('utf8', 0, end)
}
