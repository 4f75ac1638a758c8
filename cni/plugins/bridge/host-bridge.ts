import { randomBytes } from 'node:crypto'
import { errnoOf } from '../../../runtime/base/errors.ts'
import { setNetSysctl } from '../../../runtime/linux/net-sysctl.ts'
import { type Cidr, contains, formatCidr, sameAddress } from '../../address.ts'
import { cniError } from '../../errors.ts'
import { addAddress, deleteAddress, listAddresses } from '../../netlink/addresses.ts'
import type { NetlinkConnection } from '../../netlink/connection.ts'
import { createBridge, findLink, type Link, setLink } from '../../netlink/links.ts'
import { type BridgeConfig, bridgeAlias } from './config.ts'

/** The bridge of the network, created if it is not there, and up. */
export async function ensureBridge(host: NetlinkConnection, config: BridgeConfig, network: string): Promise<Link> {
  const name = config.bridge
  const existing = await findLink(host, name)
  const bridge = existing ?? (await create(host, config, network))
  if (bridge.kind !== 'bridge') {
    throw cniError('CNI_INVALID_CONFIG', `use bridge ${name}: it is a ${bridge.kind ?? 'device'}, not a bridge`)
  }
  if (!bridge.up) await setLink(host, bridge, { up: true })
  return bridge
}

async function create(host: NetlinkConnection, config: BridgeConfig, network: string): Promise<Link> {
  const name = config.bridge
  try {
    // A MAC address of its own: otherwise the bridge takes the lowest of its ports', and changes it as they come and go.
    await createBridge(host, { name, mac: randomMac(), mtu: config.mtu })
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error
  }
  const bridge = await findLink(host, name)
  if (!bridge) throw cniError('CNI_IO', `create bridge ${name}: it has disappeared again`)
  await setLink(host, bridge, { alias: bridgeAlias(network) })
  // The bridge is a router, which must not take its own routes from announcements of a container.
  setNetSysctl(`ipv6/conf/${name}/accept_ra`, '0')
  return bridge
}

/** Locally administered, unicast. */
function randomMac(): string {
  const bytes = randomBytes(6)
  bytes.writeUInt8((bytes.readUInt8(0) & 0xfc) | 0x02, 0)
  return bytes.toString('hex').match(/../g)?.join(':') ?? ''
}

/** Gives the bridge the gateway's address and lets the host forward. Throws `CNI_INVALID_CONFIG` on an overlap. */
export async function ensureGateway(
  host: NetlinkConnection,
  bridge: Link,
  o: { gateways: readonly Cidr[]; forceAddress: boolean },
): Promise<void> {
  const present = await listAddresses(host, bridge)
  for (const gateway of o.gateways) {
    setNetSysctl(gateway.family === 4 ? 'ipv4/ip_forward' : 'ipv6/conf/all/forwarding', '1')
    if (present.some((address) => sameAddress(address, gateway) && address.prefix === gateway.prefix)) continue
    for (const other of present.filter((address) => contains(address, gateway) || contains(gateway, address))) {
      if (!o.forceAddress) throw overlap(bridge, gateway, other)
      await deleteAddress(host, bridge, other)
    }
    try {
      await addAddress(host, bridge, gateway)
    } catch (error) {
      // Another attachment of the same moment was quicker.
      if (errnoOf(error) !== 'EEXIST') throw error
    }
  }
}

function overlap(bridge: Link, gateway: Cidr, other: Cidr) {
  const [wanted, has] = [formatCidr(gateway), formatCidr(other)]
  return cniError('CNI_INVALID_CONFIG', `give ${wanted} to bridge ${bridge.name}: it already has ${has}`, {
    hint: 'remove that address, use another bridge, or set forceAddress',
  })
}
