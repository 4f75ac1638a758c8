import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  attribute,
  attributeText,
  attributeU8,
  attributeU32,
  decodeAttributes,
  decodeMessages,
  encodeRequest,
  NLM_F_ACK,
  NLM_F_CREATE,
  NLM_F_EXCL,
  nested,
  textOf,
} from './wire.ts'

describe('encodeRequest', () => {
  it('bytes: a bridge br0, as linux/rtnetlink.h lays it out', () => {
    const attributes = [attributeText(3, 'br0'), nested(18, attributeText(1, 'bridge'))]
    const body = Buffer.alloc(16)
    const bytes = encodeRequest({ type: 16, flags: NLM_F_ACK | NLM_F_EXCL | NLM_F_CREATE, body, attributes }, 7)
    expect(
      bytes
        .toString('hex')
        .match(/.{1,8}/g)
        ?.join(' '),
    ).toBe(
      // header: length 56, type 16, flags 0x605, sequence 7, port 0; ifinfomsg
      '38000000 10000506 07000000 00000000 00000000 00000000 00000000 00000000 ' +
        // IFLA_IFNAME "br0"; IFLA_LINKINFO, nested: IFLA_INFO_KIND "bridge"
        '08000300 62723000 10001280 0b000100 62726964 67650000',
    )
  })
})

describe('attributes', () => {
  it('encode, decode: give back what went in, padded or not', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.tuple(fc.nat(200), fc.uint8Array({ maxLength: 20 })), { selector: ([t]) => t }),
        (list) => {
          const decoded = decodeAttributes(Buffer.concat(list.map(([type, payload]) => attribute(type, payload))))
          expect([...decoded].map(([type, payload]) => [type, [...payload]])).toEqual(
            list.map(([type, payload]) => [type, [...payload]]),
          )
        },
      ),
    )
  })

  it('nested: the flag is set on the wire and not part of the type', () => {
    const bytes = nested(5, attributeU8(1, 9), attributeU32(2, 10))
    expect(bytes.readUInt16LE(2)).toBe(0x8005)
    const inner = decodeAttributes(decodeAttributes(bytes).get(5) ?? Buffer.alloc(0))
    expect([inner.get(1)?.readUInt8(), inner.get(2)?.readUInt32LE()]).toEqual([9, 10])
  })

  it('decode: a length beyond the end is an error', () => {
    expect(() => decodeAttributes(Buffer.from([9, 0, 1, 0, 1]))).toThrow(RangeError)
    expect(() => decodeAttributes(Buffer.from([0, 0, 1, 0]))).toThrow(RangeError)
  })

  it('textOf: ends at the zero', () => {
    expect(textOf(Buffer.from('eth0\0junk'))).toBe('eth0')
    expect(textOf(undefined)).toBeUndefined()
  })
})

describe('decodeMessages', () => {
  it('splits a datagram', () => {
    const one = encodeRequest({ type: 16, flags: 0, body: Buffer.from([1]) }, 1)
    const two = encodeRequest({ type: 17, flags: 0, body: Buffer.from([2, 2]) }, 2)
    expect(decodeMessages(Buffer.concat([one, two])).map(({ type, sequence }) => [type, sequence])).toEqual([
      [16, 1],
      [17, 2],
    ])
  })

  it('a length beyond the end is an error', () => {
    const bytes = encodeRequest({ type: 16, flags: 0, body: Buffer.alloc(4) }, 1)
    bytes.writeUInt32LE(99, 0)
    expect(() => decodeMessages(bytes)).toThrow(RangeError)
  })
})
