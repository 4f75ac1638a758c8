/** What the kubelet remembers of one pod between rounds and may lose at any time: failures and backoffs, nothing else. */
import type { Pod } from '../orchestrator/api/types.ts'
import { Backoff } from './backoff.ts'
import type { Failure } from './execute.ts'
import { latest, type ObservedPod } from './plan.ts'
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

  /** Until when each container must wait. */
  notBefore(pod: Pod): Map<string, number> {
    const whole = this.#failed.get('')?.notBefore ?? 0
    const time = (name: string) =>
      Math.max(this.#failed.get(name)?.notBefore ?? 0, this.#crashes.notBefore(name), whole)
    return new Map([...containerNames(pod), ''].map((name) => [name, time(name)]))
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
    for (const name of containerNames(pod)) {
      const container = newest.get(name)
      if (result.has(name) || container?.state !== 'exited') continue
      const wait = this.#crashes.notBefore(name)
      if (wait <= now || !restarts(pod, name, container.exitCode)) continue
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

function containerNames(pod: Pod): string[] {
  return [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? [])].map((each) => each.name)
}

function backOffPull(pod: Pod, failed: Failed): Waiting {
  const all = [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? [])]
  const image = all.find((each) => each.name === failed.failure.container)?.image
  return {
    reason: 'ImagePullBackOff',
    message: `Back-off pulling image "${image}": ErrImagePull: ${failed.failure.message}`,
  }
}

function restarts(pod: Pod, name: string, exitCode: number | undefined): boolean {
  const init = pod.spec?.initContainers?.find((each) => each.name === name)
  if (init && init.restartPolicy !== 'Always' && exitCode === 0) return false
  const policy = init?.restartPolicy ?? pod.spec?.restartPolicy ?? 'Always'
  return policy === 'Always' || (policy === 'OnFailure' && exitCode !== 0)
}

/** Whole seconds as Go prints durations: `10s`, `1m20s`, `5m0s`. */
function duration(milliseconds: number): string {
  const seconds = Math.round(milliseconds / 1000)
  return seconds < 60 ? `${seconds}s` : `${Math.floor(seconds / 60)}m${seconds % 60}s`
}
