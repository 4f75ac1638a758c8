import { type Cidr, formatCidr, parseCidr, sameAddress } from '../../address.ts'
import { cniError } from '../../errors.ts'
import { listAddresses } from '../../netlink/addresses.ts'
import { NetlinkConnection } from '../../netlink/connection.ts'
import { findLink, type Link } from '../../netlink/links.ts'
import { listRoutes } from '../../netlink/routes.ts'
import type { PluginCall } from '../../plugin.ts'
import { connectTo } from '../container-netns.ts'
import { parseBridge } from './config.ts'
import { requireMasquerade } from './masquerade.ts'

/** Compares what is there with what ADD said. Throws `CNI_CHECK_FAILED` naming the first difference. */
export async function checkBridge(call: PluginCall): Promise<void> {
  const config = parseBridge(call)
  const result = call.config.prevResult
  if (!result) throw cniError('CNI_INVALID_CONFIG', 'check attachment: the result of ADD is missing (prevResult)')
  using host = new NetlinkConnection()
  using inside = connectTo(call.netns)
  const bridge = await findLink(host, config.bridge)
  if (!bridge?.up) throw failed(`bridge ${config.bridge} is ${bridge ? 'down' : 'gone'}`)
  const interfaces = result.interfaces ?? []
  const hostName = interfaces.find(({ name, sandbox }) => !sandbox && name !== config.bridge)?.name ?? ''
  const hostEnd = await findLink(host, hostName)
  if (!hostEnd || hostEnd.master !== bridge.index) throw failed(`${hostName} is no port of ${config.bridge}`)
  const link = await findLink(inside, call.ifname)
  if (!link?.up) throw failed(`${call.ifname} is ${link ? 'down' : 'gone'}`)
  const mac = interfaces.find(({ name, sandbox }) => sandbox && name === call.ifname)?.mac
  if (mac && mac !== link.mac) throw failed(`${call.ifname} has MAC address ${link.mac}, not ${mac}`)
  const ips = (result.ips ?? []).map(({ address }) => parseCidr(address))
  await checkAddresses(inside, link, ips)
  await checkRoutes(
    inside,
    link,
    (result.routes ?? []).map(({ dst }) => parseCidr(dst)),
  )
  if (config.ipamType) await call.delegate('CHECK', config.ipamType)
}

async function checkAddresses(inside: NetlinkConnection, link: Link, wanted: readonly Cidr[]): Promise<void> {
  const present = await listAddresses(inside, link)
  const missing = wanted.find((ip) => !present.some((one) => sameAddress(one, ip) && one.prefix === ip.prefix))
  if (missing) throw failed(`${link.name} lacks the address ${formatCidr(missing)}`)
}

async function checkRoutes(inside: NetlinkConnection, link: Link, wanted: readonly Cidr[]): Promise<void> {
  const routes = [...(await listRoutes(inside, 4)), ...(await listRoutes(inside, 6))]
  const missing = wanted.find(
    (dst) =>
      !routes.some(
        ({ destination, device }) =>
          device === link.index && sameAddress(destination, dst) && destination.prefix === dst.prefix,
      ),
  )
  if (missing) throw failed(`${link.name} lacks the route to ${formatCidr(missing)}`)
}

/** Throws when an ADD could not succeed on this host. */
export async function bridgeStatus(call: PluginCall): Promise<void> {
  const { ipMasq, ipamType } = parseBridge(call)
  if (ipMasq) requireMasquerade()
  if (ipamType) await call.delegate('STATUS', ipamType)
}

function failed(reason: string) {
  return cniError('CNI_CHECK_FAILED', `check attachment: ${reason}`)
}
