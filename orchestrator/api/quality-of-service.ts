/** A pod's class. Source: k8s.io/kubernetes/pkg/apis/core/v1/helper/qos/qos.go. */
import { compareQuantities, parseQuantity } from './quantity.ts'
import type { Container, Pod } from './types.ts'

export type QosClass = 'Guaranteed' | 'Burstable' | 'BestEffort'

const counted = ['cpu', 'memory']

/** From the requests and limits for cpu and memory of all ordinary and init containers. */
export function qosClassOf(pod: Pod): QosClass {
  const containers = [...(pod.spec?.initContainers ?? []), ...(pod.spec?.containers ?? [])]
  if (!containers.some(asksForSome)) return 'BestEffort'
  return containers.every(isGuaranteed) ? 'Guaranteed' : 'Burstable'
}

function asksForSome({ resources = {} }: Container): boolean {
  const { requests, limits } = resources
  return counted.some((name) => isSome(requests?.[name]) || isSome(limits?.[name]))
}

const isSome = (amount: string | undefined) => amount !== undefined && parseQuantity(amount).nano > 0n

function isGuaranteed({ resources = {} }: Container): boolean {
  return counted.every((name) => {
    const limit = resources.limits?.[name]
    const request = resources.requests?.[name] ?? limit
    if (limit === undefined || request === undefined || parseQuantity(limit).nano <= 0n) return false
    return compareQuantities(parseQuantity(limit), parseQuantity(request)) === 0
  })
}
