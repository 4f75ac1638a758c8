/**
 * Resize in place (KEP-1287): what running containers may use follows the manifest.
 *
 *   spec.resources ──► is there room? ── no ──► the pod goes on as before; condition PodResizePending says why
 *                          │ yes
 *                          ├─ a resource whose resizePolicy is RestartContainer ──► stopped, and begins again with it
 *                          └─ any other ──► cgroups of pod and containers ──► status.containerStatuses[].resources
 */
import { isEqual } from '../orchestrator/api/equal.ts'
import type { Container, ContainerStatus, Pod } from '../orchestrator/api/types.ts'
import { messageOf } from '../runtime/base/errors.ts'
import type { AdmitHost } from './admit.ts'
import type { Resources, RuntimeService } from './cri/types.ts'
import { latest, type ObservedPod } from './plan.ts'
import { ownContainers } from './pod-containers.ts'
import type { Refusal } from './refusal.ts'
import { containerResources, podResources } from './resources.ts'
import { hasRoom } from './room.ts'

/** What has come of the resources that a pod's manifest asks for. */
export interface Resize {
  /** The pod with the resources that its containers get: as asked, or, while that must wait, as before. */
  allocated: Pod
  /** Containers that must begin again for it, by name. */
  restarts: ReadonlySet<string>
  /** Why it must wait: `Infeasible` on this node, or `Deferred` until others have gone. */
  pending?: Refusal
  /** What the kernel, or another runtime, has refused; until it succeeds the status shows what was before. */
  failed?: string
}

/** What is to become of a pod's resources. Pure; `host` is asked only when they have changed. */
export function resizeOf(pod: Pod, host: () => Pick<AdmitHost, 'node' | 'others'>): Resize {
  const changed = ownContainers(pod).filter((container) => isChanged(container, resourcesBefore(pod, container.name)))
  if (changed.length === 0) return { allocated: pod, restarts: new Set() }
  const { node, others } = host()
  const [never, notNow] = [hasRoom(pod, node, []), hasRoom(pod, node, others)]
  const refused = never ?? notNow
  if (refused) {
    const message = refused.message.replace('Pod was rejected: ', '')
    return {
      allocated: asBefore(pod),
      restarts: new Set(),
      pending: { reason: never ? 'Infeasible' : 'Deferred', message },
    }
  }
  const restarts = changed.filter((container) => wantsRestart(container, resourcesBefore(pod, container.name)))
  return { allocated: pod, restarts: new Set(restarts.map(({ name }) => name)) }
}

type ContainerResources = Container['resources']

/** What the pod's status says that a running container has; undefined for one that does not run. */
function resourcesBefore({ status }: Pod, name: string): ContainerResources {
  const all: readonly ContainerStatus[] = [
    ...(status?.containerStatuses ?? []),
    ...(status?.initContainerStatuses ?? []),
  ]
  return all.find((each) => each.name === name)?.resources
}

const resizable = ['cpu', 'memory'] as const

function amounts(resources: ContainerResources, name: string): unknown[] {
  return [resources?.requests, resources?.limits].map((part) => (part as Record<string, string> | undefined)?.[name])
}

function isChanged({ resources }: Container, before: ContainerResources): boolean {
  return before !== undefined && resizable.some((name) => !isEqual(amounts(resources, name), amounts(before, name)))
}

function wantsRestart({ resources, resizePolicy = [] }: Container, before: ContainerResources): boolean {
  return resizePolicy.some(
    ({ resourceName, restartPolicy }) =>
      restartPolicy === 'RestartContainer' && !isEqual(amounts(resources, resourceName), amounts(before, resourceName)),
  )
}

/** The pod with what its containers have had until now. */
export function asBefore(pod: Pod): Pod {
  const before = (container: Container): Container => {
    const resources = resourcesBefore(pod, container.name)
    return resources ? { ...container, resources } : container
  }
  const { containers = [], initContainers } = pod.spec ?? {}
  const lists = {
    containers: containers.map(before),
    ...(initContainers && { initContainers: initContainers.map(before) }),
  }
  return { ...pod, spec: { ...pod.spec, ...lists } }
}

export interface ResizeTools {
  runtime: RuntimeService
  nodeMemoryBytes: number
  /** What each container, and the sandbox, was given last, by id; of one that is missing nothing is known, and it is told again. */
  given: Map<string, string>
}

/**
 * Tells the runtime where what a running container has is not what it should have; those in `started` were begun with it a
 * moment ago. Returns what was refused, if anything.
 */
export async function applyResources(
  { allocated, restarts }: Resize,
  { observed, started }: { observed: ObservedPod; started: readonly string[] },
  { runtime, nodeMemoryBytes, given }: ResizeTools,
): Promise<string | undefined> {
  const now = latest(observed)
  const changes = ownContainers(allocated).flatMap((spec) => {
    const container = now.get(spec.name)
    if (container?.state !== 'running' || restarts.has(spec.name)) return []
    const { oomScoreAdj: _, ...wanted } = containerResources(spec, allocated, nodeMemoryBytes)
    const text = JSON.stringify(wanted)
    if (started.includes(spec.name)) given.set(container.id, text)
    return given.get(container.id) === text ? [] : [{ id: container.id, wanted, text }]
  })
  const sandbox = observed.sandboxes.findLast((each) => each.ready)
  if (!sandbox) return undefined
  const most = larger(podResources(allocated), podResources(asBefore(allocated)))
  const isLeaving = [...restarts].some((name) => now.get(name)?.state === 'running')
  // What is still there with its old resources keeps its room.
  const whole = isLeaving ? most : podResources(allocated)
  const text = JSON.stringify(whole)
  // A sandbox is begun before its containers, in a round of its own.
  if (!given.has(sandbox.id) && changes.length === 0) given.set(sandbox.id, text)
  if (given.get(sandbox.id) === text && changes.length === 0) return undefined
  try {
    // No container may have more than its pod: so the pod's room grows first, and shrinks last.
    await runtime.updatePodSandboxResources(sandbox.id, most)
    for (const { id, wanted, text } of changes) {
      await runtime.updateContainerResources(id, wanted)
      given.set(id, text)
    }
    await runtime.updatePodSandboxResources(sandbox.id, whole)
    given.set(sandbox.id, text)
    return undefined
  } catch (error) {
    return messageOf(error)
  }
}

/** Of each limit the larger one; what one of them does not limit is left alone. */
function larger(one: Resources, other: Resources): Resources {
  const most = (name: 'cpuShares' | 'cpuQuotaMicros' | 'memoryLimitBytes') => {
    const [a, b] = [one[name], other[name]]
    return a === undefined || b === undefined ? {} : { [name]: Math.max(a, b) }
  }
  const { cpuPeriodMicros } = one
  return {
    ...most('cpuShares'),
    ...most('cpuQuotaMicros'),
    ...most('memoryLimitBytes'),
    ...(cpuPeriodMicros === undefined ? {} : { cpuPeriodMicros }),
  }
}

/** What to say once when a resize comes to a new state; of what succeeds at once nothing else is heard. */
export function resizeEvent(
  { pending, failed }: Resize,
  before: Resize | undefined,
): { type: 'Normal' | 'Warning'; reason: string; message: string } | undefined {
  if (pending && pending.reason !== before?.pending?.reason)
    return {
      type: 'Warning',
      reason: `Resize${pending.reason}`,
      message: `Pod resize ${pending.reason}: ${pending.message}`,
    }
  if (failed !== undefined && failed !== before?.failed)
    return { type: 'Warning', reason: 'ResizeError', message: `Pod resize error: ${failed}` }
  return undefined
}
