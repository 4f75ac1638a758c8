import type { Pod } from '../../orchestrator/api/types.ts'
import type { Clock } from '../../runtime/base/clock.ts'
import type { Log } from '../../runtime/base/log.ts'
import type { Container, RuntimeService } from '../cri/types.ts'
import { allContainers } from '../pod-containers.ts'
import { BadRequest } from './errors.ts'

export interface KubeletServerOptions {
  host: string
  nodeName: string
  /** 0 takes any free port. */
  port: number
  tls: { cert: string; key: string; ca: string }
  pods: () => readonly Pod[]
  runtime: RuntimeService
  root: string
  clock: Clock
  log: Log
}

/** What the handlers of one request get. */
export interface Target {
  options: KubeletServerOptions
  pod: Pod
  container: string
  query: URLSearchParams
}

/** The newest run of the container. Throws as the kubelet does when there is none yet. */
export async function findContainer(target: Target, previous = false): Promise<Container> {
  const { options, pod, container: name } = target
  const podName = pod.metadata?.name
  if (!allContainers(pod).some((each) => each.name === name))
    throw new BadRequest(`container ${name} is not valid for pod ${podName}`)
  const { containers } = await options.runtime.podStatus(pod.metadata?.uid ?? '')
  const runs = containers.filter((each) => each.name === name).sort((a, b) => b.attempt - a.attempt)
  const waiting = waitingReason(pod, name)
  const run = previous
    ? runs.filter((each) => each.state === 'exited')[waiting ? 0 : runs[0]?.state === 'exited' ? 1 : 0]
    : runs[0]
  if (run && (run.state === 'running' || run.state === 'exited')) return run
  if (previous) throw new BadRequest(`previous terminated container "${name}" in pod "${podName}" not found`)
  // Upstream's words (kubelet.go, validateContainerLogStatus).
  const pulls = waiting === 'ErrImagePull' || waiting === 'ImagePullBackOff'
  const why = pulls ? 'trying and failing to pull image' : (waiting ?? 'ContainerCreating')
  throw new BadRequest(`container "${name}" in pod "${podName}" is waiting to start: ${why}`)
}

function waitingReason(pod: Pod, name: string): string | undefined {
  const { containerStatuses = [], initContainerStatuses = [], ephemeralContainerStatuses = [] } = pod.status ?? {}
  const all = [...containerStatuses, ...initContainerStatuses, ...ephemeralContainerStatuses]
  return all.find((each) => each.name === name)?.state?.waiting?.reason
}
