/** The end of a pod on this node: its containers are stopped, it is told of, and nothing of it stays. */
import { resources } from '../orchestrator/api/resources.ts'
import type { Pod } from '../orchestrator/api/types.ts'
import { hasCode } from '../runtime/base/errors.ts'
import { execute } from './execute.ts'
import { pruneMirrors } from './mirror-pods.ts'
import { atOnce, type ObservedPod, plan, planRemoval } from './plan.ts'
import { identityOf } from './pod-directory.ts'
import { removeLogs } from './pod-logs.ts'
import { observe, type PodSync, type Round, report } from './pod-round.ts'
import type { SyncOutcome } from './pod-workers.ts'
import { tearDownPod } from './volumes/index.ts'

/** The API server says that it must end: stop it, report how it ended, clean up, and only then let its object go. */
export async function terminatePod(at: PodSync, pod: Pod, { observed, signal }: Round): Promise<SyncOutcome> {
  const now = at.clock.now()
  const { deletionTimestamp = '', deletionGracePeriodSeconds = 0 } = pod.metadata ?? {}
  // Never more than the grace period from now on: the clock may have been set back.
  const deadline = Math.min(Date.parse(deletionTimestamp) || now, now + deletionGracePeriodSeconds * 1000)
  const after = await stopPod(at, pod, { observed, signal, deadline })
  at.probes.watch(pod, after, true)
  await report(at, pod, { observed: after })
  if (after.containers.some((each) => each.state === 'running' || each.state === 'created')) return {}
  // Another sidecar's turn has come, or the sandbox's.
  if (after.sandboxes.some((each) => each.ready)) return { againInMs: 0 }
  await cleanUp(at, pod, { observed: after, signal })
  const { namespace, name, uid } = identityOf(pod)
  try {
    await at.client.delete(resources.pods, { namespace, name }, { gracePeriodSeconds: 0, preconditions: { uid } })
  } catch (error) {
    if (!hasCode(error, 'NOT_FOUND') && !hasCode(error, 'CONFLICT')) throw error
  }
  return forget(at, uid)
}

/** Nobody wants it any more (forced deletion, or deleted while this node was away): end it with what grace is left. */
export async function removePod(at: PodSync, uid: string, { observed, signal }: Round): Promise<SyncOutcome> {
  const pod = at.departed.get(uid) ?? namedAfter(uid, observed)
  const grace = pod.metadata?.deletionGracePeriodSeconds === 0 ? 0 : (pod.spec?.terminationGracePeriodSeconds ?? 0)
  const deadline = grace === 0 ? atOnce : at.clock.now() + Math.min(grace, 2) * 1000
  const after = await stopPod(at, pod, { observed, signal, deadline })
  if (after.containers.some((each) => each.state === 'running' || each.state === 'created')) return {}
  await cleanUp(at, pod, { observed: after, signal })
  await pruneMirrors(at)
  return forget(at, uid)
}

/** One round of ending all that runs; returns what is there after it. */
async function stopPod(
  at: PodSync,
  pod: Pod,
  { observed, signal, deadline }: Round & { deadline: number },
): Promise<ObservedPod> {
  const nothing = { notBefore: new Map(), unhealthy: new Map(), started: new Set<string>() }
  const { actions } = plan({ pod, observed, now: at.clock.now(), ...nothing, terminating: { deadline } })
  await execute(at.executor, pod, { actions, signal })
  return await observe(at, identityOf(pod).uid)
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

async function cleanUp(at: PodSync, pod: Pod, { observed, signal }: Round): Promise<void> {
  const { root } = at.executor
  await execute(at.executor, pod, { actions: planRemoval(observed), signal })
  await tearDownPod(root, identityOf(pod).uid)
  await removeLogs(root, identityOf(pod))
}
