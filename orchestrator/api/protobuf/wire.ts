/** The wire format: https://protobuf.dev/programming-guides/encoding. Every length is checked before it is trusted. */
import { refusal } from '../errors.ts'

/** One field as it stands on the wire: a number, or bytes. */
export interface Field {
  readonly number: number
  readonly varint?: bigint
  readonly bytes?: Uint8Array
  /** The numbers of a packed list. */
  packed(): bigint[]
}

const truncated = () => refusal('DECODE', 'unexpected EOF')

/** The fields of a message, in order. Throws DECODE. */
export function fieldsOf(message: Uint8Array): Field[] {
  const reader = new Reader(message)
  const fields: Field[] = []
  while (!reader.isAtEnd) {
    const tag = Number(reader.varint())
    fields.push(readField(reader, Math.floor(tag / 8), tag % 8))
  }
  return fields
}

function readField(reader: Reader, number: number, wireType: number): Field {
  const packed = (): bigint[] => []
  if (number < 1) throw refusal('DECODE', `proto: illegal tag ${number}`)
  switch (wireType) {
    case 0:
      return { number, varint: reader.varint(), packed }
    case 1:
      return { number, bytes: reader.take(8), packed }
    case 2: {
      const bytes = reader.take(Number(reader.varint()))
      return { number, bytes, packed: () => varintsOf(bytes) }
    }
    case 5:
      return { number, bytes: reader.take(4), packed }
    default:
      throw refusal('DECODE', `proto: illegal wireType ${wireType}`)
  }
}

function varintsOf(bytes: Uint8Array): bigint[] {
  const reader = new Reader(bytes)
  const values: bigint[] = []
  while (!reader.isAtEnd) values.push(reader.varint())
  return values
}

/** A two's complement number of 64 bits. */
export function signed(value: bigint): bigint {
  return BigInt.asIntN(64, value)
}

/** UTF-8; what is not becomes U+FFFD. */
export function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8')
}

class Reader {
  readonly #bytes: Uint8Array
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#bytes.length
  }

  varint(): bigint {
    let value = 0n
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.#bytes[this.#at++]
      if (byte === undefined) throw truncated()
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return value
    }
    throw refusal('DECODE', 'proto: integer overflow')
  }

  take(length: number): Uint8Array {
    const end = this.#at + length
    if (end > this.#bytes.length) throw truncated()
    const bytes = this.#bytes.subarray(this.#at, end)
    this.#at = end
    return bytes
  }
}
