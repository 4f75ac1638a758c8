/** One round of work for one pod: look, plan, act, report. Everything is read anew; nothing is trusted from an event. */

import { resources } from '../orchestrator/api/resources.ts'
import type { Node, Pod } from '../orchestrator/api/types.ts'
import type { ApiClient } from '../orchestrator/client/api-client.ts'
import type { Clock } from '../runtime/base/clock.ts'
import { hasCode } from '../runtime/base/errors.ts'
import { admit } from './admit.ts'
import { type Executor, execute } from './execute.ts'
import { type ObservedPod, type Plan, plan, planRemoval } from './plan.ts'
import { identityOf } from './pod-directory.ts'
import { removeLogs } from './pod-logs.ts'
import { PodMemory } from './pod-memory.ts'
import type { SyncOutcome } from './pod-workers.ts'
import type { Prober } from './probes/prober.ts'
import type { Sources } from './sources.ts'
import { podStatus } from './status.ts'
import type { StatusWriter } from './status-writer.ts'
import { tearDownPod } from './volumes/index.ts'

export interface PodSync {
  executor: Executor
  sources: Sources
  client: ApiClient
  statuses: StatusWriter
  probes: Prober
  clock: Clock
  /** The node object as last seen. */
  node: () => Node
  memories: Map<string, PodMemory>
  /** Pods that were here and are not in the sources any more: what they were. */
  departed: Map<string, Pod>
}

/** Does what the pod needs now. Throws for the unexpected: the worker tries again. */
export async function syncPod(at: PodSync, uid: string): Promise<SyncOutcome> {
  const pod = at.sources.get(uid)
  const observed = await at.executor.runtime.podStatus(uid)
  if (!pod) return removePod(at, uid, observed)
  at.departed.set(uid, pod)
  if (pod.metadata?.deletionTimestamp !== undefined) return terminatePod(at, pod, observed)
  const ended = pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed'
  const isNew = observed.sandboxes.length === 0 && observed.containers.length === 0
  if (ended && isNew) return {}
  const refusal = isNew ? admit(pod, at.node()) : undefined
  if (refusal) return refuse(at, pod, refusal)
  return runPod(at, pod, observed)
}

async function runPod(at: PodSync, pod: Pod, observed: ObservedPod): Promise<SyncOutcome> {
  const uid = identityOf(pod).uid
  const memory = at.memories.get(uid) ?? new PodMemory()
  at.memories.set(uid, memory)
  const now = at.clock.now()
  memory.noteExits(observed, now)
  const notBefore = memory.notBefore(pod)
  const next = plan({ pod, observed, now, notBefore, unhealthy: at.probes.unhealthy(uid) })
  if (next.actions.some((each) => each.do === 'createSandbox') && pod.status?.startTime === undefined) {
    await report(at, pod, { observed, memory })
  }
  const failures = await execute(at.executor, pod, next.actions)
  const started = next.actions.flatMap((each) => (each.do === 'startContainer' ? [each.container.name, ''] : []))
  memory.noteRound(
    failures,
    next.actions.some((each) => each.do === 'createSandbox') ? ['', ...started] : started,
    at.clock.now(),
  )
  const after = next.actions.length === 0 ? observed : await at.executor.runtime.podStatus(uid)
  at.probes.watch(pod, after)
  await report(at, pod, { observed: after, memory })
  return followUp(at, { pod, memory, after, next })
}

/** A new sandbox calls for containers at once; otherwise the next thing to wait for is the nearest backoff's end. */
function followUp(at: PodSync, done: { pod: Pod; memory: PodMemory; after: ObservedPod; next: Plan }): SyncOutcome {
  const now = at.clock.now()
  const notBefore = done.memory.notBefore(done.pod)
  const unhealthy = at.probes.unhealthy(identityOf(done.pod).uid)
  const then = plan({ pod: done.pod, observed: done.after, now, notBefore, unhealthy })
  const acts = then.actions.some((each) => each.do !== 'stopContainer')
  if (acts) return { againInMs: 0 }
  const times = [then.again, done.memory.turnsToBackOffAt(now)].filter((time) => time !== undefined)
  return times.length === 0 ? {} : { againInMs: Math.min(...times) - now }
}

async function report(at: PodSync, pod: Pod, seen: { observed: ObservedPod; memory?: PodMemory }): Promise<void> {
  if (at.sources.isStatic(identityOf(pod).uid)) return
  const now = at.clock.now()
  const status = podStatus({
    pod,
    observed: seen.observed,
    waiting: seen.memory?.waiting(pod, seen.observed, now) ?? new Map(),
    ready: at.probes.ready(seen.observed),
    nodeIP: at.executor.node.ip,
    now,
    terminating: pod.metadata?.deletionTimestamp !== undefined,
  })
  await at.statuses.write(pod, status)
}

/** The API server says that it must end: stop it, report how it ended, clean up, and only then let its object go. */
async function terminatePod(at: PodSync, pod: Pod, observed: ObservedPod): Promise<SyncOutcome> {
  const deadline = Date.parse(pod.metadata?.deletionTimestamp ?? '') || at.clock.now()
  const input = { pod, observed, now: at.clock.now(), notBefore: new Map(), unhealthy: new Set<string>() }
  const { actions } = plan({ ...input, terminating: { deadline } })
  await execute(at.executor, pod, actions)
  const after = await at.executor.runtime.podStatus(identityOf(pod).uid)
  await report(at, pod, { observed: after })
  if (after.containers.some((each) => each.state === 'running' || each.state === 'created')) return {}
  await cleanUp(at, pod, after)
  const { namespace, name, uid } = identityOf(pod)
  try {
    await at.client.delete(resources.pods, { namespace, name }, { gracePeriodSeconds: 0, preconditions: { uid } })
  } catch (error) {
    if (!hasCode(error, 'NOT_FOUND') && !hasCode(error, 'CONFLICT')) throw error
  }
  return forget(at, uid)
}

/** Nobody wants it any more (forced deletion, or deleted while this node was away): end it with what grace is left. */
async function removePod(at: PodSync, uid: string, observed: ObservedPod): Promise<SyncOutcome> {
  const pod = at.departed.get(uid) ?? namedAfter(uid, observed)
  const now = at.clock.now()
  const grace = pod.metadata?.deletionGracePeriodSeconds === 0 ? 0 : (pod.spec?.terminationGracePeriodSeconds ?? 0)
  const deadline = now + Math.min(grace, 2) * 1000
  const input = { pod, observed, now, notBefore: new Map(), unhealthy: new Set<string>(), terminating: { deadline } }
  await execute(at.executor, pod, plan(input).actions)
  const after = await at.executor.runtime.podStatus(uid)
  if (after.containers.some((each) => each.state === 'running' || each.state === 'created')) return {}
  await cleanUp(at, pod, after)
  return forget(at, uid)
}

function forget(at: PodSync, uid: string): SyncOutcome {
  at.memories.delete(uid)
  at.departed.delete(uid)
  at.statuses.forget(uid)
  at.probes.forget(uid)
  return at.sources.get(uid) ? {} : 'gone'
}

/** All that is known of a pod that this process never saw in the API. */
function namedAfter(uid: string, observed: ObservedPod): Pod {
  const { namespace = '', name = '' } = observed.sandboxes[0] ?? {}
  return { metadata: { uid, namespace, name } } as Pod
}

async function cleanUp(at: PodSync, pod: Pod, observed: ObservedPod): Promise<void> {
  const { root } = at.executor
  await execute(at.executor, pod, planRemoval(observed))
  await tearDownPod(root, identityOf(pod).uid)
  await removeLogs(root, identityOf(pod))
}

async function refuse(at: PodSync, pod: Pod, refusal: { reason: string; message: string }): Promise<SyncOutcome> {
  at.executor.events.record(pod, { type: 'Warning', ...refusal })
  const startTime = new Date(at.clock.now()).toISOString().replace(/\.\d+Z$/, 'Z')
  await at.statuses.write(pod, { ...pod.status, phase: 'Failed', startTime, ...refusal })
  return {}
}
