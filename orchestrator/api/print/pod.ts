/** Source: `printPod` in k8s.io/kubernetes/pkg/printers/internalversion/printers.go. */
import type { Cell, Printer } from '../kinds/kind.ts'
import type { Container, ContainerStatus, Pod } from '../types.ts'
import { ageColumn, ageOf, column, nameColumn, since } from './cells.ts'

export const podPrinter: Printer<Pod> = {
  columns: [
    nameColumn,
    column('Ready', 'The aggregate readiness state of this pod for accepting traffic.'),
    column('Status', 'The aggregate status of the containers in this pod.'),
    column(
      'Restarts',
      'The number of times the containers in this pod have been restarted and when the last container in this pod has restarted.',
    ),
    ageColumn,
    column('IP', 'IP address allocated to the pod.', 'wide'),
    column('Node', 'The node that the pod is scheduled on.', 'wide'),
    column('Nominated Node', 'The node that the pod may run on after preemption.', 'wide'),
    column('Readiness Gates', 'The readiness gates of the pod.', 'wide'),
  ],
  cells: podCells,
}

function podCells(pod: Pod, now: number): Cell[] {
  const { ready, total } = readyCount(pod)
  return [
    pod.metadata?.name ?? '',
    `${ready}/${total}`,
    podReason(pod),
    restartsOf(pod, now),
    ageOf(pod, now),
    pod.status?.podIP || '<none>',
    pod.spec?.nodeName || '<none>',
    pod.status?.nominatedNodeName || '<none>',
    readinessGatesOf(pod),
  ]
}

const isRestartable = (container: Container | undefined) => container?.restartPolicy === 'Always'

function initContainer(pod: Pod, name: string): Container | undefined {
  return pod.spec?.initContainers?.find((container) => container.name === name)
}

function sidecarStatuses(pod: Pod): ContainerStatus[] {
  return (pod.status?.initContainerStatuses ?? []).filter(({ name }) => isRestartable(initContainer(pod, name)))
}

function readyCount(pod: Pod): { ready: number; total: number } {
  const sidecars = (pod.spec?.initContainers ?? []).filter(isRestartable)
  const running = (pod.status?.containerStatuses ?? []).filter((status) => status.ready && status.state?.running)
  const readySidecars = sidecarStatuses(pod).filter((status) => status.started && status.ready)
  return {
    ready: running.length + readySidecars.length,
    total: (pod.spec?.containers.length ?? 0) + sidecars.length,
  }
}

/** What `kubectl get pods` says in the column STATUS. */
export function podReason(pod: Pod): string {
  const initial = pod.status?.reason || pod.status?.phase || 'Unknown'
  const initReason = initializationReason(pod)
  const reason = initReason ?? reasonOfContainers(pod, gatedReason(pod) ?? initial)
  if (!pod.metadata?.deletionTimestamp) return reason
  if (pod.status?.reason === 'NodeLost') return 'Unknown'
  const isOver = pod.status?.phase === 'Failed' || pod.status?.phase === 'Succeeded'
  return isOver ? reason : 'Terminating'
}

function gatedReason(pod: Pod): string | undefined {
  const isGated = pod.status?.conditions?.some(
    ({ type, reason }) => type === 'PodScheduled' && reason === 'SchedulingGated',
  )
  return isGated ? 'SchedulingGated' : undefined
}

/** `Init:…` while an init container holds the pod up; undefined when none does. */
function initializationReason(pod: Pod): string | undefined {
  const statuses = pod.status?.initContainerStatuses ?? []
  for (const [at, status] of statuses.entries()) {
    const { terminated, waiting } = status.state ?? {}
    if (terminated?.exitCode === 0) continue
    if (isRestartable(initContainer(pod, status.name)) && status.started) continue
    if (terminated) return `Init:${terminated.reason || endOf(terminated)}`
    if (waiting?.reason && waiting.reason !== 'PodInitializing') return `Init:${waiting.reason}`
    return `Init:${at}/${pod.spec?.initContainers?.length ?? 0}`
  }
  return undefined
}

function endOf(terminated: { exitCode: number; signal?: number }): string {
  return terminated.signal ? `Signal:${terminated.signal}` : `ExitCode:${terminated.exitCode}`
}

function reasonOfContainers(pod: Pod, initial: string): string {
  let reason = initial
  let hasRunning = false
  for (const status of [...(pod.status?.containerStatuses ?? [])].reverse()) {
    const { waiting, terminated, running } = status.state ?? {}
    if (waiting?.reason) reason = waiting.reason
    else if (terminated) reason = terminated.reason || endOf(terminated)
    else if (running && status.ready) hasRunning = true
  }
  if (reason !== 'Completed' || !hasRunning) return reason
  const isReady = pod.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True')
  return isReady ? 'Running' : 'NotReady'
}

function restartsOf(pod: Pod, now: number): string {
  const initStatuses = pod.status?.initContainerStatuses ?? []
  const isInitializing = initializationReason(pod) !== undefined
  const counted = isInitializing ? initStatuses : [...sidecarStatuses(pod), ...(pod.status?.containerStatuses ?? [])]
  const restarts = counted.reduce((sum, { restartCount }) => sum + restartCount, 0)
  const ends = counted.map(({ lastState }) => lastState?.terminated?.finishedAt).filter((end) => end !== undefined)
  const last = ends.sort().at(-1)
  return restarts > 0 && last ? `${restarts} (${since(last, now)} ago)` : String(restarts)
}

function readinessGatesOf(pod: Pod): string {
  const gates = pod.spec?.readinessGates ?? []
  if (gates.length === 0) return '<none>'
  const isTrue = (type: string) =>
    pod.status?.conditions?.some((condition) => condition.type === type && condition.status === 'True') ?? false
  return `${gates.filter(({ conditionType }) => isTrue(conditionType)).length}/${gates.length}`
}
