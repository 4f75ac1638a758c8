import { isIP } from 'node:net'

/** An IP address as a number; with its family, so that 0.0.0.1 and ::1 stay apart. */
export interface Address {
  family: 4 | 6
  value: bigint
}

/** An address with the length of its network's prefix, e.g. 10.1.0.2/24. */
export interface Cidr extends Address {
  prefix: number
}

/** `10.1.0.2` or `fd00::2`. Throws a RangeError that names the text. */
export function parseAddress(text: string): Address {
  const family = isIP(text)
  if (family === 4) return { family, value: joined(text.split('.').map(Number), 8n) }
  if (family === 6 && !text.includes('%')) return { family, value: joined(groupsOf(text), 16n) }
  throw new RangeError(`${JSON.stringify(text)} is not an IP address`)
}

/** `10.1.0.2/24`. Throws a RangeError that names the text. */
export function parseCidr(text: string): Cidr {
  const [address = '', length = '', ...rest] = text.split('/')
  const parsed = parseAddress(address)
  const prefix = Number(length)
  if (rest.length > 0 || !/^\d{1,3}$/.test(length) || prefix > bitsOf(parsed)) {
    throw new RangeError(`${JSON.stringify(text)} is not an address with a prefix length`)
  }
  return { ...parsed, prefix }
}

/** The usual text; IPv6 as RFC 5952 wants it. */
export function formatAddress({ family, value }: Address): string {
  if (family === 4) return [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 255n).join('.')
  const groups = Array.from({ length: 8 }, (_, at) => ((value >> BigInt(112 - 16 * at)) & 0xffffn).toString(16))
  const zeros = groups
    .join(':')
    .match(/\b0(:0)+\b/g)
    ?.reduce((longest, run) => (run.length > longest.length ? run : longest))
  return zeros ? groups.join(':').replace(new RegExp(`(^|:)${zeros}(:|$)`), '::') : groups.join(':')
}

export function formatCidr(cidr: Cidr): string {
  return `${formatAddress(cidr)}/${cidr.prefix}`
}

/** 4 or 16 bytes in network order. */
export function addressBytes({ family, value }: Address): Buffer {
  return Buffer.from(value.toString(16).padStart(family === 4 ? 8 : 32, '0'), 'hex')
}

/** The address in these 4 or 16 bytes. Throws a RangeError on another length. */
export function addressFromBytes(bytes: Uint8Array): Address {
  if (bytes.length !== 4 && bytes.length !== 16) throw new RangeError(`address of ${bytes.length} bytes`)
  return { family: bytes.length === 4 ? 4 : 6, value: BigInt(`0x${Buffer.from(bytes).toString('hex')}`) }
}

/** The network: 10.1.0.2/24 → 10.1.0.0/24. */
export function networkOf(cidr: Cidr): Cidr {
  return { ...cidr, value: (cidr.value >> hostBits(cidr)) << hostBits(cidr) }
}

/** The last address of the network; for IPv4 its broadcast address. */
export function lastOf(cidr: Cidr): Address {
  return { family: cidr.family, value: networkOf(cidr).value | ((1n << hostBits(cidr)) - 1n) }
}

export function contains(network: Cidr, address: Address): boolean {
  return network.family === address.family && networkOf(network).value === networkOf({ ...network, ...address }).value
}

/** The address `steps` further on. */
export function plus(address: Address, steps: bigint): Address {
  return { family: address.family, value: address.value + steps }
}

export function sameAddress(left: Address, right: Address): boolean {
  return left.family === right.family && left.value === right.value
}

export function bitsOf(address: Address): number {
  return address.family === 4 ? 32 : 128
}

const hostBits = (cidr: Cidr) => BigInt(bitsOf(cidr) - cidr.prefix)

function joined(parts: readonly number[], width: bigint): bigint {
  return parts.reduce((value, part) => (value << width) | BigInt(part), 0n)
}

/** The eight groups of an IPv6 address that `isIP` has accepted. */
function groupsOf(text: string): number[] {
  const [left = '', right] = text.split('::')
  const head = pieces(left)
  if (right === undefined) return head
  const tail = pieces(right)
  return [...head, ...Array<number>(8 - head.length - tail.length).fill(0), ...tail]
}

function pieces(part: string): number[] {
  if (part === '') return []
  return part.split(':').flatMap((piece) => {
    if (!piece.includes('.')) return [Number.parseInt(piece, 16)]
    const [a = 0, b = 0, c = 0, d = 0] = piece.split('.').map(Number)
    return [(a << 8) | b, (c << 8) | d]
  })
}
