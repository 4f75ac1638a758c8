/**
 * Writes a message from its last byte to its first: the length of what is nested is known when its head is written, and
 * nothing is copied.
 */
export class BackwardWriter {
  #buffer: Buffer
  #at: number

  /** `bytes` is about how many it will be. */
  constructor(bytes = 1024) {
    this.#buffer = Buffer.allocUnsafe(bytes)
    this.#at = bytes
  }

  /** What has been written. The writer is done with then. */
  result(): Uint8Array {
    return this.#buffer.subarray(this.#at)
  }

  /** Bytes as they are. */
  bytes(bytes: Uint8Array): void {
    this.#reserve(bytes.length)
    this.#at -= bytes.length
    this.#buffer.set(bytes, this.#at)
  }

  /** A field of text. */
  text(number: number, text: string): void {
    const length = Buffer.byteLength(text)
    this.#reserve(length + 20)
    this.#at -= length
    this.#buffer.write(text, this.#at)
    this.#head(number, length)
  }

  /** A field of bytes. */
  blob(number: number, bytes: Uint8Array): void {
    this.#reserve(bytes.length + 20)
    this.bytes(bytes)
    this.#head(number, bytes.length)
  }

  /** A field of whole number; negative ones are 64 bits of two's complement. */
  varint(number: number, value: number | bigint): void {
    this.#reserve(20)
    this.#rawVarint(value)
    this.#rawVarint(number * 8)
  }

  /** A field of floating point. */
  double(number: number, value: number): void {
    this.#reserve(20)
    this.#at -= 8
    this.#buffer.writeDoubleLE(value, this.#at)
    this.#rawVarint(number * 8 + 1)
  }

  /** A field that holds what `write` writes. */
  nested(number: number, write: () => void): void {
    const end = this.#buffer.length - this.#at
    write()
    this.head(number, this.#buffer.length - this.#at - end)
  }

  /** What stands before `length` bytes of field `number`. */
  head(number: number, length: number): void {
    this.#reserve(20)
    this.#head(number, length)
  }

  #head(number: number, length: number): void {
    this.#rawVarint(length)
    this.#rawVarint(number * 8 + 2)
  }

  #rawVarint(value: number | bigint): void {
    const isSmall = typeof value === 'number' && value >= 0 && value < 2 ** 31
    const encoded = isSmall ? smallVarint(value) : largeVarint(BigInt(value))
    for (let at = encoded.length - 1; at >= 0; at--) this.#buffer[--this.#at] = encoded[at] as number
  }

  #reserve(bytes: number): void {
    if (this.#at >= bytes) return
    const used = this.#buffer.length - this.#at
    const grown = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, used + bytes * 2))
    this.#buffer.copy(grown, grown.length - used, this.#at)
    this.#at = grown.length - used
    this.#buffer = grown
  }
}

/** What stands before `length` bytes of field `number`. */
export function headOf(number: number, length: number): Uint8Array {
  return Uint8Array.from([...smallVarint(number * 8 + 2), ...smallVarint(length)])
}

function smallVarint(value: number): number[] {
  const bytes: number[] = []
  let rest = value
  while (rest >= 0x80) {
    bytes.push((rest & 0x7f) | 0x80)
    rest >>>= 7
  }
  bytes.push(rest)
  return bytes
}

function largeVarint(value: bigint): number[] {
  const bytes: number[] = []
  let rest = BigInt.asUintN(64, value)
  while (rest >= 0x80n) {
    bytes.push(Number(rest & 0x7fn) | 0x80)
    rest >>= 7n
  }
  bytes.push(Number(rest))
  return bytes
}
