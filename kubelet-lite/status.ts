/** The pod's status as the API shows it: pure, from the pod, what was observed and what failed (upstream: generateAPIPodStatus). */
import type {
  Container as ContainerSpec,
  ContainerState,
  ContainerStatus,
  Pod,
  PodCondition,
  PodStatus,
} from '../orchestrator/api/types.ts'
import type { Container } from './cri/types.ts'
import { type Ending, isFinished, latest, type ObservedPod } from './plan.ts'
import { ephemeralContainers, ownContainers } from './pod-containers.ts'
import { podIPs } from './pod-ips.ts'
import { asBefore, type Resize } from './resize.ts'
import { isSidecar } from './restart-policy.ts'

/** Why a container does not run yet. */
export interface Waiting {
  reason: string
  message?: string
}

export interface StatusInput {
  pod: Pod
  observed: ObservedPod
  /** By container name; the empty name stands for the whole pod. */
  waiting: ReadonlyMap<string, Waiting>
  /** Ids of running containers whose readiness probe (if any) passes. */
  ready: ReadonlySet<string>
  /** Ids of running containers that have passed their startup probe, or have none. */
  started: ReadonlySet<string>
  nodeIP: string
  /** Milliseconds since the epoch. */
  now: number
  terminating: boolean
  /** Why the pod ends although nobody deleted it. */
  ending?: Ending
  /** What has come of the resources that its manifest asks for. */
  resize?: Resize
}

/** The complete `status` of a pod on this node. Unchanged conditions keep their transition times. */
export function podStatus(input: StatusInput): PodStatus {
  const { pod, observed } = input
  const containerStatuses = (pod.spec?.containers ?? []).map((spec) => containerStatus(input, spec, false))
  const initContainerStatuses = (pod.spec?.initContainers ?? []).map((spec) => containerStatus(input, spec, true))
  const ephemeralContainerStatuses = ephemeralContainers(pod).map((spec) => ephemeralStatus(input, spec))
  const phase = podPhase(input, containerStatuses)
  const ips = podIPs(
    pod,
    observed.sandboxes.findLast((each) => each.ready),
    input.nodeIP,
  )
  const known = ips.length > 0 ? ips : (pod.status?.podIPs ?? []).map((each) => each.ip)
  return {
    ...keep(pod.status),
    ...(input.ending ?? {}),
    phase,
    conditions: conditions(input, phase, { containerStatuses, initContainerStatuses }),
    hostIP: input.nodeIP,
    hostIPs: [{ ip: input.nodeIP }],
    ...(known[0] === undefined ? {} : { podIP: known[0], podIPs: known.map((ip) => ({ ip })) }),
    startTime: pod.status?.startTime ?? seconds(input.now),
    ...(initContainerStatuses.length > 0 ? { initContainerStatuses } : {}),
    containerStatuses,
    ...(ephemeralContainerStatuses.length > 0 ? { ephemeralContainerStatuses } : {}),
    observedGeneration: pod.metadata?.generation,
  } as PodStatus
}

/** Fields of the old status that others own, or that stay what they are. */
function keep(status: PodStatus | undefined): Partial<PodStatus> {
  const { qosClass, nominatedNodeName, resize, reason, message } = status ?? {}
  const why = status?.phase === 'Failed' ? { reason, message } : {}
  return JSON.parse(JSON.stringify({ qosClass, nominatedNodeName, resize, ...why })) as Partial<PodStatus>
}

function podPhase(input: StatusInput, statuses: readonly ContainerStatus[]): string {
  const { pod, observed, waiting } = input
  const before = pod.status?.phase
  if (before === 'Succeeded' || before === 'Failed') return before
  // A phase that says "ended" is final: others take the pod's place then. So it waits for the last sidecar.
  const alive = observed.containers.some((each) => each.state === 'running')
  if (input.ending && !alive) return 'Failed'
  if (!alive && (isFinished(pod, observed) || (input.terminating && allEnded(statuses)))) {
    const { containers = [], initContainers = [] } = pod.spec ?? {}
    const counts = new Set(
      [...containers, ...initContainers.filter((spec) => !isSidecar(spec))].map(({ name }) => name),
    )
    const codes = [...latest(observed).values()].filter((each) => counts.has(each.name)).map((each) => each.exitCode)
    return codes.length > 0 && codes.every((code) => code === 0) ? 'Succeeded' : 'Failed'
  }
  if (waiting.has('')) return before ?? 'Pending'
  const begun = statuses.every((each) => each.state?.running || each.state?.terminated || each.lastState?.terminated)
  return begun && initialized(input) ? 'Running' : 'Pending'
}

function allEnded(statuses: readonly ContainerStatus[]): boolean {
  return statuses.length > 0 && statuses.every((each) => each.state?.terminated)
}

function initialized(input: StatusInput): boolean {
  const now = latest(input.observed)
  const begun = (input.pod.spec?.containers ?? []).some((spec) => now.has(spec.name))
  return (input.pod.spec?.initContainers ?? []).every((spec) => {
    const container = now.get(spec.name)
    if (isSidecar(spec)) return begun || (container?.state === 'running' && input.started.has(container.id))
    return begun || (container?.state === 'exited' && container.exitCode === 0)
  })
}

function containerStatus(input: StatusInput, spec: ContainerSpec, init: boolean): ContainerStatus {
  const all = input.observed.containers.filter((each) => each.name === spec.name)
  const container = latest(input.observed).get(spec.name)
  const waiting = input.waiting.get(spec.name) ?? input.waiting.get('')
  const state = stateOf(input, { container, waiting })
  // While it waits to be started again, its last run is the newest record; otherwise the one before.
  const lastRun = state.waiting ? container : all.filter((each) => each !== container).at(-1)
  const running = state.running !== undefined
  return {
    name: spec.name,
    image: spec.image ?? '',
    imageID: container?.imageId ?? '',
    ...(container ? { containerID: `coracle://${container.id}` } : {}),
    restartCount: container?.attempt ?? 0,
    state,
    lastState: lastRun?.state === 'exited' ? { terminated: terminated(lastRun) } : {},
    ready:
      init && !isSidecar(spec) ? state.terminated?.exitCode === 0 : running && input.ready.has(container?.id ?? ''),
    started: running && input.started.has(container?.id ?? ''),
    ...(running ? resourcesOf(input, spec.name) : {}),
  } as ContainerStatus
}

/** What a running container has: nothing of a resize before it has come to pass. */
function resourcesOf({ pod, resize }: StatusInput, name: string): Partial<ContainerStatus> {
  const isOld = resize?.failed !== undefined || resize?.restarts.has(name)
  const shown = isOld ? asBefore(pod) : (resize?.allocated ?? pod)
  const { requests, limits } = ownContainers(shown).find((each) => each.name === name)?.resources ?? {}
  return {
    resources: { ...(requests ? { requests } : {}), ...(limits ? { limits } : {}) },
    ...(requests ? { allocatedResources: requests } : {}),
  }
}

/** It is neither ready nor started: it has no probes. */
function ephemeralStatus(input: StatusInput, spec: ContainerSpec): ContainerStatus {
  const { started: _, ...status } = containerStatus(input, spec, false)
  return { ...status, ready: false }
}

function stateOf(
  input: StatusInput,
  at: { container: Container | undefined; waiting: Waiting | undefined },
): ContainerState {
  const { container, waiting } = at
  if (container?.state === 'running') return { running: { startedAt: seconds(container.startedAt ?? input.now) } }
  const isOver = input.terminating || input.ending !== undefined
  if (waiting && !isOver) return { waiting: { ...waiting } }
  if (container?.state === 'exited') return { terminated: terminated(container) }
  if (isOver) return { terminated: neverStarted() }
  // Upstream says it of all containers of such a pod, also of the init containers themselves (kubelet_pods.go).
  const initializing = (input.pod.spec?.initContainers ?? []).length > 0
  return { waiting: { reason: initializing ? 'PodInitializing' : 'ContainerCreating' } }
}

/** Upstream's words for a container that was still waiting when its pod was told to end, or had to. */
function neverStarted(): NonNullable<ContainerState['terminated']> {
  return {
    exitCode: 137,
    reason: 'ContainerStatusUnknown',
    message: 'The container could not be located when the pod was terminated',
  } as NonNullable<ContainerState['terminated']>
}

function terminated(container: Container): NonNullable<ContainerState['terminated']> {
  return {
    exitCode: container.exitCode ?? 255,
    ...(container.signal === undefined ? {} : { signal: container.signal }),
    reason: container.reason ?? (container.exitCode === 0 ? 'Completed' : 'Error'),
    ...(container.message === undefined ? {} : { message: container.message }),
    startedAt: seconds(container.startedAt ?? container.createdAt),
    finishedAt: seconds(container.finishedAt ?? container.createdAt),
    containerID: `coracle://${container.id}`,
  } as NonNullable<ContainerState['terminated']>
}

function conditions(
  input: StatusInput,
  phase: string,
  statuses: { containerStatuses: readonly ContainerStatus[]; initContainerStatuses: readonly ContainerStatus[] },
): PodCondition[] {
  const sidecars = (input.pod.spec?.initContainers ?? []).filter(isSidecar).map((spec) => spec.name)
  const lasting = statuses.initContainerStatuses.filter((each) => sidecars.includes(each.name))
  const unready = [...lasting, ...statuses.containerStatuses].filter((each) => !each.ready).map((each) => each.name)
  const uninitialized = statuses.initContainerStatuses
    .filter((each) => !(sidecars.includes(each.name) ? each.started : each.ready))
    .map((each) => each.name)
  const ended = phase === 'Succeeded' || phase === 'Failed'
  const notReady: Verdict =
    phase === 'Succeeded'
      ? { reason: 'PodCompleted' }
      : phase === 'Failed'
        ? { reason: 'PodFailed' }
        : { reason: 'ContainersNotReady', message: `containers with unready status: [${unready.join(' ')}]` }
  const ready = unready.length === 0 && !ended ? true : notReady
  const init = initialized(input)
    ? true
    : { reason: 'ContainersNotInitialized', message: `containers with incomplete status: [${uninitialized.join(' ')}]` }
  const sandboxed = input.observed.sandboxes.some((each) => each.ready)
  const wanted: [string, true | Verdict][] = [
    ['PodReadyToStartContainers', sandboxed ? true : {}],
    ['Initialized', phase === 'Succeeded' ? true : init],
    ['Ready', readinessGates(input.pod, ready)],
    ['ContainersReady', ready],
    ['PodScheduled', true],
  ]
  const before = input.pod.status?.conditions ?? []
  const ours = new Set([...wanted.map(([type]) => type), ...resizeTypes])
  const others = before.filter((each) => !ours.has(each.type))
  return [...wanted.map(([type, verdict]) => condition(input, type, verdict)), ...resizing(input), ...others]
}

const resizeTypes = ['PodResizePending', 'PodResizeInProgress']

/** There only while something is to be told (KEP-1287). */
function resizing(input: StatusInput): PodCondition[] {
  const { pending, failed } = input.resize ?? {}
  const told = (type: string, why: Verdict) => ({ ...condition(input, type, true), ...why }) as PodCondition
  return [
    ...(pending ? [told('PodResizePending', pending)] : []),
    ...(failed === undefined ? [] : [told('PodResizeInProgress', { reason: 'Error', message: failed })]),
  ]
}

interface Verdict {
  reason?: string
  message?: string
}

function readinessGates(pod: Pod, ready: true | Verdict): true | Verdict {
  if (ready !== true) return ready
  const problems = (pod.spec?.readinessGates ?? []).flatMap(({ conditionType }) => {
    const found = pod.status?.conditions?.find((each) => each.type === conditionType)
    if (!found) return [`corresponding condition of pod readiness gate "${conditionType}" does not exist.`]
    if (found.status === 'True') return []
    return [`the status of pod readiness gate "${conditionType}" is not "True", but ${found.status}`]
  })
  return problems.length === 0 ? true : { reason: 'ReadinessGatesNotReady', message: problems.join(', ') }
}

function condition(input: StatusInput, type: string, verdict: true | Verdict): PodCondition {
  const status = verdict === true ? 'True' : 'False'
  const old = input.pod.status?.conditions?.find((each) => each.type === type)
  const since = old?.status === status ? old.lastTransitionTime : seconds(input.now)
  return {
    type,
    status,
    lastTransitionTime: since,
    ...(verdict === true ? {} : verdict),
  } as unknown as PodCondition
}

/** Milliseconds to RFC 3339 with whole seconds, as metav1.Time is written. */
export function seconds(milliseconds: number): string {
  return new Date(milliseconds).toISOString().replace(/\.\d+Z$/, 'Z')
}
