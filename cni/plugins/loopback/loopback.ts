import { formatCidr } from '../../address.ts'
import { cniError } from '../../errors.ts'
import { listAddresses } from '../../netlink/addresses.ts'
import type { NetlinkConnection } from '../../netlink/connection.ts'
import { findLink, type Link, setLink } from '../../netlink/links.ts'
import type { Plugin, PluginCall } from '../../plugin.ts'
import { connectIfThere, connectTo } from '../container-netns.ts'

const name = 'lo'

/** Brings the container's loopback device up; the kernel gives it its addresses. Works on `lo`, whatever CNI_IFNAME says. */
export const loopback: Plugin = {
  async add(call) {
    using inside = connectTo(call.netns)
    const link = await loopbackOf(inside, call)
    await setLink(inside, link, { up: true })
    // In a chain it adds nothing of its own, so that the addresses stay those of the container's own device.
    if (call.config.prevResult) return call.config.prevResult
    const addresses = await listAddresses(inside, link)
    return {
      interfaces: [{ name, mac: link.mac, sandbox: call.netns }],
      ips: addresses.map((address) => ({ interface: 0, address: formatCidr(address) })),
    }
  },
  async del(call) {
    using inside = call.netns === '' ? undefined : connectIfThere(call.netns)
    if (inside) await setLink(inside, await loopbackOf(inside, call), { up: false })
  },
  async check(call) {
    using inside = connectTo(call.netns)
    const link = await loopbackOf(inside, call)
    if (!link.up) throw cniError('CNI_CHECK_FAILED', `check ${name} of ${call.netns}: it is down`)
  },
  async gc() {},
  async status() {},
}

async function loopbackOf(inside: NetlinkConnection, call: PluginCall): Promise<Link> {
  const link = await findLink(inside, name)
  if (!link) throw cniError('CNI_IO', `find ${name} in ${call.netns}: it has none`)
  return link
}
