import { imageError } from './errors.ts'
import type { TarHeader, TarType } from './tar-reader.ts'

/**
 * The other direction of `tar-reader.ts`: names, link targets and attributes are bytes, times have nanoseconds. What does
 * not fit into a ustar header goes into a PAX record before it. Sources: pax(1) of POSIX.1-2017; SCHILY.xattr of star(5).
 */
const blockBytes = 512
const flags: Readonly<Record<TarType, string>> = {
  file: '0',
  link: '1',
  symlink: '2',
  'character-device': '3',
  'block-device': '4',
  directory: '5',
  fifo: '6',
}

/** The end of an archive. */
export const tarEnd: Buffer = Buffer.alloc(2 * blockBytes)

/** The header of an entry; `size` bytes of data and `tarPadding(size)` must follow. Throws `IMAGE_UNSUPPORTED`. */
export function encodeTarHeader(entry: TarHeader): Buffer {
  const records = recordsOf(entry)
  if (records.length === 0) return block(entry, flags[entry.type])
  const bytes = Buffer.concat(records)
  const frame = { ...entry, name: Buffer.from('PaxHeaders/0'), link: Buffer.alloc(0), size: bytes.length, mode: 0o644 }
  return Buffer.concat([block(frame, 'x'), bytes, tarPadding(bytes.length), block(entry, flags[entry.type])])
}

/** Zeros up to the next block. */
export function tarPadding(size: number): Buffer {
  return Buffer.alloc((blockBytes - (size % blockBytes)) % blockBytes)
}

const octalMaximum = (digits: number) => 8 ** digits - 1
const billion = 1_000_000_000n

function recordsOf({ name, link, size, uid, gid, mtime, xattrs }: TarHeader): Buffer[] {
  const records: Buffer[] = []
  const add = (key: string, value: Buffer | string) => records.push(record(key, Buffer.from(value)))
  if (name.length > 100) add('path', name)
  if (link.length > 100) add('linkpath', link)
  if (size > octalMaximum(11)) add('size', String(size))
  if (uid > octalMaximum(7)) add('uid', String(uid))
  if (gid > octalMaximum(7)) add('gid', String(gid))
  const seconds = mtime / billion
  if (mtime < 0n || mtime % billion !== 0n || seconds > BigInt(octalMaximum(11))) add('mtime', decimal(mtime))
  for (const [key, value] of xattrs) add(`SCHILY.xattr.${key}`, value)
  return records
}

/** The length in front counts itself. */
function record(key: string, value: Buffer): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${key}=`), value, Buffer.from('\n')])
  let length = rest.length
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length
  return Buffer.concat([Buffer.from(String(length)), rest])
}

function decimal(nanoseconds: bigint): string {
  const positive = nanoseconds < 0n ? -nanoseconds : nanoseconds
  const fraction = String(positive % billion)
    .padStart(9, '0')
    .replace(/0+$/, '')
  return `${nanoseconds < 0n ? '-' : ''}${positive / billion}${fraction === '' ? '' : `.${fraction}`}`
}

function block(entry: TarHeader, flag: string): Buffer {
  const bytes = Buffer.alloc(blockBytes)
  entry.name.copy(bytes, 0, 0, 100)
  const octal = (value: number, at: number, length: number) => {
    // What is too large stands in the record before; old readers then see a zero instead of digits of the neighbour.
    const digits = value < 0 || value > octalMaximum(length - 1) ? 0 : value
    bytes.write(digits.toString(8).padStart(length - 1, '0'), at, 'latin1')
  }
  octal(entry.mode, 100, 8)
  octal(entry.uid, 108, 8)
  octal(entry.gid, 116, 8)
  octal(entry.size, 124, 12)
  octal(Number(entry.mtime / billion), 136, 12)
  bytes.write(flag, 156, 'latin1')
  entry.link.copy(bytes, 157, 0, 100)
  bytes.write('ustar\x0000', 257, 'latin1')
  if (entry.type === 'character-device' || entry.type === 'block-device') {
    const largest = Math.max(entry.major, entry.minor)
    if (largest > octalMaximum(7)) {
      throw imageError('IMAGE_UNSUPPORTED', `write tar archive: device number ${largest} does not fit`)
    }
    octal(entry.major, 329, 8)
    octal(entry.minor, 337, 8)
  }
  bytes.fill(' ', 148, 156)
  const sum = bytes.reduce((total, byte) => total + byte, 0)
  bytes.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
  return bytes
}
