/**
 * What a pod asks for altogether. Source: `PodRequests` and `PodLimits` in k8s.io/component-helpers/resource/helpers.go.
 */
import { addQuantities, compareQuantities, formatQuantity, parseQuantity, type Quantity } from '../api/quantity.ts'
import type { Container, Pod } from '../api/types.ts'

export type Amounts = Record<string, string>

/** Requests, without the overhead of the runtime. What the pod says as a whole counts more than the sum. */
export function podRequests(pod: Pod): Amounts {
  return { ...total(pod, 'requests'), ...pod.spec?.resources?.requests }
}

/** Limits, without the overhead of the runtime. */
export function podLimits(pod: Pod): Amounts {
  return { ...total(pod, 'limits'), ...pod.spec?.resources?.limits }
}

/** `amounts` and what the runtime takes for itself; to limits it is added only where there is one. */
export function withOverhead(pod: Pod, amounts: Amounts, field: 'requests' | 'limits'): Amounts {
  const overhead = Object.entries((pod.spec?.overhead ?? {}) as Amounts)
  return add(
    amounts,
    Object.fromEntries(overhead.filter(([name]) => field === 'requests' || Object.hasOwn(amounts, name))),
  )
}

/** Containers run together; init containers one by one, beside the sidecars that began before them. */
function total(pod: Pod, field: 'requests' | 'limits'): Amounts {
  const of = (container: Container): Amounts => container.resources?.[field] ?? {}
  let sidecars: Amounts = {}
  let most: Amounts = {}
  for (const container of pod.spec?.initContainers ?? []) {
    if (container.restartPolicy === 'Always') {
      sidecars = add(sidecars, of(container))
      most = larger(most, sidecars)
    } else most = larger(most, add(sidecars, of(container)))
  }
  return larger((pod.spec?.containers ?? []).map(of).reduce(add, sidecars), most)
}

export function add(left: Amounts, right: Amounts): Amounts {
  return merge(left, right, addQuantities)
}

function larger(left: Amounts, right: Amounts): Amounts {
  return merge(left, right, (one, other) => (compareQuantities(one, other) < 0 ? other : one))
}

function merge(left: Amounts, right: Amounts, by: (one: Quantity, other: Quantity) => Quantity): Amounts {
  const merged = { ...left }
  for (const [name, amount] of Object.entries(right)) {
    const before = Object.hasOwn(left, name) ? left[name] : undefined
    merged[name] = before === undefined ? amount : formatQuantity(by(parseQuantity(before), parseQuantity(amount)))
  }
  return merged
}
