/** Whether a pod fits beside those that the node runs already: also pods that no scheduler has placed (upstream: lifecycle predicates). */
import { milliUnits, parseQuantity } from '../orchestrator/api/quantity.ts'
import type { Container, Pod } from '../orchestrator/api/types.ts'
import type { Check } from './refusal.ts'
import { isSidecar } from './restart-policy.ts'

/** In thousandths of the resource's unit, by name. */
type Amounts = ReadonlyMap<string, number>

/** Refuses a pod that requests more of anything than is left of it. Pods themselves are such a resource. */
export const hasRoom: Check = (pod, node, others) => {
  const allocatable = amountsOf(node.status?.allocatable as Quantities)
  const used = others.map(requestsOf).reduce(sum, new Map())
  for (const [name, requested] of requestsOf(pod)) {
    const capacity = allocatable.get(name) ?? 0
    if (requested === 0 || requested <= capacity - (used.get(name) ?? 0)) continue
    // Upstream counts CPUs in thousandths here, and all else in its own unit.
    const shown = (amount: number) => (name === 'cpu' ? amount : amount / 1000)
    const amounts = `requested: ${shown(requested)}, used: ${shown(used.get(name) ?? 0)}, capacity: ${shown(capacity)}`
    const message = `Pod was rejected: Node didn't have enough resource: ${name}, ${amounts}`
    return { reason: `OutOf${name}`, message }
  }
  return undefined
}

/** Refuses a pod that wants a port of the node that another has. */
export const hasFreePorts: Check = (pod, _node, others) => {
  const taken = others.flatMap(hostPorts)
  if (!hostPorts(pod).some((port) => taken.some((other) => collide(port, other)))) return undefined
  const why = "node(s) didn't have free ports for the requested pod ports"
  return { reason: 'NodePorts', message: `Pod was rejected: Predicate NodePorts failed: ${why}` }
}

interface HostPort {
  port: string
  ip: string
}

const everyAddress = '0.0.0.0'

function collide(a: HostPort, b: HostPort): boolean {
  return a.port === b.port && (a.ip === b.ip || a.ip === everyAddress || b.ip === everyAddress)
}

function hostPorts({ spec }: Pod): HostPort[] {
  const containers = [...(spec?.containers ?? []), ...(spec?.initContainers ?? []).filter(isSidecar)]
  const ports = containers.flatMap((each) => each.ports ?? []).filter((port) => port.hostPort)
  return ports.map(({ hostPort, hostIP, protocol = 'TCP' }) => ({
    port: `${hostPort}/${protocol}`,
    ip: hostIP || everyAddress,
  }))
}

type Quantities = Readonly<Record<string, string>> | undefined

function amountsOf(quantities: Quantities): Amounts {
  return new Map(Object.entries(quantities ?? {}).map(([name, text]) => [name, milliUnits(parseQuantity(text))]))
}

/** What runs together is added up; an init container that wants more than that has it for itself. */
function requestsOf({ spec }: Pod): Amounts {
  const of = (container: Container) => amountsOf(container.resources?.requests as Quantities)
  const init = spec?.initContainers ?? []
  const together = [...(spec?.containers ?? []), ...init.filter(isSidecar)].map(of).reduce(sum, new Map())
  const most = init
    .filter((each) => !isSidecar(each))
    .map(of)
    .reduce(larger, together)
  return sum(sum(most, amountsOf(spec?.overhead as Quantities)), new Map([['pods', 1000]]))
}

function sum(a: Amounts, b: Amounts): Amounts {
  return merge(a, b, (one, other) => one + other)
}

function larger(a: Amounts, b: Amounts): Amounts {
  return merge(a, b, Math.max)
}

function merge(a: Amounts, b: Amounts, how: (one: number, other: number) => number): Amounts {
  const names = new Set([...a.keys(), ...b.keys()])
  return new Map([...names].map((name) => [name, how(a.get(name) ?? 0, b.get(name) ?? 0)]))
}
