/**
 * What to do next for one pod: pure, from what is wanted and what was observed (upstream: computePodActions).
 *
 *   wanted ──┐
 *            ├─► plan ─► [createSandbox] ─► [startContainer …] ─► again when something changes
 *   observed ┘        └► [stopContainer …] [stopSandbox] [removeContainer …]
 */
import type { Container as ContainerSpec, Pod } from '../orchestrator/api/types.ts'
import type { Container, Sandbox } from './cri/types.ts'
import { ephemeralContainers } from './pod-containers.ts'
import { type ContainerEnd, isSidecar, runsAgain } from './restart-policy.ts'

export interface ObservedPod {
  sandboxes: readonly Sandbox[]
  containers: readonly Container[]
  /** Ids of those that were stopped so that they begin again. */
  replaced?: ReadonlySet<string>
}

export interface PlanInput {
  pod: Pod
  observed: ObservedPod
  /** Milliseconds since the epoch. */
  now: number
  /** Set when the pod must end: by when (ms), however little its containers like it. */
  terminating?: { deadline: number }
  /** Containers by name that must not be tried again before this time (ms), because of a failure or crash; '' is the sandbox. */
  notBefore: ReadonlyMap<string, number>
  /** By container id: what a liveness or startup probe has given up on. */
  unhealthy: ReadonlyMap<string, Unhealthy>
  /** Ids of running containers that have passed their startup probe, or have none. */
  started: ReadonlySet<string>
  /** Containers by name that must begin again for the resources that they are to have. */
  restarts?: ReadonlySet<string>
  /** Set when the pod must end although the API server did not say so. */
  ending?: Ending
}

export interface Unhealthy {
  probe: 'liveness' | 'startup'
  /** The probe's own grace period, instead of the pod's. */
  graceSeconds?: number
}

/** Why a pod ends before its containers want to: it becomes `Failed` with these words. */
export interface Ending {
  reason: string
  message: string
}

export type Action =
  | { do: 'createSandbox'; attempt: number }
  | { do: 'startContainer'; container: ContainerSpec; attempt: number }
  | { do: 'stopContainer'; container: Container; deadline: number; why: string; isReplaced?: boolean }
  | { do: 'removeContainer'; container: Container }
  | { do: 'stopSandbox'; sandbox: Sandbox }
  | { do: 'removeSandbox'; sandbox: Sandbox }

export interface Plan {
  actions: Action[]
  /** Plan again at this time even if nothing happens. */
  again?: number
}

/** The next actions, in order. Empty when reality is as wanted or must be waited for. */
export function plan(input: PlanInput): Plan {
  if (input.terminating) return { actions: endPod(input, input.terminating.deadline) }
  const sandbox = input.observed.sandboxes.findLast((each) => each.ready)
  if (isOver(input)) return { actions: endPod(input, deadlineOf(input)) }
  if (!sandbox) return replaceSandbox(input)
  return planContainers(input, sandbox)
}

/** Takes every trace of a pod away, once nothing of it runs and its last status was reported. */
export function planRemoval(observed: ObservedPod): Action[] {
  return [
    ...observed.containers.map((container): Action => ({ do: 'removeContainer', container })),
    ...observed.sandboxes.flatMap((sandbox): Action[] => [
      { do: 'stopSandbox', sandbox },
      { do: 'removeSandbox', sandbox },
    ]),
  ]
}

/** The newest attempt of each container name. */
export function latest(observed: ObservedPod): Map<string, Container> {
  const found = new Map<string, Container>()
  for (const container of observed.containers) {
    const other = found.get(container.name)
    if (!other || container.attempt > other.attempt) found.set(container.name, container)
  }
  return found
}

/** True when nothing of the pod shall run any more: it has finished, must end, or has been reported as ended before. */
export function isOver({ pod, observed, ending }: Pick<PlanInput, 'pod' | 'observed' | 'ending'>): boolean {
  const { phase } = pod.status ?? {}
  return ending !== undefined || phase === 'Succeeded' || phase === 'Failed' || isFinished(pod, observed)
}

/** How a container ended, for its restart policy. */
export function endOf({ id, exitCode }: Container, { replaced }: ObservedPod): ContainerEnd {
  return { ...(exitCode === undefined ? {} : { exitCode }), isReplaced: replaced?.has(id) ?? false }
}

/** True when every container has run for the last time. */
export function isFinished(pod: Pod, observed: ObservedPod): boolean {
  const now = latest(observed)
  const ended = (spec: ContainerSpec) => {
    const container = now.get(spec.name)
    return container?.state === 'exited' && !runsAgain(pod, spec, endOf(container, observed))
  }
  const failed = (spec: ContainerSpec) => now.get(spec.name)?.exitCode !== 0
  const init = (pod.spec?.initContainers ?? []).filter((spec) => !isSidecar(spec))
  return init.some((spec) => ended(spec) && failed(spec)) || (pod.spec?.containers ?? []).every(ended)
}

function planContainers(input: PlanInput, sandbox: Sandbox): Plan {
  const { pod, observed } = input
  const now = latest(observed)
  const result: Plan = { actions: removeOld(observed) }
  for (const spec of ephemeralContainers(pod)) addTo(result, planEphemeral(input, spec, now.get(spec.name)))
  // Once an app container was made in this sandbox, init is over, even if the init containers' records are gone.
  const apps = new Set((pod.spec?.containers ?? []).map((app) => app.name))
  const begun = observed.containers.some((each) => each.sandboxId === sandbox.id && apps.has(each.name))
  for (const spec of pod.spec?.initContainers ?? []) {
    if (begun && !isSidecar(spec)) continue
    const container = now.get(spec.name)
    const verdict = planInit(input, spec, { sandboxId: sandbox.id, ...(container ? { container } : {}) })
    addTo(result, verdict)
    // A sidecar that crashes later on is no reason to leave the others alone.
    if (!verdict.done && !begun) return result
  }
  for (const spec of pod.spec?.containers ?? []) {
    const container = now.get(spec.name)
    const stale = container !== undefined && container.sandboxId !== sandbox.id && container.state !== 'exited'
    if (stale) result.actions.push({ do: 'stopContainer', container, deadline: input.now, why: 'Pod sandbox is gone' })
    else addTo(result, planOne(input, spec, container))
  }
  return result
}

interface Verdict extends Plan {
  done: boolean
}

function planInit(input: PlanInput, spec: ContainerSpec, at: { container?: Container; sandboxId: string }): Verdict {
  const { container, sandboxId } = at
  if (isSidecar(spec)) {
    const next = planOne(input, spec, container)
    return { ...next, done: container?.state === 'running' && input.started.has(container.id) }
  }
  if (container && container.sandboxId !== sandboxId) {
    return { actions: [{ do: 'startContainer', container: spec, attempt: container.attempt + 1 }], done: false }
  }
  if (container?.state === 'exited' && container.exitCode === 0) return { actions: [], done: true }
  return { ...planOne(input, spec, container), done: false }
}

/** Once, and whatever the pod is at: also before its init containers have ended. */
function planEphemeral(input: PlanInput, spec: ContainerSpec, container: Container | undefined): Plan {
  const hasRun = container?.state === 'running' || container?.state === 'exited'
  return hasRun ? { actions: [] } : planOne(input, spec, container)
}

/** Start, restart, replace or leave alone one container. */
function planOne(input: PlanInput, spec: ContainerSpec, container: Container | undefined): Plan {
  const start = (attempt: number): Plan => {
    const notBefore = input.notBefore.get(spec.name) ?? 0
    if (notBefore > input.now) return { actions: [], again: notBefore }
    return { actions: [{ do: 'startContainer', container: spec, attempt }] }
  }
  if (!container) return start(0)
  switch (container.state) {
    case 'running':
      return replaceIfNeeded(input, spec, container)
    case 'created':
    case 'unknown': {
      // Half-born: whoever created it did not live to start it. Take it away and begin again under the same attempt.
      const again = start(container.attempt)
      return { ...again, actions: [{ do: 'removeContainer', container }, ...again.actions] }
    }
    case 'exited':
      return runsAgain(input.pod, spec, endOf(container, input.observed))
        ? start(container.attempt + 1)
        : { actions: [] }
  }
}

function replaceIfNeeded(input: PlanInput, spec: ContainerSpec, container: Container): Plan {
  const deadline = deadlineOf(input)
  const then = runsAgain(input.pod, spec, { isReplaced: true }) ? ', will be restarted' : ''
  if (container.hash !== hashOf(spec)) {
    const why = `Container ${spec.name} definition changed${then}`
    return { actions: [{ do: 'stopContainer', container, deadline, why, isReplaced: true }] }
  }
  if (input.restarts?.has(spec.name)) {
    const why = `Container ${spec.name} resize requires restart`
    return { actions: [{ do: 'stopContainer', container, deadline, why, isReplaced: true }] }
  }
  const given = input.unhealthy.get(container.id)
  if (given) {
    const why = `Container ${spec.name} failed ${given.probe} probe${then}`
    const sooner = given.graceSeconds === undefined ? deadline : input.now + given.graceSeconds * 1000
    return { actions: [{ do: 'stopContainer', container, deadline: sooner, why, isReplaced: true }] }
  }
  return { actions: [] }
}

/** What makes a running container another one: of all fields only `image` may change in a pod (and `resources`, in place). */
export function hashOf(spec: ContainerSpec): string {
  return spec.image ?? ''
}

/** A deadline without any grace. */
export const atOnce = 0

function deadlineOf({ pod, now }: PlanInput): number {
  return now + (pod.spec?.terminationGracePeriodSeconds ?? 30) * 1000
}

/** Records of containers are kept: restart counts go on from them. */
function replaceSandbox(input: PlanInput): Plan {
  const { observed } = input
  const running = stopAll(input, atOnce)
  if (running.length > 0) return { actions: running }
  const notBefore = input.notBefore.get('') ?? 0
  if (notBefore > input.now) return { actions: [], again: notBefore }
  const attempt = 1 + Math.max(-1, ...observed.sandboxes.map((sandbox) => sandbox.attempt))
  const old = observed.sandboxes.map((sandbox): Action => ({ do: 'stopSandbox', sandbox }))
  return { actions: [...old, { do: 'createSandbox', attempt }] }
}

/** Containers first; the sandbox, and with it the network, only when the last of them has ended. */
function endPod(input: PlanInput, deadline: number): Action[] {
  const running = stopAll(input, deadline)
  if (running.length > 0) return running
  return input.observed.sandboxes
    .filter((sandbox) => sandbox.ready)
    .map((sandbox): Action => ({ do: 'stopSandbox', sandbox }))
}

/** A sidecar has at least this time to end, even when the others have used up the pod's grace period. */
const sidecarGraceMs = 2000

/** All at once; but sidecars only when the others have ended, one after the other, the last one first (KEP-753). */
function stopAll(input: PlanInput, deadline: number): Action[] {
  const running = input.observed.containers.filter((each) => each.state === 'running' || each.state === 'created')
  const stop = (container: Container, by: number): Action => {
    return { do: 'stopContainer', container, deadline: by, why: `Stopping container ${container.name}` }
  }
  const sidecars = (input.pod.spec?.initContainers ?? []).filter(isSidecar).map((spec) => spec.name)
  const others = running.filter((each) => !sidecars.includes(each.name))
  if (others.length > 0) return others.map((container) => stop(container, deadline))
  const last = sidecars.findLast((name) => running.some((each) => each.name === name))
  const by = deadline === atOnce ? atOnce : Math.max(deadline, input.now + sidecarGraceMs)
  return running.filter((each) => each.name === last).map((container) => stop(container, by))
}

/** Of each container its newest and the one before are kept (`kubectl logs -p`); of dead sandboxes none. */
function removeOld(observed: ObservedPod): Action[] {
  const newest = latest(observed)
  const old = observed.containers
    .filter((each) => each.state === 'exited' && each.attempt < (newest.get(each.name)?.attempt ?? 0) - 1)
    .map((container): Action => ({ do: 'removeContainer', container }))
  const used = new Set(observed.containers.map((container) => container.sandboxId))
  const dead = observed.sandboxes
    .filter((sandbox) => !sandbox.ready && !used.has(sandbox.id))
    .map((sandbox): Action => ({ do: 'removeSandbox', sandbox }))
  return [...old, ...dead]
}

function addTo(result: Plan, more: Plan): void {
  result.actions.push(...more.actions)
  if (more.again !== undefined) result.again = Math.min(result.again ?? more.again, more.again)
}
