/** What the rounds of all pods work with, and how a round sees a pod and tells of it. */
import type { Node, Pod } from '../orchestrator/api/types.ts'
import type { ApiClient } from '../orchestrator/client/api-client.ts'
import type { Clock } from '../runtime/base/clock.ts'
import { endingOf } from './ending.ts'
import type { Executor } from './execute.ts'
import { mirrorOf } from './mirror-pods.ts'
import type { ObservedPod } from './plan.ts'
import { identityOf } from './pod-directory.ts'
import type { PodMemory } from './pod-memory.ts'
import type { Prober } from './probes/prober.ts'
import type { Sources } from './sources.ts'
import { podStatus } from './status.ts'
import type { StatusWriter } from './status-writer.ts'

export interface PodSync {
  executor: Executor
  sources: Sources
  client: ApiClient
  statuses: StatusWriter
  probes: Prober
  clock: Clock
  /** The node object as last seen. */
  node: () => Node
  /** Sees the node object anew. */
  refreshNode: () => Promise<void>
  /** True on a kernel with SELinux. */
  selinux: boolean
  memories: Map<string, PodMemory>
  /** Rounds that are under way, by UID. */
  interrupts: Map<string, AbortController>
  /** Pods that were here and are not in the sources any more: what they were. */
  departed: Map<string, Pod>
}

export interface Round {
  observed: ObservedPod
  signal: AbortSignal
}

/** What the runtime has of the pod, and which of its containers were stopped so that they begin again. */
export async function observe(at: PodSync, uid: string): Promise<ObservedPod> {
  const replaced = at.memories.get(uid)?.replaced
  return { ...(await at.executor.runtime.podStatus(uid)), ...(replaced ? { replaced } : {}) }
}

/** The object in the API that tells of the pod; a static pod's may have to be made first. */
export async function shownAs(at: PodSync, pod: Pod): Promise<Pod | undefined> {
  return at.sources.isStatic(identityOf(pod).uid) ? mirrorOf(at, pod) : pod
}

export async function report(
  at: PodSync,
  pod: Pod,
  seen: { observed: ObservedPod; memory?: PodMemory },
): Promise<void> {
  const now = at.clock.now()
  const shown = await shownAs(at, pod)
  if (!shown) return
  const newest = at.statuses.newest(shown)
  const ending = seen.memory?.evicted ?? endingOf(newest, now)
  const status = podStatus({
    pod: newest,
    observed: seen.observed,
    waiting: seen.memory?.waiting(pod, seen.observed, now) ?? new Map(),
    ready: at.probes.ready(seen.observed),
    started: at.probes.started(seen.observed),
    nodeIP: at.executor.node.ip,
    now,
    terminating: pod.metadata?.deletionTimestamp !== undefined,
    ...(ending ? { ending } : {}),
    ...(seen.memory?.resize ? { resize: seen.memory.resize } : {}),
  })
  await at.statuses.write(newest, status)
}
