import { type Address, addressBytes, addressFromBytes, type Cidr, formatAddress, formatCidr } from '../address.ts'
import type { NetlinkConnection } from './connection.ts'
import { attribute, attributeU32, decodeAttributes, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, nested } from './wire.ts'

const RTM_NEWROUTE = 24
const RTM_GETROUTE = 26
const AF_INET = 2
const AF_INET6 = 10
const RTA = { destination: 1, outputInterface: 4, gateway: 5, priority: 6, metrics: 8, table: 15 } as const
const RTAX_MTU = 2
const RTAX_ADVMSS = 8
const RT_TABLE_UNSPEC = 0
const RT_TABLE_MAIN = 254
const RTPROT_BOOT = 3
const RT_SCOPE_UNIVERSE = 0
const RT_SCOPE_LINK = 253
const RTN_UNICAST = 1
const rtmsgBytes = 12

/** A unicast route. */
export interface Route {
  destination: Cidr
  gateway?: Address
  /** Index of the device to send through. */
  device: number
  table?: number
  priority?: number
  /** Default: universe with a gateway, link without. */
  scope?: number
  mtu?: number
  /** Largest segment to announce for TCP, in bytes. */
  advertisedSegment?: number
}

/** Adds a route; `ifPresent: 'replace'` overwrites one with the same destination and priority. */
export async function addRoute(
  netlink: NetlinkConnection,
  route: Route,
  ifPresent: 'fail' | 'replace' = 'fail',
): Promise<void> {
  const { destination, gateway, table = RT_TABLE_MAIN } = route
  const via = gateway ? ` via ${formatAddress(gateway)}` : ''
  const metrics = [
    ...(route.mtu ? [attributeU32(RTAX_MTU, route.mtu)] : []),
    ...(route.advertisedSegment ? [attributeU32(RTAX_ADVMSS, route.advertisedSegment)] : []),
  ]
  const body = Buffer.alloc(rtmsgBytes)
  body.writeUInt8(destination.family === 4 ? AF_INET : AF_INET6, 0)
  body.writeUInt8(destination.prefix, 1)
  body.writeUInt8(table > 255 ? RT_TABLE_UNSPEC : table, 4)
  body.writeUInt8(RTPROT_BOOT, 5)
  body.writeUInt8(route.scope ?? (gateway ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK), 6)
  body.writeUInt8(RTN_UNICAST, 7)
  await netlink.change(`add route ${formatCidr(destination)}${via}`, {
    type: RTM_NEWROUTE,
    flags: NLM_F_CREATE | (ifPresent === 'replace' ? NLM_F_REPLACE : NLM_F_EXCL),
    body,
    attributes: [
      ...(destination.prefix > 0 ? [attribute(RTA.destination, addressBytes(destination))] : []),
      attributeU32(RTA.outputInterface, route.device),
      attributeU32(RTA.table, table),
      ...(gateway ? [attribute(RTA.gateway, addressBytes(gateway))] : []),
      ...(route.priority ? [attributeU32(RTA.priority, route.priority)] : []),
      ...(metrics.length > 0 ? [nested(RTA.metrics, ...metrics)] : []),
    ],
  })
}

/** Unicast routes of one family in a table, those of the kernel's own (connected networks) included. */
export async function listRoutes(netlink: NetlinkConnection, family: 4 | 6, table = RT_TABLE_MAIN): Promise<Route[]> {
  const body = Buffer.alloc(rtmsgBytes)
  body.writeUInt8(family === 4 ? AF_INET : AF_INET6, 0)
  const answers = await netlink.dump('list routes', { type: RTM_GETROUTE, flags: 0, body })
  return answers.flatMap(({ payload }) => {
    const attributes = decodeAttributes(payload.subarray(rtmsgBytes))
    const tableOfRoute = attributes.get(RTA.table)?.readUInt32LE(0) ?? payload.readUInt8(4)
    const device = attributes.get(RTA.outputInterface)?.readUInt32LE(0)
    if (tableOfRoute !== table || payload.readUInt8(7) !== RTN_UNICAST || device === undefined) return []
    const destination = attributes.get(RTA.destination)
    const gateway = attributes.get(RTA.gateway)
    const priority = attributes.get(RTA.priority)?.readUInt32LE(0)
    const network = destination ? addressFromBytes(destination) : { family, value: 0n }
    return [
      {
        destination: { ...network, prefix: payload.readUInt8(1) },
        device,
        scope: payload.readUInt8(6),
        ...(gateway ? { gateway: addressFromBytes(gateway) } : {}),
        ...(priority === undefined ? {} : { priority }),
      },
    ]
  })
}
