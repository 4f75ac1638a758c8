/** Why a pod must end although nobody deleted it: its own deadline. Pure. */
import type { Pod } from '../orchestrator/api/types.ts'
import type { Ending } from './plan.ts'

/** `activeDeadlineSeconds` counts from the time that the kubelet took the pod on. Milliseconds; undefined without one. */
export function deadlineOf(pod: Pod): number | undefined {
  const seconds = pod.spec?.activeDeadlineSeconds
  const since = Date.parse(pod.status?.startTime ?? '')
  return seconds === undefined || Number.isNaN(since) ? undefined : since + seconds * 1000
}

/** Upstream's words (pkg/kubelet/active_deadline.go). */
export function endingOf(pod: Pod, now: number): Ending | undefined {
  const deadline = deadlineOf(pod)
  if (deadline === undefined || now < deadline) return undefined
  return { reason: 'DeadlineExceeded', message: 'Pod was active on the node longer than the specified deadline' }
}
