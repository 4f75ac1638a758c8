import { milliUnits, parseQuantity, wholeUnits } from '../api/quantity.ts'
import type { Container, Node, Pod } from '../api/types.ts'
import type { Amounts, PodInfo } from './framework.ts'

type Quantities = Readonly<Record<string, string>> | undefined

function amountsOf(quantities: Quantities): Amounts {
  const of = (name: string) => parseQuantity(quantities?.[name] ?? '0')
  return { cpuMillis: milliUnits(of('cpu')), memoryBytes: wholeUnits(of('memory')), pods: wholeUnits(of('pods')) }
}

const requestsOf = (container: Container) => amountsOf(container.resources?.requests as Quantities)

/** What a pod asks for: the sum of its containers, or its largest init container if that is more, and its overhead. */
export function podInfo(pod: Pod): PodInfo {
  const sidecar = (container: Container) => container.restartPolicy === 'Always'
  const init = pod.spec?.initContainers ?? []
  const running = sum([...(pod.spec?.containers ?? []), ...init.filter(sidecar)].map(requestsOf))
  const total = init.filter((each) => !sidecar(each)).reduce((most, each) => larger(most, requestsOf(each)), running)
  return { pod, requests: add(total, amountsOf(pod.spec?.overhead as Quantities), 1) }
}

/** What a node has to give. */
export function allocatableOf(node: Node): Amounts {
  return amountsOf(node.status?.allocatable as Quantities)
}

/** `a` with `sign` times `b`. */
export function add(a: Amounts, b: Amounts, sign: 1 | -1): Amounts {
  return {
    cpuMillis: a.cpuMillis + sign * b.cpuMillis,
    memoryBytes: a.memoryBytes + sign * b.memoryBytes,
    pods: a.pods + sign * b.pods,
  }
}

function sum(all: readonly Amounts[]): Amounts {
  return all.reduce((total, each) => add(total, each, 1), { cpuMillis: 0, memoryBytes: 0, pods: 0 })
}

function larger(a: Amounts, b: Amounts): Amounts {
  return {
    cpuMillis: Math.max(a.cpuMillis, b.cpuMillis),
    memoryBytes: Math.max(a.memoryBytes, b.memoryBytes),
    pods: Math.max(a.pods, b.pods),
  }
}
