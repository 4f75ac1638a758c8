/** Requests and limits to cgroup values (upstream: pkg/kubelet/cm/helpers_linux.go, qos_container_manager_linux.go). */
import { qosClassOf } from '../orchestrator/api/quality-of-service.ts'
import { milliUnits, parseQuantity, wholeUnits } from '../orchestrator/api/quantity.ts'
import type { Container, Pod } from '../orchestrator/api/types.ts'
import type { Resources } from './cri/types.ts'

const sharesPerCpu = 1024
const minShares = 2
const maxShares = 262_144
const periodMicros = 100_000
const minQuotaMicros = 1000

type Amounts = Readonly<Record<string, string>> | undefined

/** In CPUs. */
const cpuOf = (amounts: Amounts) =>
  amounts?.cpu === undefined ? undefined : milliUnits(parseQuantity(amounts.cpu)) / 1000
const memoryOf = (amounts: Amounts) =>
  amounts?.memory === undefined ? undefined : wholeUnits(parseQuantity(amounts.memory))

/** cgroup values of one container. A container without a CPU request weighs as little as the kernel allows. */
export function containerResources(container: Container, pod: Pod, nodeMemoryBytes: number): Resources {
  const { requests, limits } = container.resources ?? {}
  const memory = memoryOf(limits as Amounts)
  return {
    ...cpu(cpuOf(requests as Amounts) ?? cpuOf(limits as Amounts) ?? 0, cpuOf(limits as Amounts)),
    ...(memory === undefined ? {} : { memoryLimitBytes: memory }),
    oomScoreAdj: oomScoreAdj(pod, (memoryOf(requests as Amounts) ?? memory ?? 0) / nodeMemoryBytes),
  }
}

/** cgroup values of the whole pod: sums, and limits only where every container has one. */
export function podResources(pod: Pod): Resources {
  const containers = [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? []).filter(isSidecar)]
  const sum = (values: readonly (number | undefined)[]) =>
    values.reduce<number>((total, each) => total + (each ?? 0), 0)
  const requests = containers.map((each) => each.resources?.requests as Amounts)
  const limits = containers.map((each) => each.resources?.limits as Amounts)
  const cpuLimits = limits.map(cpuOf)
  const memoryLimits = limits.map(memoryOf)
  const cpuLimit = cpuLimits.every((each) => each !== undefined) ? sum(cpuLimits) : undefined
  const once = (pod.spec?.initContainers ?? []).filter((each) => !isSidecar(each))
  const initMemory = Math.max(0, ...once.map((each) => memoryOf(each.resources?.limits as Amounts) ?? Infinity))
  const memory = memoryLimits.every((each) => each !== undefined) ? Math.max(sum(memoryLimits), initMemory) : Infinity
  // What the pod's runtime takes for itself (KEP-688).
  const overhead = pod.spec?.overhead as Amounts
  const [overheadCpu, overheadMemory] = [cpuOf(overhead) ?? 0, memoryOf(overhead) ?? 0]
  return {
    ...cpu(sum(requests.map(cpuOf)) + overheadCpu, once.length > 0 || !cpuLimit ? undefined : cpuLimit + overheadCpu),
    ...(Number.isFinite(memory) ? { memoryLimitBytes: memory + overheadMemory } : {}),
  }
}

const isSidecar = (container: Container) => container.restartPolicy === 'Always'

function cpu(request: number, limit: number | undefined): Resources {
  const cpuShares = Math.min(maxShares, Math.max(minShares, Math.floor(request * sharesPerCpu)))
  if (limit === undefined || limit === 0) return { cpuShares }
  const cpuQuotaMicros = Math.max(minQuotaMicros, Math.ceil(limit * periodMicros))
  return { cpuShares, cpuQuotaMicros, cpuPeriodMicros: periodMicros }
}

/** Lower survives longer when the node runs out of memory (upstream: pkg/kubelet/qos/policy.go). */
function oomScoreAdj(pod: Pod, memoryShare: number): number {
  switch (qosClassOf(pod)) {
    case 'Guaranteed':
      return -997
    case 'BestEffort':
      return 1000
    case 'Burstable':
      return Math.min(999, Math.max(3, 1000 - Math.floor(1000 * memoryShare)))
  }
}
