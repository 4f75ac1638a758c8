/** The downward API: what a pod may learn about itself (Kubernetes docs: concepts/workloads/pods/downward-api). */
import { milliUnits, parseQuantity } from '../orchestrator/api/quantity.ts'
import type { Container, Pod } from '../orchestrator/api/types.ts'
import { stepFailed } from './errors.ts'
import { ownContainers } from './pod-containers.ts'

export interface NodeFacts {
  name: string
  ip: string
  /** What a container without a limit could use. */
  cpus: number
  memoryBytes: number
}

/** The value of a `fieldRef`. Throws `CreateContainerConfigError` for a path that the API does not define. */
export function fieldValue(pod: Pod, path: string, node: NodeFacts & { podIPs: readonly string[] }): string {
  const { metadata, spec } = pod
  const subscript = /^metadata\.(labels|annotations)\['([^']*)'\]$/.exec(path)
  if (subscript) return (metadata?.[subscript[1] as 'labels'] as Record<string, string>)?.[subscript[2] ?? ''] ?? ''
  switch (path) {
    case 'metadata.name':
      return metadata?.name ?? ''
    case 'metadata.namespace':
      return metadata?.namespace ?? ''
    case 'metadata.uid':
      return metadata?.uid ?? ''
    case 'metadata.labels':
    case 'metadata.annotations':
      return formatMap(metadata?.[path.slice('metadata.'.length) as 'labels'] as Record<string, string> | undefined)
    case 'spec.nodeName':
      return node.name
    case 'spec.serviceAccountName':
      return spec?.serviceAccountName ?? ''
    case 'status.hostIP':
    case 'status.hostIPs':
      return node.ip
    case 'status.podIP':
      return node.podIPs[0] ?? ''
    case 'status.podIPs':
      return node.podIPs.join(',')
    default:
      throw stepFailed('CreateContainerConfigError', `unsupported fieldPath: ${path}`)
  }
}

/** One `key="value"` a line, sorted, as a downward API volume writes labels. */
export function formatMap(map: Readonly<Record<string, string>> | undefined): string {
  return Object.entries(map ?? {})
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${JSON.stringify(value)}`)
    .join('\n')
}

/** The value of a `resourceFieldRef`, divided by its divisor and rounded up. */
export function resourceFieldValue(
  pod: Pod,
  container: Container,
  ref: { containerName?: string; resource: string; divisor?: string },
  node: NodeFacts,
): string {
  const all = ownContainers(pod)
  const of = ref.containerName ? (all.find((each) => each.name === ref.containerName) ?? container) : container
  const [side = '', name = ''] = ref.resource.split('.')
  const amounts = of.resources?.[side as 'limits' | 'requests'] as Record<string, string> | undefined
  const whole: Record<string, number> = { cpu: node.cpus, memory: node.memoryBytes }
  const fallback = side === 'limits' ? whole[name] : 0
  const value = amounts?.[name] === undefined ? fallback : milliUnits(parseQuantity(amounts[name])) / 1000
  if (value === undefined)
    throw stepFailed('CreateContainerConfigError', `unsupported container resource: ${ref.resource}`)
  const divisor = ref.divisor && ref.divisor !== '0' ? milliUnits(parseQuantity(ref.divisor)) / 1000 : 1
  return String(Math.ceil(value / divisor))
}
