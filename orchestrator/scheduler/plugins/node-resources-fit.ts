import type { FilterPlugin, NodeInfo, PodInfo, ScorePlugin } from '../framework.ts'

/** Refuses a node whose free CPU, memory or pod slots are less than the pod requests. */
export const nodeResourcesFit: FilterPlugin = {
  name: 'NodeResourcesFit',
  filter({ requests }: PodInfo, { allocatable, requested }: NodeInfo) {
    const lacking = [
      requested.pods + 1 > allocatable.pods ? 'Too many pods' : '',
      requests.cpuMillis > 0 && requests.cpuMillis > allocatable.cpuMillis - requested.cpuMillis
        ? 'Insufficient cpu'
        : '',
      requests.memoryBytes > 0 && requests.memoryBytes > allocatable.memoryBytes - requested.memoryBytes
        ? 'Insufficient memory'
        : '',
    ].filter((reason) => reason !== '')
    return lacking.length === 0 ? undefined : lacking.join(', ')
  },
}

/** Prefers the node that has the most left (upstream: NodeResourcesFit with strategy LeastAllocated). */
export const leastAllocated: ScorePlugin = {
  name: 'NodeResourcesLeastAllocated',
  weight: 1,
  score(pod, node) {
    return Math.floor((100 * (free(pod, node, 'cpuMillis') + free(pod, node, 'memoryBytes'))) / 2)
  },
}

/** Prefers the node where CPU and memory would be used in equal parts. */
export const balancedAllocation: ScorePlugin = {
  name: 'NodeResourcesBalancedAllocation',
  weight: 1,
  score(pod, node) {
    const [cpu, memory] = [1 - free(pod, node, 'cpuMillis'), 1 - free(pod, node, 'memoryBytes')]
    return Math.floor(100 * (1 - Math.abs(cpu - memory) / 2))
  },
}

/** A pod that requests nothing still uses something: upstream counts it as 100 millicores and 200 MB when it scores. */
const assumed = { cpuMillis: 100, memoryBytes: 200 * 1024 * 1024 } as const

/** The fraction, 0 to 1, that would be left of a resource with the pod on the node. */
function free(pod: PodInfo, node: NodeInfo, resource: 'cpuMillis' | 'memoryBytes'): number {
  const total = node.allocatable[resource]
  const used = node.requested[resource] + (pod.requests[resource] || assumed[resource])
  return total === 0 ? 0 : Math.max(0, Math.min(1, (total - used) / total))
}
