import { closeSync, openSync, readSync } from 'node:fs'

/** What a file needs to be run: an interpreter beside it, or a machine that understands it. */
export type ProgramFile =
  | { kind: 'script'; interpreter: string; endsWithCr: boolean }
  | { kind: 'elf'; machine: number; loader: string | undefined }
  | { kind: 'neither' }

const headBytes = 4096

/** Reads the beginning of a file as execve(2) does (elf(5); binfmt_script looks at the first line alone). */
export function readProgramFile(file: string): ProgramFile {
  const head = Buffer.alloc(headBytes)
  const fd = openSync(file, 'r')
  const length = readSync(fd, head)
  closeSync(fd)
  return programFile(head.subarray(0, length))
}

/** The same of bytes that have been read. */
export function programFile(head: Buffer): ProgramFile {
  if (head.subarray(0, 2).toString() === '#!') {
    const line = head.toString('latin1').split('\n')[0] ?? ''
    const interpreter = line.slice(2).trim().split(/\s/)[0] ?? ''
    return { kind: 'script', interpreter, endsWithCr: line.endsWith('\r') }
  }
  if (head.length < 64 || head.readUInt32BE(0) !== 0x7f454c46) return { kind: 'neither' }
  const isLittleEndian = head[5] === 1
  // Of the other byte order only the machine is of interest: it is none that we run on.
  if (!isLittleEndian) return { kind: 'elf', machine: head.readUInt16BE(18), loader: undefined }
  return { kind: 'elf', machine: head.readUInt16LE(18), loader: head[4] === 2 ? loader64(head) : loader32(head) }
}

const PT_INTERP = 3

function loader64(head: Buffer): string | undefined {
  const table = Number(head.readBigUInt64LE(32))
  const at = headerOf(head, { table, size: head.readUInt16LE(54), count: head.readUInt16LE(56) })
  return at === undefined
    ? undefined
    : textAt(head, Number(head.readBigUInt64LE(at + 8)), Number(head.readBigUInt64LE(at + 32)))
}

function loader32(head: Buffer): string | undefined {
  const table = head.readUInt32LE(28)
  const at = headerOf(head, { table, size: head.readUInt16LE(42), count: head.readUInt16LE(44) })
  return at === undefined ? undefined : textAt(head, head.readUInt32LE(at + 4), head.readUInt32LE(at + 16))
}

function headerOf(head: Buffer, rows: { table: number; size: number; count: number }): number | undefined {
  const offsets = Array.from({ length: rows.count }, (_, at) => rows.table + at * rows.size)
  return offsets.find((at) => at + rows.size <= head.length && head.readUInt32LE(at) === PT_INTERP)
}

/** A path is there with the 0 at its end. */
function textAt(head: Buffer, from: number, bytes: number): string | undefined {
  return from + bytes <= head.length ? head.subarray(from, from + bytes - 1).toString() : undefined
}
