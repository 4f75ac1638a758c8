/** What one object takes of a quota. Source: k8s.io/kubernetes/pkg/quota/v1/evaluator/core. */
import type { ResourceName } from '../status.ts'
import type { Container, KubeObject, PersistentVolumeClaim, Pod, Service } from '../types.ts'
import { type Amounts, addAmounts } from './amounts.ts'
import { podLimits, podRequests, withOverhead } from './pod-amounts.ts'

/** Kinds of the core group that are also counted under their bare name. */
const countedByName = ['configmaps', 'secrets', 'replicationcontrollers', 'resourcequotas']

/** All that this object takes, by the names of a quota's `hard`. `now` is in milliseconds. */
export function usageOf(resource: ResourceName, object: KubeObject, now: number): Amounts {
  const { group, resource: name } = resource
  const count = { [`count/${group === '' ? name : `${name}.${group}`}`]: '1' }
  if (group !== '') return count
  switch (name) {
    case 'pods':
      return { ...count, ...podUsage(object as Pod, now) }
    case 'services':
      return { ...count, ...serviceUsage(object as Service) }
    case 'persistentvolumeclaims':
      return { ...count, ...claimUsage(object as PersistentVolumeClaim) }
    default:
      return countedByName.includes(name) ? { ...count, [name]: '1' } : count
  }
}

/** A pod that has ended takes nothing any more, nor one whose node lets it lie beyond its grace period. */
function podUsage(pod: Pod, now: number): Amounts {
  const { phase } = pod.status ?? {}
  const { deletionTimestamp } = pod.metadata ?? {}
  if (phase === 'Succeeded' || phase === 'Failed') return {}
  // The timestamp of a deletion is the end of the grace period.
  if (deletionTimestamp !== undefined && Date.parse(deletionTimestamp) < now) return {}
  const requests = Object.entries(withOverhead(pod, podRequests(pod), 'requests'))
  const limits = Object.entries(withOverhead(pod, podLimits(pod), 'limits'))
  return {
    pods: '1',
    ...Object.fromEntries(requests.filter(([name]) => isBare(name))),
    ...Object.fromEntries(requests.map(([name, amount]) => [`requests.${name}`, amount])),
    ...Object.fromEntries(limits.map(([name, amount]) => [`limits.${name}`, amount])),
  }
}

/** `cpu` means `requests.cpu`; devices are counted under the long name only. */
const isBare = (name: string) => ['cpu', 'memory', 'ephemeral-storage'].includes(name) || name.startsWith('hugepages-')

function serviceUsage({ spec = {} }: Service): Amounts {
  const { type, ports = [], allocateLoadBalancerNodePorts = true } = spec
  const withPort = ports.filter(({ nodePort }) => nodePort).length
  const ofBalancer = allocateLoadBalancerNodePorts ? ports.length : withPort
  const nodePorts = type === 'NodePort' ? ports.length : type === 'LoadBalancer' ? ofBalancer : 0
  return {
    services: '1',
    'services.nodeports': String(nodePorts),
    'services.loadbalancers': type === 'LoadBalancer' ? '1' : '0',
  }
}

function claimUsage({ spec = {}, status, metadata }: PersistentVolumeClaim): Amounts {
  const requested = spec.resources?.requests?.storage
  // While a volume grows and shrinks back, the larger amount is what is there.
  const storage = status?.allocatedResources?.storage ?? requested
  const name = spec.storageClassName ?? metadata?.annotations?.['volume.beta.kubernetes.io/storage-class']
  const amounts: Amounts = { persistentvolumeclaims: '1', ...(storage ? { 'requests.storage': storage } : {}) }
  if (!name) return amounts
  const ofClass = Object.entries(amounts).map(([key, amount]) => [`${name}.storageclass.storage.k8s.io/${key}`, amount])
  return { ...amounts, ...Object.fromEntries(ofClass) }
}

/** What all of them take together, of these names; nothing is 0. */
export function totalUsage(usages: readonly Amounts[], names: readonly string[]): Amounts {
  const total = usages.reduce(addAmounts, {})
  return Object.fromEntries(names.map((name) => [name, total[name] ?? '0']))
}

const mustBeSaid = ['cpu', 'memory', 'requests.cpu', 'requests.memory', 'limits.cpu', 'limits.memory']

/** With a quota on cpu or memory, each container has to say how much it wants. Undefined: it does. */
export function unsaidAmounts({ spec }: Pod, names: readonly string[]): string | undefined {
  const containers = [...(spec?.containers ?? []), ...(spec?.initContainers ?? [])]
  const missing = names
    .filter((name) => mustBeSaid.includes(name) && !says(spec ?? {}, name))
    .sort()
    .flatMap((name) => {
      const silent = containers.filter((container) => !says(container, name)).map((container) => container.name)
      return silent.length > 0 ? [`${name} for: ${silent.sort().join(',')}`] : []
    })
  return missing.length > 0 ? `must specify ${missing.join('; ')}` : undefined
}

function says({ resources = {} }: Pick<Container, 'resources'>, name: string): boolean {
  if (name.startsWith('limits.')) return Object.hasOwn(resources.limits ?? {}, name.slice('limits.'.length))
  return Object.hasOwn(resources.requests ?? {}, name.replace('requests.', ''))
}
