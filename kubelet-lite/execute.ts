/** The only side of the kubelet that acts on pods: performs a plan's actions in order. Every action may be repeated. */

import type { Container as ContainerSpec, Pod } from '../orchestrator/api/types.ts'
import type { EventRecorder } from '../orchestrator/client/event-recorder.ts'
import type { Clock } from '../runtime/base/clock.ts'
import { messageOf } from '../runtime/base/errors.ts'
import { never } from '../runtime/base/never.ts'
import type { RuntimeClassReader } from './config-reader.ts'
import { containerConfig, kernelHostname } from './container-config.ts'
import type { ContainerStops } from './container-stops.ts'
import type { ImageService, RuntimeService, Sandbox } from './cri/types.ts'
import type { NodeFacts } from './downward.ts'
import type { ConfigReader } from './environment.ts'
import { stepFailed, waitingReasonOf } from './errors.ts'
import { ensureImage } from './image-pull.ts'
import { runPostStart } from './lifecycle.ts'
import type { Action } from './plan.ts'
import { podCgroup } from './pod-cgroup.ts'
import { fieldPathOf, ownContainers } from './pod-containers.ts'
import { identityOf } from './pod-directory.ts'
import { podMounts } from './pod-files.ts'
import { podIPs } from './pod-ips.ts'
import { podResources } from './resources.ts'
import type { ServiceReader } from './service-variables.ts'
import type { AccountTokens } from './volumes/account-tokens.ts'
import { setUpVolumes } from './volumes/index.ts'

export interface Executor extends ServiceReader {
  root: string
  runtime: RuntimeService
  images: ImageService
  reader: ConfigReader
  runtimeClasses: RuntimeClassReader
  tokens: AccountTokens
  events: EventRecorder
  node: NodeFacts
  /** The group below which every pod of this node has its own, e.g. `coracle/node-1`. */
  cgroupRoot: string
  /** Name servers for pods that do not bring their own. */
  dns: readonly string[]
  stops: ContainerStops
  clock: Clock
}

/** What went wrong with one container, or with the pod as a whole (`container` is empty). */
export interface Failure {
  container: string
  reason: string
  message: string
}

export interface Work {
  actions: readonly Action[]
  /** Aborts the waiting for images and hooks: the pod's end is more urgent. */
  signal: AbortSignal
}

/**
 * Performs the actions. A container that cannot be started does not keep the others from starting; a failed sandbox or
 * volume ends the round, and so does the signal. Returns what failed; throws only for what nobody expected.
 */
export async function execute(executor: Executor, pod: Pod, { actions, signal }: Work): Promise<Failure[]> {
  const failures: Failure[] = []
  let volumes: Map<string, string> | undefined
  for (const action of actions) {
    const container = action.do === 'startContainer' ? action.container.name : ''
    try {
      if (action.do === 'startContainer') volumes ??= await setUpVolumes({ ...executor, pod })
      await perform(executor, { pod, action, signal, volumes: volumes ?? new Map() })
    } catch (error) {
      if (signal.aborted) return failures
      const reason = waitingReasonOf(error)
      if (reason === undefined) throw error
      const whole = reason === 'FailedMount' || reason === 'FailedCreatePodSandBox'
      failures.push({ container: whole ? '' : container, reason, message: messageOf(error) })
      report(executor, { pod, container, reason, message: messageOf(error) })
      if (whole) return failures
    }
  }
  return failures
}

function report(executor: Executor, at: { pod: Pod; container: string; reason: string; message: string }): void {
  // Pull failures, mounts and sandboxes have event reasons of their own; all others are `Failed`, as upstream says it.
  const own = at.reason === 'FailedMount' || at.reason === 'FailedCreatePodSandBox'
  const prefix = at.reason === 'FailedCreatePodSandBox' ? 'Failed to create pod sandbox: ' : ''
  executor.events.record(at.pod, {
    type: 'Warning',
    reason: own ? at.reason : 'Failed',
    message: own ? prefix + at.message : `Error: ${at.message}`,
    ...(own || at.container === '' ? {} : { fieldPath: fieldPathOf(at.pod, at.container) }),
  })
}

async function perform(
  executor: Executor,
  at: { pod: Pod; action: Action; signal: AbortSignal; volumes: ReadonlyMap<string, string> },
): Promise<void> {
  const { pod, action } = at
  const { runtime } = executor
  switch (action.do) {
    case 'createSandbox':
      await createSandbox(executor, pod, action.attempt)
      return
    case 'startContainer':
      return startContainer(executor, {
        pod,
        container: action.container,
        attempt: action.attempt,
        signal: at.signal,
        volumes: at.volumes,
      })
    case 'stopContainer':
      return executor.stops.stop(pod, action)
    case 'removeContainer':
      return runtime.removeContainer(action.container.id)
    case 'stopSandbox':
      return runtime.stopPodSandbox(action.sandbox.id)
    case 'removeSandbox':
      return runtime.removePodSandbox(action.sandbox.id)
    default:
      return never(action, 'action')
  }
}

async function createSandbox(executor: Executor, pod: Pod, attempt: number): Promise<Sandbox> {
  const identity = identityOf(pod)
  const { spec } = pod
  const ports = ownContainers(pod).flatMap((each) => each.ports ?? [])
  if (attempt > 0) {
    const message = 'Pod sandbox changed, it will be killed and re-created.'
    executor.events.record(pod, { type: 'Normal', reason: 'SandboxChanged', message })
  }
  const runtimeHandler = await handlerOf(executor, pod)
  const sysctls = (spec?.securityContext?.sysctls ?? []).map(({ name, value }) => [name, value] as const)
  try {
    return await executor.runtime.runPodSandbox({
      podUid: identity.uid,
      namespace: identity.namespace,
      name: identity.name,
      attempt,
      hostname: spec?.hostNetwork ? executor.node.name : kernelHostname(pod),
      cgroupPath: podCgroup(executor.cgroupRoot, pod),
      resources: podResources(pod),
      sysctls: Object.fromEntries(sysctls),
      runtimeHandler,
      host: { network: spec?.hostNetwork ?? false, pid: spec?.hostPID ?? false, ipc: spec?.hostIPC ?? false },
      portMappings: ports
        .filter((port) => port.hostPort !== undefined && port.hostPort !== 0 && !spec?.hostNetwork)
        .map((port) => ({
          hostPort: port.hostPort ?? 0,
          containerPort: port.containerPort,
          protocol: (port.protocol ?? 'TCP').toLowerCase() as 'tcp',
          ...(port.hostIP ? { hostIP: port.hostIP } : {}),
        })),
    })
  } catch (error) {
    throw stepFailed('FailedCreatePodSandBox', error)
  }
}

/** The runtime that the pod's class names (KEP-585). The class may have gone since the pod was made. */
async function handlerOf({ runtimeClasses }: Executor, { spec }: Pod): Promise<string> {
  const name = spec?.runtimeClassName
  if (!name) return ''
  const found = await runtimeClasses(name)
  // Upstream's words (kubelet/runtimeclass).
  if (!found) throw stepFailed('FailedCreatePodSandBox', `runtimeclass.node.k8s.io "${name}" not found`)
  return found.handler
}

interface Start {
  pod: Pod
  container: ContainerSpec
  attempt: number
  signal: AbortSignal
  volumes: ReadonlyMap<string, string>
}

async function startContainer(executor: Executor, start: Start): Promise<void> {
  const { pod, container } = start
  const fieldPath = fieldPathOf(pod, container.name)
  await ensureImage(executor, pod, start)
  const { sandboxes } = await executor.runtime.podStatus(identityOf(pod).uid)
  const sandbox = sandboxes.findLast((each) => each.ready)
  if (!sandbox) throw stepFailed('CreateContainerError', 'the pod has no sandbox')
  const mounts = await podMounts(executor, pod, sandbox.ips)
  const ips = podIPs(pod, sandbox, executor.node.ip)
  const config = await containerConfig({ ...executor, ...start, podIPs: ips, podMounts: mounts })
  const created = await asStep('CreateContainerError', () => executor.runtime.createContainer(sandbox.id, config))
  const { name } = container
  executor.events.record(pod, { type: 'Normal', reason: 'Created', message: `Created container: ${name}`, fieldPath })
  await asStep('RunContainerError', () => executor.runtime.startContainer(created.id))
  executor.events.record(pod, { type: 'Normal', reason: 'Started', message: `Started container ${name}`, fieldPath })
  const { runtime, events } = executor
  const hook = { runtime, events, pod, spec: container, container: created, podIP: ips[0] ?? '' }
  const problem = await unlessAborted(runPostStart(hook), start.signal)
  if (problem === undefined) return
  const deadline = executor.clock.now() + (pod.spec?.terminationGracePeriodSeconds ?? 30) * 1000
  executor.stops.stop(pod, { container: created, deadline, why: 'FailedPostStartHook' })
}

/** Leaves `work` to itself when the signal comes first. */
async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted()
  let end: (() => void) | undefined
  const aborted = new Promise<never>((_, reject) => {
    end = () => reject(signal.reason)
    signal.addEventListener('abort', end)
  })
  try {
    return await Promise.race([work, aborted])
  } finally {
    if (end) signal.removeEventListener('abort', end)
  }
}

/** An error inside keeps its own waiting reason if it has one; otherwise it gets this one. */
async function asStep<T>(reason: 'CreateContainerError' | 'RunContainerError', act: () => Promise<T>): Promise<T> {
  try {
    return await act()
  } catch (error) {
    throw waitingReasonOf(error) === undefined ? stepFailed(reason, error) : error
  }
}
