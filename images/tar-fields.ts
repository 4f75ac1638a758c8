import type { CoracleError } from '../runtime/base/errors.ts'
import { imageError } from './errors.ts'

/** The fields of a tar header, which is one block. pax(1) of POSIX.1-2017, "ustar Interchange Format". */
export const blockBytes = 512

/** Bytes after `size` bytes of data, up to the next block. */
export const paddingOf = (size: number): number => (blockBytes - (size % blockBytes)) % blockBytes

/** Throws `IMAGE_LAYER_INVALID`. The sum of the header's bytes, with its own field as spaces; some old tools summed signed bytes. */
export function checkSum(block: Buffer): void {
  let unsigned = 8 * 32
  let signed = 8 * 32
  for (let at = 0; at < blockBytes; at++) {
    if (at >= 148 && at < 156) continue
    unsigned += block.readUInt8(at)
    signed += block.readInt8(at)
  }
  const given = numberIn(block, 148, 8)
  if (given !== unsigned && given !== signed) throw damagedTar('the sum of a header is wrong')
}

/** Octal digits, or a binary number when the first bit is set. Throws `IMAGE_LAYER_INVALID`. */
export function numberIn(block: Buffer, at: number, length: number, sign: 'signed' | 'unsigned' = 'unsigned'): number {
  const field = block.subarray(at, at + length)
  if (field.readUInt8(0) & 0x80) {
    const raw = BigInt(`0x${field.toString('hex')}`)
    const value = Number(BigInt.asIntN(length * 8 - 1, raw))
    if (!Number.isSafeInteger(value) || (value < 0 && sign === 'unsigned')) throw damagedTar(`a number is ${value}`)
    return value
  }
  const value = octal(field)
  if (value === undefined)
    throw damagedTar(`${JSON.stringify(untilZero(field).toString('latin1').trim())} is no octal number`)
  return value
}

/** Up to a zero, with spaces around; 0 when there is no digit. By hand: an archive is mostly such fields. */
function octal(field: Buffer): number | undefined {
  let value = 0
  let state: 'before' | 'digits' | 'after' = 'before'
  for (const byte of field) {
    if (byte === 0) break
    const isDigit = byte >= 0x30 && byte <= 0x37
    if (isDigit && state !== 'after') {
      state = 'digits'
      value = value * 8 + byte - 0x30
    } else if (byte === 0x20) state = state === 'digits' ? 'after' : state
    else return undefined
  }
  return value
}

/** A number in the text of a record; `key` is what it is called. Throws `IMAGE_LAYER_INVALID`. */
export function decimal(text: string, key: string): number {
  const value = Number(text)
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value)) throw damagedTar(`${key} is ${JSON.stringify(text)}`)
  return value
}

/** `1700000000.25` in nanoseconds. Throws `IMAGE_LAYER_INVALID`. */
export function nanoseconds(text: string | undefined): bigint | undefined {
  if (text === undefined) return undefined
  const match = /^(-?)(\d{1,18})(?:\.(\d*))?$/.exec(text)
  if (!match) throw damagedTar(`mtime is ${JSON.stringify(text)}`)
  const [, minus, seconds = '0', fraction = ''] = match
  const value = BigInt(seconds) * 1_000_000_000n + BigInt(fraction.slice(0, 9).padEnd(9, '0'))
  return minus ? -value : value
}

/** The name's own field and, in ustar, the prefix before it. */
export function nameIn(block: Buffer): Buffer {
  const name = untilZero(block.subarray(0, 100))
  const isUstar = block.toString('latin1', 257, 263) === 'ustar\0'
  const prefix = isUstar ? untilZero(block.subarray(345, 500)) : Buffer.alloc(0)
  return prefix.length === 0 ? Buffer.from(name) : Buffer.concat([prefix, Buffer.from('/'), name])
}

export function untilZero(bytes: Buffer): Buffer {
  const end = bytes.indexOf(0)
  return Buffer.from(end < 0 ? bytes : bytes.subarray(0, end))
}

export function damagedTar(reason: string): CoracleError {
  return imageError('IMAGE_LAYER_INVALID', `read tar archive: ${reason}`)
}

export function unsupportedTar(what: string): CoracleError {
  return imageError('IMAGE_UNSUPPORTED', `read tar archive: ${what} are not supported`)
}
