import { errnoOf } from '../../../runtime/base/errors.ts'
import { NetlinkConnection } from '../../netlink/connection.ts'
import { LinkBatch } from '../../netlink/link-batch.ts'
import { deleteLink, findLink, type Link, listLinks } from '../../netlink/links.ts'
import { type PluginCall, validAttachments } from '../../plugin.ts'
import { connectIfThere } from '../container-netns.ts'
import { aliasOf, aliasPrefix, bridgeAlias, hostEndName, parseBridge } from './config.ts'
import { removeMasquerade } from './masquerade.ts'

const hostEnds = new LinkBatch()

/** Removes the veth pair, then gives the address back: never the other way round, or two containers could share it. */
export async function deleteFromBridge(call: PluginCall): Promise<void> {
  const { ipamType } = parseBridge(call)
  using host = new NetlinkConnection()
  const mine = aliasOf(call.config.name, call.containerId, call.ifname)
  const hostEnd = await findLink(host, hostEndName(call))
  if (hostEnd?.alias === mine) await hostEnds.remove(hostEnd)
  else if (call.netns !== '') await deleteFromInside(host, call)
  if (ipamType) await call.delegate('DEL', ipamType)
}

/** For attachments whose host's end has another name: those that the reference plugin made. */
async function deleteFromInside(host: NetlinkConnection, call: PluginCall): Promise<void> {
  using inside = connectIfThere(call.netns)
  const link = inside && (await findLink(inside, call.ifname))
  if (!inside || link?.kind !== 'veth') return
  const hostEnd = (await listLinks(host)).find(({ index }) => index === link.peer)
  // An end with an alias of ours belongs to another attachment of this namespace, and this one was never made.
  if (!hostEnd?.alias?.startsWith(aliasPrefix(call.config.name))) await remove(inside, link)
}

async function remove(netlink: NetlinkConnection, link: Link): Promise<void> {
  try {
    await deleteLink(netlink, link)
  } catch (error) {
    // The container's namespace went away meanwhile, and the pair with it.
    if (errnoOf(error) !== 'ENODEV') throw error
  }
}

/** Removes host's ends and addresses of attachments that are not valid any more. */
export async function collectBridgeGarbage(call: PluginCall): Promise<void> {
  const { ipamType } = parseBridge(call)
  const network = call.config.name
  using host = new NetlinkConnection()
  const keep = validAttachments(call.config).map(({ containerID, ifname }) => aliasOf(network, containerID, ifname))
  await removeHostEnds(host, network, new Set(keep))
  if (ipamType) await call.delegate('GC', ipamType)
}

/** Removes what belongs to the network as a whole: a bridge that we made, the packet filter table, addresses. */
export async function tearDownBridge(call: PluginCall): Promise<void> {
  const { ipamType, ipMasq, bridge } = parseBridge(call)
  const network = call.config.name
  using host = new NetlinkConnection()
  await removeHostEnds(host, network, new Set())
  const link = await findLink(host, bridge)
  if (link?.alias === bridgeAlias(network)) await remove(host, link)
  if (ipMasq) removeMasquerade(network)
  if (ipamType) await call.delegate('TEARDOWN', ipamType)
}

async function removeHostEnds(host: NetlinkConnection, network: string, keep: ReadonlySet<string>): Promise<void> {
  const stale = (await listLinks(host)).filter(
    ({ alias }) => alias?.startsWith(aliasPrefix(network)) && !keep.has(alias),
  )
  await Promise.all(stale.map((link) => hostEnds.remove(link)))
}
