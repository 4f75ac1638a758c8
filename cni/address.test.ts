import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  addressBytes,
  addressFromBytes,
  contains,
  formatAddress,
  formatCidr,
  lastOf,
  networkOf,
  parseAddress,
  parseCidr,
} from './address.ts'

describe('parseAddress, formatAddress', () => {
  it.each([
    '0.0.0.0',
    '10.1.0.2',
    '255.255.255.255',
    '::',
    '::1',
    'fd00::2',
    '1:0:0:2::3',
    '1::2:0:0:3',
    'fe80::1:0:0:1',
    '1:2:3:4:5:6:7:8',
    '1:0:3:4:5:6:7:8',
  ])('%s: comes back', (text) => {
    const back = formatAddress(parseAddress(text))
    expect(addressBytes(parseAddress(back))).toEqual(addressBytes(parseAddress(text)))
    if (!['1::2:0:0:3', '1:0:3:4:5:6:7:8'].includes(text)) expect(back).toBe(text)
  })

  it('IPv6: the mixed notation is read', () => {
    expect(formatAddress(parseAddress('::ffff:10.1.0.2'))).toBe('::ffff:a01:2')
  })

  it('IPv6: text and bytes agree for every address', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 16, maxLength: 16 }),
        fc.uint8Array({ minLength: 16, maxLength: 16 }),
        (bytes, mask) => {
          const sparse = bytes.map((byte, at) => ((mask[at - (at % 2)] ?? 0) % 2 ? byte : 0))
          const text = formatAddress(addressFromBytes(sparse))
          expect([...addressBytes(parseAddress(text))]).toEqual([...sparse])
          expect(new URL(`http://[${text}]/`).hostname).toBe(`[${text}]`)
        },
      ),
    )
  })

  it.each(['', '10.1', '10.1.0.256', 'fe80::1%eth0', ' 10.1.0.2', '10.1.0.2/24'])('%j: is refused', (text) => {
    expect(() => parseAddress(text)).toThrow(RangeError)
  })
})

describe('cidr', () => {
  it.each(['10.1.0.0', '10.1.0.0/33', '10.1.0.0/', '10.1.0.0/2/2', '10.1.0.0/-1', '::/129'])(
    '%j: is refused',
    (text) => {
      expect(() => parseCidr(text)).toThrow(RangeError)
    },
  )

  it('networkOf, lastOf: the ends of the network', () => {
    expect(formatCidr(networkOf(parseCidr('10.1.2.3/20')))).toBe('10.1.0.0/20')
    expect(formatAddress(lastOf(parseCidr('10.1.2.3/20')))).toBe('10.1.15.255')
    expect(formatAddress(lastOf(parseCidr('fd00::/64')))).toBe('fd00::ffff:ffff:ffff:ffff')
  })

  it('contains: own family only', () => {
    const network = parseCidr('10.1.0.0/16')
    expect(contains(network, parseAddress('10.1.255.255'))).toBe(true)
    expect(contains(network, parseAddress('10.2.0.0'))).toBe(false)
    expect(contains(parseCidr('0.0.0.0/0'), parseAddress('::1'))).toBe(false)
  })
})
