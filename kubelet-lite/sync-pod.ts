/** One round of work for one pod: look, plan, act, report. Everything is read anew; nothing is trusted from an event. */

import type { Pod } from '../orchestrator/api/types.ts'
import { messageOf } from '../runtime/base/errors.ts'
import { type AdmitHost, admit } from './admit.ts'
import { removePod, terminatePod } from './end-pod.ts'
import { deadlineOf, endingOf } from './ending.ts'
import { execute } from './execute.ts'
import { isOver, type ObservedPod, type PlanInput, plan } from './plan.ts'
import { identityOf } from './pod-directory.ts'
import { PodMemory } from './pod-memory.ts'
import { observe, type PodSync, type Round, report, shownAs } from './pod-round.ts'
import type { SyncOutcome } from './pod-workers.ts'
import { applyResources, type Resize, resizeEvent, resizeOf } from './resize.ts'
import { seconds } from './status.ts'
import { hasLiveVolumes, overfullVolume, setUpVolumes } from './volumes/index.ts'

/** Ends what a round of this pod waits for, when the pod is to be deleted. */
export function interruptIfEnding(at: PodSync, uid: string): void {
  const pod = at.sources.get(uid)
  if (!pod || pod.metadata?.deletionTimestamp !== undefined) at.interrupts.get(uid)?.abort()
}

/** Does what the pod needs now. Throws for the unexpected: the worker tries again. */
export async function syncPod(at: PodSync, uid: string, stop: AbortSignal): Promise<SyncOutcome> {
  const seen = at.sources.get(uid)
  const observed = await observe(at, uid)
  if (!seen) return removePod(at, uid, { observed, signal: stop })
  const pod = at.statuses.newest(seen)
  at.departed.set(uid, pod)
  if (pod.metadata?.deletionTimestamp !== undefined) return terminatePod(at, pod, { observed, signal: stop })
  const ended = pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed'
  const isNew = observed.sandboxes.length === 0 && observed.containers.length === 0
  if (ended && isNew) return {}
  const mustAsk = isNew && !at.memories.has(uid)
  // The scheduler may have gone by a label that the node has got since: what is remembered refuses nobody.
  if (mustAsk && admit(pod, hostOf(at, uid))) await at.refreshNode()
  const refusal = mustAsk ? admit(pod, hostOf(at, uid)) : undefined
  if (refusal) return refuse(at, pod, refusal)
  const interrupt = new AbortController()
  at.interrupts.set(uid, interrupt)
  interruptIfEnding(at, uid)
  try {
    return await runPod(at, pod, { observed, signal: AbortSignal.any([stop, interrupt.signal]) })
  } finally {
    at.interrupts.delete(uid)
  }
}

/** This node, as a pod finds it that would come here. */
function hostOf(at: PodSync, uid: string): AdmitHost {
  return { node: at.node(), others: othersThan(at, uid), selinux: at.selinux }
}

/** The pods that this node has already taken on. */
function othersThan(at: PodSync, uid: string): Pod[] {
  return at.sources.list().filter((pod) => {
    const other = pod.metadata?.uid ?? ''
    const ended = pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed'
    return other !== uid && !ended && (at.memories.has(other) || pod.status?.startTime !== undefined)
  })
}

async function runPod(at: PodSync, pod: Pod, { observed, signal }: Round): Promise<SyncOutcome> {
  const uid = identityOf(pod).uid
  const memory = at.memories.get(uid) ?? new PodMemory()
  at.memories.set(uid, memory)
  const now = at.clock.now()
  memory.noteImages(pod)
  memory.noteExits(observed, now)
  await refreshVolumes(at, pod, { memory, now })
  const resize = resizeOf(pod, () => hostOf(at, uid))
  const before = memory.resize
  memory.resize = { ...resize, ...(before?.failed === undefined ? {} : { failed: before.failed }) }
  const next = plan(planInput(at, resize.allocated, { observed, memory }))
  const makesSandbox = next.actions.some((each) => each.do === 'createSandbox')
  if (makesSandbox && pod.status?.startTime === undefined) await report(at, pod, { observed, memory })
  memory.noteReplaced(next.actions)
  const failures = await execute(at.executor, resize.allocated, { actions: next.actions, signal })
  if (signal.aborted) return {}
  const started = next.actions.flatMap((each) => (each.do === 'startContainer' ? [each.container.name, ''] : []))
  memory.noteRound(failures, makesSandbox ? ['', ...started] : started, at.clock.now())
  const after = next.actions.length === 0 ? observed : await observe(at, uid)
  at.probes.watch(pod, after)
  memory.resize = await resized(at, resize, { observed: after, started, memory, before })
  await report(at, pod, { observed: after, memory })
  return followUp(at, pod, { observed: after, memory })
}

/** Gives the containers what they are to have, and tells of it. */
async function resized(
  at: PodSync,
  resize: Resize,
  now: Seen & { started: readonly string[]; before: Resize | undefined },
): Promise<Resize> {
  const { runtime, node, events } = at.executor
  const { given } = now.memory
  const restarts = new Set([...resize.restarts].filter((name) => !now.started.includes(name)))
  const wanted = { ...resize, restarts }
  const failed = await applyResources(wanted, now, { runtime, nodeMemoryBytes: node.memoryBytes, given })
  const after = { ...wanted, ...(failed === undefined ? {} : { failed }) }
  const told = resizeEvent(after, now.before)
  if (told) events.record(resize.allocated, told)
  return after
}

interface Seen {
  observed: ObservedPod
  memory: PodMemory
}

function planInput(at: PodSync, pod: Pod, { observed, memory }: Seen): PlanInput {
  const now = at.clock.now()
  const ending = memory.evicted ?? endingOf(pod, now)
  return {
    pod,
    observed,
    now,
    notBefore: memory.notBefore(pod, now),
    unhealthy: at.probes.unhealthy(identityOf(pod).uid),
    started: at.probes.started(observed),
    ...(memory.resize ? { restarts: memory.resize.restarts } : {}),
    ...(ending ? { ending } : {}),
  }
}

/** A new sandbox calls for containers at once; otherwise the next thing to wait for is whatever comes first. */
function followUp(at: PodSync, pod: Pod, seen: Seen): SyncOutcome {
  const input = planInput(at, pod, seen)
  const then = plan(input)
  const acts = then.actions.some((each) => each.do !== 'stopContainer')
  if (acts) return { againInMs: 0 }
  if (isOver(input)) return {}
  const times = [
    then.again,
    seen.memory.turnsToBackOffAt(input.now),
    deadlineOf(at.statuses.newest(pod)),
    hasLiveVolumes(pod) ? seen.memory.volumesAt + volumesEveryMs : undefined,
    seen.memory.resize?.pending || seen.memory.resize?.failed !== undefined ? input.now + resizeAgainMs : undefined,
  ].filter((time) => time !== undefined)
  return times.length === 0 ? {} : { againInMs: Math.min(...times) - input.now }
}

const volumesEveryMs = 20_000
/** Nobody tells when room has become free, or a container uses less. */
const resizeAgainMs = 5000

/** What a pod's volumes show follows the objects, while it runs; and what it wrote is measured. */
async function refreshVolumes(
  at: PodSync,
  pod: Pod,
  { memory, now }: { memory: PodMemory; now: number },
): Promise<void> {
  const since = now - memory.volumesAt
  if (!hasLiveVolumes(pod) || (since >= 0 && since < volumesEveryMs)) return
  const isFirst = memory.volumesAt === 0
  memory.volumesAt = now
  // A new pod's volumes are set up when its first container starts.
  if (isFirst) return
  memory.evicted ??= await overfullVolume(at.executor.root, pod)
  if (memory.evicted) return at.executor.events.record(pod, { type: 'Warning', ...memory.evicted })
  try {
    await setUpVolumes({ ...at.executor, pod })
  } catch (error) {
    at.executor.events.record(pod, { type: 'Warning', reason: 'FailedMount', message: messageOf(error) })
  }
}

async function refuse(at: PodSync, pod: Pod, refusal: { reason: string; message: string }): Promise<SyncOutcome> {
  at.executor.events.record(pod, { type: 'Warning', ...refusal })
  const startTime = seconds(at.clock.now())
  const shown = await shownAs(at, pod)
  if (shown) await at.statuses.write(shown, { ...pod.status, phase: 'Failed', startTime, ...refusal })
  return {}
}
