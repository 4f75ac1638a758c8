/** `lifecycle.postStart` and `preStop` (Kubernetes docs: concepts/containers/container-lifecycle-hooks). */

import type { Container as ContainerSpec, Pod } from '../orchestrator/api/types.ts'
import type { EventRecorder } from '../orchestrator/client/event-recorder.ts'
import type { Container, RuntimeService } from './cri/types.ts'
import { fieldPathOf } from './pod-containers.ts'
import { type Handler, tryHandler } from './probes/handlers.ts'
import type { Outcome } from './probes/outcome.ts'

export interface HookTarget {
  runtime: RuntimeService
  events: EventRecorder
  pod: Pod
  spec: ContainerSpec
  container: Container
  podIP: string
}

/** A hook without a deadline of its own may take this long; a container that hangs in it can still be deleted. */
const postStartTimeoutMs = 600_000

/** What is wrong when there is a hook and it failed: the container must be killed. Reports `FailedPostStartHook`. */
export async function runPostStart(target: HookTarget): Promise<string | undefined> {
  const hook = target.spec.lifecycle?.postStart
  if (!hook) return undefined
  const outcome = await run(target, { hook, timeoutMs: postStartTimeoutMs, reason: 'FailedPostStartHook' })
  return outcome.ok ? undefined : outcome.output || 'PostStart hook failed'
}

/** Runs the hook within the grace period. False when there is none. The container is stopped afterwards whatever came of it. Reports `FailedPreStopHook`. */
export async function runPreStop(target: HookTarget, graceSeconds: number): Promise<boolean> {
  const hook = target.spec.lifecycle?.preStop
  if (!hook || graceSeconds <= 0) return false
  await run(target, { hook, timeoutMs: graceSeconds * 1000, reason: 'FailedPreStopHook' })
  return true
}

async function run(target: HookTarget, how: { hook: Handler; timeoutMs: number; reason: string }): Promise<Outcome> {
  const { spec, container, runtime, podIP } = target
  const at = { runtime, container: spec, containerId: container.id, podIP, timeoutMs: how.timeoutMs }
  const outcome = await tryHandler(how.hook, { ...at, purpose: 'hook' })
  if (!outcome.ok) {
    const fieldPath = fieldPathOf(target.pod, spec.name)
    target.events.record(target.pod, {
      type: 'Warning',
      reason: how.reason,
      message: outcome.output || `${how.reason}: the hook failed without a word`,
      fieldPath,
    })
  }
  return outcome
}
