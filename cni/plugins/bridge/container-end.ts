import { setNetSysctl } from '../../../runtime/linux/net-sysctl.ts'
import { inNetworkNamespace } from '../../../runtime/linux/netns.ts'
import { type Address, type Cidr, parseAddress, parseCidr } from '../../address.ts'
import { addAddress } from '../../netlink/addresses.ts'
import type { NetlinkConnection } from '../../netlink/connection.ts'
import { type Link, setLink } from '../../netlink/links.ts'
import { addRoute } from '../../netlink/routes.ts'
import type { CniRoute } from '../../result.ts'

export interface ContainerAddressing {
  ips: readonly { cidr: Cidr; gateway: Address | undefined }[]
  routes: readonly CniRoute[]
}

/** Addresses, up, routes: in this order, because the kernel takes no route through a device that is down. */
export async function configureContainerEnd(
  inside: NetlinkConnection,
  link: Link,
  o: ContainerAddressing & { netns: string },
): Promise<void> {
  inNetworkNamespace(o.netns, () => {
    // Neighbours that knew the last owner of this address learn of the new one at once.
    setNetSysctl(`ipv4/conf/${link.name}/arp_notify`, '1')
    if (o.ips.some(({ cidr }) => cidr.family === 6)) {
      setNetSysctl(`ipv6/conf/${link.name}/disable_ipv6`, '0')
      setNetSysctl(`ipv6/conf/${link.name}/ndisc_notify`, '1')
    }
  })
  for (const { cidr } of o.ips) await addAddress(inside, link, cidr)
  await setLink(inside, link, { up: true })
  for (const route of o.routes) await addRoute(inside, routeThrough(link, route, o.ips))
}

function routeThrough(link: Link, route: CniRoute, ips: ContainerAddressing['ips']) {
  const destination = parseCidr(route.dst)
  const family = destination.family
  // Without a gateway of its own a route goes through that of the first address of its family.
  const gateway = route.gw
    ? parseAddress(route.gw)
    : route.scope === undefined
      ? ips.find(({ cidr }) => cidr.family === family)?.gateway
      : undefined
  return {
    destination,
    device: link.index,
    ...(gateway ? { gateway } : {}),
    ...(route.table === undefined ? {} : { table: route.table }),
    ...(route.priority === undefined ? {} : { priority: route.priority }),
    ...(route.scope === undefined ? {} : { scope: route.scope }),
    ...(route.mtu === undefined ? {} : { mtu: route.mtu }),
    ...(route.advmss === undefined ? {} : { advertisedSegment: route.advmss }),
  }
}
