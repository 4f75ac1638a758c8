import { errnoOf } from '../../runtime/base/errors.ts'
import type { NetlinkConnection } from './connection.ts'
import {
  attribute,
  attributeText,
  attributeU8,
  attributeU32,
  decodeAttributes,
  type Message,
  NLM_F_CREATE,
  NLM_F_EXCL,
  nested,
  textOf,
} from './wire.ts'

const RTM_NEWLINK = 16
const RTM_DELLINK = 17
const RTM_GETLINK = 18
const RTM_SETLINK = 19
const AF_UNSPEC = 0
const AF_BRIDGE = 7
const IFF_UP = 1
const IFLA = {
  address: 1,
  name: 3,
  mtu: 4,
  link: 5,
  master: 10,
  protocolInfo: 12,
  operationalState: 16,
  linkInfo: 18,
  alias: 20,
  group: 27,
  netnsFd: 28,
} as const
const IFLA_INFO_KIND = 1
const IFLA_INFO_DATA = 2
const VETH_INFO_PEER = 1
const IFLA_BRPORT_MODE = 4
const IFLA_BRPORT_ISOLATED = 33
const ifinfomsgBytes = 16

/** What the kernel says of a network device. */
export interface Link {
  index: number
  name: string
  up: boolean
  /** `02:42:0a:01:00:02` */
  mac: string
  mtu: number
  /** `bridge`, `veth` …; undefined for physical devices and loopback. */
  kind: string | undefined
  /** Index of the bridge it is a port of. */
  master: number | undefined
  /** Index of the other end of a veth pair, in that end's own namespace. */
  peer: number | undefined
  alias: string | undefined
  /** IF_OPER_UP (6) or IF_OPER_UNKNOWN (0): traffic passes. RFC 2863. */
  operational: boolean
}

/** Changes to one device; what is not named stays. */
export interface LinkChanges {
  up?: boolean
  mac?: string
  mtu?: number
  /** Index of the bridge to become a port of; 0 to leave it. */
  master?: number
  alias?: string
  /** Number by which several devices can be handled together. */
  group?: number
}

/** The device of that name, or undefined. */
export async function findLink(netlink: NetlinkConnection, name: string): Promise<Link | undefined> {
  try {
    const attributes = [attributeText(IFLA.name, name)]
    return linkOf(
      await netlink.get(`find link ${name}`, { type: RTM_GETLINK, flags: 0, body: ifinfomsg({}), attributes }),
    )
  } catch (error) {
    if (errnoOf(error) === 'ENODEV') return undefined
    throw error
  }
}

/** All devices of the namespace. */
export async function listLinks(netlink: NetlinkConnection): Promise<Link[]> {
  const answers = await netlink.dump('list links', { type: RTM_GETLINK, flags: 0, body: ifinfomsg({}) })
  return answers.map(linkOf)
}

/** Creates a bridge that is down. A given `mac` keeps it from taking the lowest address of its ports. */
export async function createBridge(
  netlink: NetlinkConnection,
  o: { name: string; mac: string; mtu: number | undefined },
): Promise<void> {
  await netlink.change(`create bridge ${o.name}`, {
    type: RTM_NEWLINK,
    flags: NLM_F_CREATE | NLM_F_EXCL,
    body: ifinfomsg({}),
    attributes: [
      attributeText(IFLA.name, o.name),
      attribute(IFLA.address, macBytes(o.mac)),
      ...(o.mtu ? [attributeU32(IFLA.mtu, o.mtu)] : []),
      nested(IFLA.linkInfo, attributeText(IFLA_INFO_KIND, 'bridge')),
    ],
  })
}

/** A veth pair: `name` appears in the connection's namespace, `peerName` in the one behind the descriptor. */
export interface VethPair {
  name: string
  mac: string | undefined
  mtu: number | undefined
  peerName: string
  peerNetnsFd: number
}

/** Creates both ends, down. */
export async function createVeth(netlink: NetlinkConnection, o: VethPair): Promise<void> {
  const mtu = o.mtu ? [attributeU32(IFLA.mtu, o.mtu)] : []
  const peer = nested(
    VETH_INFO_PEER,
    ifinfomsg({}),
    attributeText(IFLA.name, o.peerName),
    attributeU32(IFLA.netnsFd, o.peerNetnsFd),
    ...mtu,
  )
  await netlink.change(`create veth pair ${o.name}, ${o.peerName}`, {
    type: RTM_NEWLINK,
    flags: NLM_F_CREATE | NLM_F_EXCL,
    body: ifinfomsg({}),
    attributes: [
      attributeText(IFLA.name, o.name),
      ...(o.mac ? [attribute(IFLA.address, macBytes(o.mac))] : []),
      ...mtu,
      nested(IFLA.linkInfo, attributeText(IFLA_INFO_KIND, 'veth'), nested(IFLA_INFO_DATA, peer)),
    ],
  })
}

/** Applies the changes to a device, in one request. */
export async function setLink(
  netlink: NetlinkConnection,
  link: { index: number; name: string },
  changes: LinkChanges,
): Promise<void> {
  const attributes = [
    ...(changes.mac === undefined ? [] : [attribute(IFLA.address, macBytes(changes.mac))]),
    ...(changes.mtu === undefined ? [] : [attributeU32(IFLA.mtu, changes.mtu)]),
    ...(changes.master === undefined ? [] : [attributeU32(IFLA.master, changes.master)]),
    ...(changes.alias === undefined ? [] : [attribute(IFLA.alias, Buffer.from(changes.alias))]),
    ...(changes.group === undefined ? [] : [attributeU32(IFLA.group, changes.group)]),
  ]
  await netlink.change(`set link ${link.name}`, {
    type: RTM_SETLINK,
    flags: 0,
    body: ifinfomsg({ index: link.index, ...(changes.up === undefined ? {} : { up: changes.up }) }),
    attributes,
  })
}

/** Sets how a bridge treats one of its ports. */
export async function setBridgePort(
  netlink: NetlinkConnection,
  port: { index: number; name: string },
  o: { hairpin: boolean; isolated: boolean },
): Promise<void> {
  const settings = [
    attributeU8(IFLA_BRPORT_MODE, o.hairpin ? 1 : 0),
    attributeU8(IFLA_BRPORT_ISOLATED, o.isolated ? 1 : 0),
  ]
  await netlink.change(`set bridge port ${port.name}`, {
    type: RTM_SETLINK,
    flags: 0,
    body: ifinfomsg({ family: AF_BRIDGE, index: port.index }),
    attributes: [nested(IFLA.protocolInfo, ...settings)],
  })
}

/** Removes a device (for a veth, both ends) on a thread of the pool: the kernel waits for readers of its tables. */
export async function deleteLink(netlink: NetlinkConnection, link: { index: number; name: string }): Promise<void> {
  await netlink.change(`delete link ${link.name}`, {
    type: RTM_DELLINK,
    flags: 0,
    body: ifinfomsg({ index: link.index }),
  })
}

/** Removes every device of the namespace that is in this group; none if one of them cannot be removed. */
export async function deleteLinkGroup(netlink: NetlinkConnection, group: number): Promise<void> {
  await netlink.change(`delete links of group ${group}`, {
    type: RTM_DELLINK,
    flags: 0,
    body: ifinfomsg({}),
    attributes: [attributeU32(IFLA.group, group)],
  })
}

/** `02:42:0a:01:00:02` as six bytes. Throws a RangeError on anything else. */
export function macBytes(mac: string): Buffer {
  if (!/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/i.test(mac)) throw new RangeError(`${mac} is not a MAC address`)
  return Buffer.from(mac.replaceAll(':', ''), 'hex')
}

function ifinfomsg(o: { family?: number; index?: number; up?: boolean }): Buffer {
  const body = Buffer.alloc(ifinfomsgBytes)
  body.writeUInt8(o.family ?? AF_UNSPEC, 0)
  body.writeInt32LE(o.index ?? 0, 4)
  if (o.up !== undefined) {
    body.writeUInt32LE(o.up ? IFF_UP : 0, 8)
    body.writeUInt32LE(IFF_UP, 12)
  }
  return body
}

function linkOf(message: Message): Link {
  const { payload } = message
  const attributes = decodeAttributes(payload.subarray(ifinfomsgBytes))
  const information = attributes.get(IFLA.linkInfo)
  const state = attributes.get(IFLA.operationalState)?.readUInt8(0) ?? 0
  return {
    index: payload.readInt32LE(4),
    name: textOf(attributes.get(IFLA.name)) ?? '',
    up: (payload.readUInt32LE(8) & IFF_UP) !== 0,
    mac: attributes.get(IFLA.address)?.toString('hex').match(/../g)?.join(':') ?? '',
    mtu: attributes.get(IFLA.mtu)?.readUInt32LE(0) ?? 0,
    kind: information && textOf(decodeAttributes(information).get(IFLA_INFO_KIND)),
    master: attributes.get(IFLA.master)?.readUInt32LE(0),
    peer: attributes.get(IFLA.link)?.readUInt32LE(0),
    alias: textOf(attributes.get(IFLA.alias)),
    operational: state === 0 || state === 6,
  }
}
