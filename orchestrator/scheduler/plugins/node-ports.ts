import type { Pod } from '../../api/types.ts'
import type { FilterPlugin } from '../framework.ts'

/** Refuses a node on which another pod has a host port that this one wants. */
export const nodePorts: FilterPlugin = {
  name: 'NodePorts',
  filter({ pod }, { pods }) {
    const wanted = hostPorts(pod)
    if (wanted.length === 0) return undefined
    const taken = [...pods.values()].flatMap(hostPorts)
    const conflict = wanted.some((port) => taken.some((other) => collide(port, other)))
    return conflict ? "node(s) didn't have free ports for the requested pod ports" : undefined
  },
}

interface HostPort {
  port: number
  protocol: string
  ip: string
}

/** A sidecar's ports count like those of the others; an init container that ends has none. */
function hostPorts({ spec }: Pod): HostPort[] {
  const sidecars = (spec?.initContainers ?? []).filter((each) => each.restartPolicy === 'Always')
  return [...(spec?.containers ?? []), ...sidecars]
    .flatMap((container) => container.ports ?? [])
    .flatMap(({ hostPort, protocol = 'TCP', hostIP: ip }) =>
      hostPort ? [{ port: hostPort, protocol, ip: ip || '0.0.0.0' }] : [],
    )
}

function collide(a: HostPort, b: HostPort): boolean {
  const sameAddress = a.ip === b.ip || a.ip === '0.0.0.0' || b.ip === '0.0.0.0'
  return a.port === b.port && a.protocol === b.protocol && sameAddress
}
