/** What the kubelet remembers of one pod between rounds and may lose at any time: failures and backoffs, nothing else. */
import type { Pod } from '../orchestrator/api/types.ts'
import { Backoff, longestDelayMs } from './backoff.ts'
import type { Failure } from './execute.ts'
import { type Action, type Ending, endOf, hashOf, latest, type ObservedPod } from './plan.ts'
import { allContainers, ownContainers } from './pod-containers.ts'
import type { Resize } from './resize.ts'
import { runsAgain } from './restart-policy.ts'
import type { Waiting } from './status.ts'

/** Missing ConfigMaps and the like may appear at any moment: tried again soon, without growing delay. */
const quickReasons = new Set(['CreateContainerConfigError', 'FailedMount', 'FailedCreatePodSandBox'])
const configRetryMs = 2000
/** So long `ErrImagePull` is shown before it reads `ImagePullBackOff`. */
const showFailureMs = 2000

interface Failed {
  failure: Failure
  /** Milliseconds since the epoch. */
  at: number
  notBefore: number
}

export class PodMemory {
  readonly #failed = new Map<string, Failed>()
  /** The first restart is at once: only a second end in a row makes a loop. */
  readonly #crashes = new Backoff({ firstIsFree: true })
  readonly #tries = new Backoff({ firstIsFree: false })
  /** Ids of ended containers whose crash was counted. */
  readonly #counted = new Set<string>()
  readonly #hashes = new Map<string, string>()
  /** When the pod's volumes were last brought up to date, in milliseconds since the epoch. */
  volumesAt = 0
  /** What has come of the resources that the manifest asks for, as of the last round. */
  resize: Resize | undefined
  /** By container id: see resize.ts. */
  readonly given = new Map<string, string>()
  readonly #replaced = new Set<string>()
  /** Set once when the pod is evicted; it stays so until it is gone. */
  evicted: Ending | undefined

  /** A container whose image was changed starts afresh: how the old image failed says nothing about the new one. */
  noteImages(pod: Pod): void {
    for (const spec of allContainers(pod)) {
      const before = this.#hashes.get(spec.name)
      this.#hashes.set(spec.name, hashOf(spec))
      if (before === undefined || before === hashOf(spec)) continue
      this.#failed.delete(spec.name)
      this.#tries.forget(spec.name)
      this.#crashes.forget(spec.name)
    }
  }

  /** Ids of containers that were stopped so that they begin again. */
  get replaced(): ReadonlySet<string> {
    return this.#replaced
  }

  noteReplaced(actions: readonly Action[]): void {
    for (const each of actions)
      if (each.do === 'stopContainer' && each.isReplaced) this.#replaced.add(each.container.id)
  }

  /** Notes this round's failures; a container without one is fine again. */
  noteRound(failures: readonly Failure[], tried: readonly string[], now: number): void {
    const failing = new Set(failures.map((failure) => failure.container))
    for (const name of tried) {
      this.#failed.delete(name)
      if (!failing.has(name)) this.#tries.forget(name)
    }
    for (const failure of failures) {
      const key = failure.container
      const soon = quickReasons.has(failure.reason)
      const notBefore = soon ? now + configRetryMs : this.#tries.failed(key, now)
      this.#failed.set(key, { failure, at: now, notBefore })
    }
  }

  /** Counts containers that have ended since the last round, so that `notBefore` knows how long to wait. */
  noteExits(observed: ObservedPod, now: number): void {
    for (const container of latest(observed).values()) {
      if (container.state !== 'exited' || this.#counted.has(container.id)) continue
      this.#counted.add(container.id)
      const finished = container.finishedAt ?? now
      this.#crashes.failed(container.name, finished, finished - (container.startedAt ?? finished))
    }
  }

  /** Until when each container must wait. A time further away than any delay is from a clock that was set back. */
  notBefore(pod: Pod, now: number): Map<string, number> {
    const whole = this.#failed.get('')?.notBefore ?? 0
    const time = (name: string) => {
      const latestOf = Math.max(this.#failed.get(name)?.notBefore ?? 0, this.#crashes.notBefore(name), whole)
      return latestOf > now + longestDelayMs ? 0 : latestOf
    }
    return new Map([...allContainers(pod).map((spec) => spec.name), ''].map((name) => [name, time(name)]))
  }

  /** Why each container waits, for the status. */
  waiting(pod: Pod, observed: ObservedPod, now: number): Map<string, Waiting> {
    const result = new Map<string, Waiting>()
    const newest = latest(observed)
    for (const [name, failed] of this.#failed) {
      // What is wrong with the pod as a whole is told by events; its containers just wait.
      if (name === '' || newest.get(name)?.state === 'running') continue
      const late = turnsToBackOff(failed) && now >= failed.at + showFailureMs
      result.set(name, late ? backOffPull(pod, failed) : failed.failure)
    }
    for (const spec of ownContainers(pod)) {
      const { name } = spec
      const container = newest.get(name)
      if (result.has(name) || container?.state !== 'exited') continue
      const wait = this.#crashes.notBefore(name)
      if (wait <= now || !runsAgain(pod, spec, endOf(container, observed))) continue
      const pretty = `${pod.metadata?.name}_${pod.metadata?.namespace}(${pod.metadata?.uid})`
      const message = `back-off ${duration(this.#crashes.delayMs(name))} restarting failed container=${name} pod=${pretty}`
      result.set(name, { reason: 'CrashLoopBackOff', message })
    }
    return new Map(
      [...result].map(([name, { reason, message }]) => [name, { reason, ...(message ? { message } : {}) }]),
    )
  }

  /** When a failure that is shown now will read as a backoff; undefined when none will. */
  turnsToBackOffAt(now: number): number | undefined {
    const times = [...this.#failed.values()].filter(turnsToBackOff).map((each) => each.at + showFailureMs)
    const coming = times.filter((time) => time > now)
    return coming.length === 0 ? undefined : Math.min(...coming)
  }
}

function turnsToBackOff({ failure }: Failed): boolean {
  return failure.reason === 'ErrImagePull'
}

function backOffPull(pod: Pod, failed: Failed): Waiting {
  const image = allContainers(pod).find((each) => each.name === failed.failure.container)?.image
  return {
    reason: 'ImagePullBackOff',
    message: `Back-off pulling image "${image}": ErrImagePull: ${failed.failure.message}`,
  }
}

/** Whole seconds as Go prints durations: `10s`, `1m20s`, `5m0s`. */
function duration(milliseconds: number): string {
  const seconds = Math.round(milliseconds / 1000)
  return seconds < 60 ? `${seconds}s` : `${Math.floor(seconds / 60)}m${seconds % 60}s`
}
