/**
 * The bytes of netlink: a message is a 16-byte header, a fixed struct of its family and attributes; an attribute is
 * length, type and payload, padded to 4 bytes. Numbers are in host order, which is little-endian on every machine that
 * we run on. Sources: netlink(7), rtnetlink(7), linux/netlink.h.
 */
export const NLM_F_REQUEST = 0x1
export const NLM_F_ACK = 0x4
export const NLM_F_DUMP = 0x300
export const NLM_F_REPLACE = 0x100
export const NLM_F_EXCL = 0x200
export const NLM_F_CREATE = 0x400
const NLM_F_DUMP_INTR = 0x10
const NLA_F_NESTED = 0x8000
const NLA_TYPE_MASK = 0x3fff

export const headerBytes = 16
const attributeHeaderBytes = 4

const padded = (length: number) => (length + 3) & ~3

/** A request of ours before it has a sequence number. */
export interface Request {
  type: number
  flags: number
  /** The fixed struct of the family, e.g. ifinfomsg. */
  body: Uint8Array
  attributes?: readonly Uint8Array[]
}

/** A message of the kernel, split but not interpreted. */
export interface Message {
  type: number
  flags: number
  sequence: number
  payload: Buffer
  /** True when a dump was disturbed by a change and has to be asked for again. */
  interrupted: boolean
}

/** One request as the bytes to send. */
export function encodeRequest(request: Request, sequence: number): Buffer {
  const parts = [request.body, ...(request.attributes ?? [])]
  const length = headerBytes + parts.reduce((sum, part) => sum + padded(part.length), 0)
  const bytes = Buffer.alloc(length)
  bytes.writeUInt32LE(length, 0)
  bytes.writeUInt16LE(request.type, 4)
  bytes.writeUInt16LE(request.flags | NLM_F_REQUEST, 6)
  bytes.writeUInt32LE(sequence, 8)
  let at = headerBytes
  for (const part of parts) {
    bytes.set(part, at)
    at += padded(part.length)
  }
  return bytes
}

/** The messages of one datagram. Throws a RangeError on lengths that do not fit. */
export function decodeMessages(datagram: Buffer): Message[] {
  const messages: Message[] = []
  for (let at = 0; at + headerBytes <= datagram.length; ) {
    const length = datagram.readUInt32LE(at)
    if (length < headerBytes || at + length > datagram.length)
      throw new RangeError(`netlink message of ${length} bytes`)
    const flags = datagram.readUInt16LE(at + 6)
    messages.push({
      type: datagram.readUInt16LE(at + 4),
      flags,
      sequence: datagram.readUInt32LE(at + 8),
      payload: datagram.subarray(at + headerBytes, at + length),
      interrupted: (flags & NLM_F_DUMP_INTR) !== 0,
    })
    at += padded(length)
  }
  return messages
}

/** An attribute with raw bytes. */
export function attribute(type: number, payload: Uint8Array): Buffer {
  const length = attributeHeaderBytes + payload.length
  const bytes = Buffer.alloc(padded(length))
  bytes.writeUInt16LE(length, 0)
  bytes.writeUInt16LE(type, 2)
  bytes.set(payload, attributeHeaderBytes)
  return bytes
}

/** An attribute with a number of 1, 2 or 4 bytes. */
export function attributeU8(type: number, value: number): Buffer {
  return attribute(type, Uint8Array.of(value))
}

export function attributeU16(type: number, value: number): Buffer {
  const payload = Buffer.alloc(2)
  payload.writeUInt16LE(value)
  return attribute(type, payload)
}

export function attributeU32(type: number, value: number): Buffer {
  const payload = Buffer.alloc(4)
  payload.writeUInt32LE(value)
  return attribute(type, payload)
}

/** An attribute with a string and its terminating zero. */
export function attributeText(type: number, text: string): Buffer {
  return attribute(type, Buffer.from(`${text}\0`))
}

/** An attribute that holds attributes (and, for veth peers, a struct before them). */
export function nested(type: number, ...parts: readonly Uint8Array[]): Buffer {
  return attribute(type | NLA_F_NESTED, Buffer.concat(parts))
}

/** Attributes by type; of several with the same type the last one counts. Throws a RangeError on bad lengths. */
export function decodeAttributes(bytes: Buffer): Map<number, Buffer> {
  const found = new Map<number, Buffer>()
  for (let at = 0; at + attributeHeaderBytes <= bytes.length; ) {
    const length = bytes.readUInt16LE(at)
    if (length < attributeHeaderBytes || at + length > bytes.length) {
      throw new RangeError(`netlink attribute of ${length} bytes`)
    }
    found.set(bytes.readUInt16LE(at + 2) & NLA_TYPE_MASK, bytes.subarray(at + attributeHeaderBytes, at + length))
    at += padded(length)
  }
  return found
}

/** The string of an attribute, without its zero. */
export function textOf(payload: Buffer | undefined): string | undefined {
  if (!payload) return undefined
  const end = payload.indexOf(0)
  return payload.toString('utf8', 0, end < 0 ? payload.length : end)
}
