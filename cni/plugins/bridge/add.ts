import { closeSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { errnoOf } from '../../../runtime/base/errors.ts'
import { setNetSysctl } from '../../../runtime/linux/net-sysctl.ts'
import { openOwnNetworkNamespace } from '../../../runtime/linux/netns.ts'
import {
  type Address,
  type Cidr,
  formatAddress,
  formatCidr,
  networkOf,
  parseAddress,
  parseCidr,
  plus,
} from '../../address.ts'
import { cniError } from '../../errors.ts'
import { NetlinkConnection } from '../../netlink/connection.ts'
import { createVeth, deleteLink, findLink, type Link, setBridgePort, setLink } from '../../netlink/links.ts'
import type { PluginCall } from '../../plugin.ts'
import type { CniResult, CniRoute } from '../../result.ts'
import { connectTo } from '../container-netns.ts'
import { aliasOf, type BridgeConfig, hostEndName, parseBridge } from './config.ts'
import { configureContainerEnd } from './container-end.ts'
import { ensureBridge, ensureGateway } from './host-bridge.ts'
import { masquerade } from './masquerade.ts'

/**
 * Connects a container to the bridge with a veth pair. When a step fails, those before it are undone and the address
 * goes back; the bridge itself stays, as it belongs to all containers.
 */
export async function addToBridge(call: PluginCall): Promise<CniResult> {
  const config = parseBridge(call)
  using host = new NetlinkConnection()
  using inside = connectTo(call.netns)
  const bridge = await ensureBridge(host, config, call.config.name)
  const given = config.ipamType ? await call.delegate('ADD', config.ipamType) : {}
  try {
    const addressing = addressingOf(given, config)
    if (config.isGateway) {
      await ensureGateway(host, bridge, { gateways: addressing.gateways, forceAddress: config.forceAddress })
    }
    const pair = await createPair(host, inside, { call, config, bridge })
    try {
      await configureContainerEnd(inside, pair.container, { ...addressing, netns: call.netns })
      await waitUntilOperational(host, pair.host)
      if (config.ipMasq) {
        const sources = addressing.ips.map(({ cidr }) => networkOf(cidr))
        masquerade(call.config.name, { sources, local: config.masqueradeExcept })
      }
      return resultOf(given, { call, bridge, pair, addressing })
    } catch (error) {
      await deleteLink(host, pair.host).catch(() => {})
      throw error
    }
  } catch (error) {
    if (config.ipamType) await call.delegate('DEL', config.ipamType).catch(() => {})
    throw error
  }
}

interface Addressing {
  ips: { cidr: Cidr; gateway: Address | undefined }[]
  routes: CniRoute[]
  /** The gateways' addresses with the prefix of their network. */
  gateways: Cidr[]
}

/** What IPAM gave, completed: a gateway is the first address of its network, and may be the default route. */
function addressingOf(given: CniResult, config: BridgeConfig): Addressing {
  const ips = (given.ips ?? []).map((ip) => {
    const cidr = parseCidr(ip.address)
    const first = config.isGateway ? plus(networkOf(cidr), 1n) : undefined
    return { cidr, gateway: ip.gateway ? parseAddress(ip.gateway) : first }
  })
  if (config.ipamType && ips.length === 0) {
    throw cniError('CNI_INVALID_CONFIG', `connect to bridge ${config.bridge}: IPAM ${config.ipamType} gave no address`)
  }
  const gateways = ips.flatMap(({ cidr, gateway }) => (gateway ? [{ ...gateway, prefix: cidr.prefix }] : []))
  const routes = [...(given.routes ?? [])]
  for (const gateway of config.isDefaultGateway ? gateways : []) {
    const dst = gateway.family === 4 ? '0.0.0.0/0' : '::/0'
    if (!routes.some((route) => route.dst === dst)) routes.push({ dst, gw: formatAddress(gateway) })
  }
  return { ips, routes, gateways }
}

interface Pair {
  host: Link
  container: Link
}

async function createPair(
  host: NetlinkConnection,
  inside: NetlinkConnection,
  o: { call: PluginCall; config: BridgeConfig; bridge: Link },
): Promise<Pair> {
  const { call, config, bridge } = o
  const alias = aliasOf(call.config.name, call.containerId, call.ifname)
  const name = hostEndName(call)
  const left = await findLink(host, name)
  if (left && left.alias !== alias) throw cniError('CNI_IO', `create ${name}: the name is taken (alias ${left.alias})`)
  // One with our alias is from an ADD that was killed before it could say what it had done.
  if (left) await deleteLink(host, left)
  const own = openOwnNetworkNamespace()
  try {
    const pair = { name: call.ifname, mac: config.mac, mtu: config.mtu, peerName: name, peerNetnsFd: own }
    await createVeth(inside, pair)
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error
    throw cniError('CNI_INVALID_ENVIRONMENT', `add ${call.ifname}: the container already has it`, { cause: error })
  } finally {
    closeSync(own)
  }
  const hostEnd = await findLink(host, name)
  const container = await findLink(inside, call.ifname)
  if (!hostEnd || !container) throw cniError('CNI_IO', `create ${name}: it has disappeared again`)
  setNetSysctl(`ipv6/conf/${name}/accept_ra`, '0')
  await setLink(host, hostEnd, { up: true, master: bridge.index, alias })
  if (config.hairpinMode || config.portIsolation) {
    await setBridgePort(host, hostEnd, { hairpin: config.hairpinMode, isolated: config.portIsolation })
  }
  return { host: hostEnd, container }
}

const operationalWithinMs = 2000

/** The kernel lets a port forward a moment after both ends are up; a container must not start with a dead link. */
async function waitUntilOperational(host: NetlinkConnection, { name }: Link): Promise<void> {
  const started = performance.now()
  for (;;) {
    const link = await findLink(host, name)
    if (link?.operational) return
    if (!link || performance.now() - started > operationalWithinMs) {
      throw cniError('CNI_IO', `bring up ${name}: it carries no traffic after ${operationalWithinMs} ms`)
    }
    await sleep(1)
  }
}

const containerInterface = 2

function resultOf(
  given: CniResult,
  o: { call: PluginCall; bridge: Link; pair: Pair; addressing: Addressing },
): CniResult {
  const { call, bridge, pair, addressing } = o
  const dns = Object.keys(call.config.dns ?? {}).length > 0 ? call.config.dns : given.dns
  return {
    interfaces: [
      { name: bridge.name, mac: bridge.mac, mtu: bridge.mtu },
      { name: pair.host.name, mac: pair.host.mac, mtu: pair.host.mtu },
      { name: call.ifname, mac: pair.container.mac, mtu: pair.container.mtu, sandbox: call.netns },
    ],
    ips: addressing.ips.map(({ cidr, gateway }) => ({
      interface: containerInterface,
      address: formatCidr(cidr),
      ...(gateway ? { gateway: formatAddress(gateway) } : {}),
    })),
    ...(addressing.routes.length > 0 ? { routes: addressing.routes } : {}),
    ...(dns ? { dns } : {}),
  }
}
