/**
 * What a pod asks for altogether. Source: `PodRequests` and `PodLimits` in k8s.io/component-helpers/resource/helpers.go.
 */
import type { Container, Pod } from '../types.ts'
import { type Amounts, addAmounts, largerAmounts } from './amounts.ts'

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
  return addAmounts(
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
      sidecars = addAmounts(sidecars, of(container))
      most = largerAmounts(most, sidecars)
    } else most = largerAmounts(most, addAmounts(sidecars, of(container)))
  }
  return largerAmounts((pod.spec?.containers ?? []).map(of).reduce(addAmounts, sidecars), most)
}
