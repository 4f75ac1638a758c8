import { addressBytes, addressFromBytes, type Cidr, formatCidr, lastOf } from '../address.ts'
import type { NetlinkConnection } from './connection.ts'
import { attribute, attributeU32, decodeAttributes, NLM_F_CREATE, NLM_F_EXCL } from './wire.ts'

const RTM_NEWADDR = 20
const RTM_DELADDR = 21
const RTM_GETADDR = 22
const AF_INET = 2
const AF_INET6 = 10
const IFA = { address: 1, local: 2, broadcast: 4, flags: 8 } as const
const IFA_F_NODAD = 0x02
const ifaddrmsgBytes = 8

/** Gives a device an address. IPv6 addresses are usable at once: whoever allotted them knows that they are unique. */
export async function addAddress(
  netlink: NetlinkConnection,
  link: { index: number; name: string },
  cidr: Cidr,
): Promise<void> {
  const bytes = addressBytes(cidr)
  // A network of one or two addresses (RFC 3021) has no broadcast address.
  const broadcast = cidr.family === 4 && cidr.prefix < 31 ? [attribute(IFA.broadcast, addressBytes(lastOf(cidr)))] : []
  const flags = cidr.family === 6 ? [attributeU32(IFA.flags, IFA_F_NODAD)] : []
  await netlink.change(`add address ${formatCidr(cidr)} to ${link.name}`, {
    type: RTM_NEWADDR,
    flags: NLM_F_CREATE | NLM_F_EXCL,
    body: ifaddrmsg(link.index, cidr),
    attributes: [attribute(IFA.local, bytes), attribute(IFA.address, bytes), ...broadcast, ...flags],
  })
}

export async function deleteAddress(
  netlink: NetlinkConnection,
  link: { index: number; name: string },
  cidr: Cidr,
): Promise<void> {
  await netlink.change(`delete address ${formatCidr(cidr)} from ${link.name}`, {
    type: RTM_DELADDR,
    flags: 0,
    body: ifaddrmsg(link.index, cidr),
    attributes: [attribute(IFA.local, addressBytes(cidr))],
  })
}

/** The addresses of a device. */
export async function listAddresses(
  netlink: NetlinkConnection,
  link: { index: number; name: string },
): Promise<Cidr[]> {
  const body = Buffer.alloc(ifaddrmsgBytes)
  body.writeUInt32LE(link.index, 4)
  const answers = await netlink.dump(`list addresses of ${link.name}`, { type: RTM_GETADDR, flags: 0, body })
  return answers
    .filter(({ payload }) => payload.readUInt32LE(4) === link.index)
    .flatMap(({ payload }) => {
      const attributes = decodeAttributes(payload.subarray(ifaddrmsgBytes))
      // On a point-to-point link IFA_ADDRESS is the peer's, IFA_LOCAL ours; IPv6 gives IFA_ADDRESS only.
      const bytes = attributes.get(IFA.local) ?? attributes.get(IFA.address)
      return bytes ? [{ ...addressFromBytes(bytes), prefix: payload.readUInt8(1) }] : []
    })
}

function ifaddrmsg(index: number, cidr: Cidr): Buffer {
  const body = Buffer.alloc(ifaddrmsgBytes)
  body.writeUInt8(cidr.family === 4 ? AF_INET : AF_INET6, 0)
  body.writeUInt8(cidr.prefix, 1)
  body.writeUInt32LE(index, 4)
  return body
}
