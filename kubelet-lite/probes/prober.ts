/** Startup, liveness and readiness probes (Kubernetes docs: concepts/configuration/liveness-readiness-startup-probes). */

import type { Container as ContainerSpec, Pod, Probe } from '../../orchestrator/api/types.ts'
import type { EventRecorder } from '../../orchestrator/client/event-recorder.ts'
import type { Clock } from '../../runtime/base/clock.ts'
import type { Container, RuntimeService } from '../cri/types.ts'
import { latest, type ObservedPod, type Unhealthy } from '../plan.ts'
import { fieldPathOf, ownContainers } from '../pod-containers.ts'
import { podIPs } from '../pod-ips.ts'
import { tryHandler } from './handlers.ts'

export interface ProberOptions {
  runtime: RuntimeService
  events: EventRecorder
  clock: Clock
  nodeIP: string
  /** A result has changed: the pod must be looked at again. */
  onChange: (podUid: string) => void
}

type Kind = 'startup' | 'liveness' | 'readiness'

interface Watched {
  podUid: string
  stop: AbortController
  started: boolean
  ready: boolean
  unhealthy: Unhealthy | undefined
  /** The pod is being ended. */
  ending: boolean
}

/** One loop a probe of a running container; it ends with the container. */
export class Prober {
  readonly #options: ProberOptions
  /** By container id. */
  readonly #watched = new Map<string, Watched>()

  constructor(options: ProberOptions) {
    this.#options = options
  }

  /**
   * Begins to probe what runs and ends the loops of what does not. Of a pod that is ending only readiness is asked
   * for still: what will end anyway must not be restarted.
   */
  watch(pod: Pod, observed: ObservedPod, ending = false): void {
    const running = new Map(
      [...latest(observed).values()].filter((each) => each.state === 'running').map((each) => [each.id, each]),
    )
    const uid = pod.metadata?.uid ?? ''
    for (const [id, watched] of this.#watched) {
      if (watched.podUid === uid && !running.has(id)) this.#end(id)
    }
    for (const container of running.values()) {
      const known = this.#watched.get(container.id)
      if (known) known.ending = ending
      const spec = ownContainers(pod).find((each) => each.name === container.name)
      if (!spec || known || ending) continue
      const sandbox = observed.sandboxes.findLast((each) => each.ready)
      const [podIP = ''] = podIPs(pod, sandbox, this.#options.nodeIP)
      this.#begin({ pod, spec, container, podIP })
    }
  }

  /** Ids of running containers that count as ready. */
  ready(observed: ObservedPod): Set<string> {
    const running = observed.containers.filter((each) => each.state === 'running')
    return new Set(running.filter((each) => this.#watched.get(each.id)?.ready).map((each) => each.id))
  }

  /** Ids of running containers that have passed their startup probe, or have none. */
  started(observed: ObservedPod): Set<string> {
    const running = observed.containers.filter((each) => each.state === 'running')
    return new Set(running.filter((each) => this.#watched.get(each.id)?.started).map((each) => each.id))
  }

  /** Containers of this pod that must be restarted, by id. */
  unhealthy(podUid: string): Map<string, Unhealthy> {
    const found = new Map<string, Unhealthy>()
    for (const [id, watched] of this.#watched) {
      if (watched.podUid === podUid && watched.unhealthy) found.set(id, watched.unhealthy)
    }
    return found
  }

  forget(podUid: string): void {
    for (const [id, watched] of this.#watched) if (watched.podUid === podUid) this.#end(id)
  }

  close(): void {
    for (const id of [...this.#watched.keys()]) this.#end(id)
  }

  #end(id: string): void {
    this.#watched.get(id)?.stop.abort()
    this.#watched.delete(id)
  }

  #begin(at: Probed): void {
    const { startupProbe, readinessProbe, livenessProbe } = at.spec
    const watched: Watched = {
      podUid: at.pod.metadata?.uid ?? '',
      stop: new AbortController(),
      started: !startupProbe,
      ready: !readinessProbe && !startupProbe,
      unhealthy: undefined,
      ending: false,
    }
    this.#watched.set(at.container.id, watched)
    for (const [kind, probe] of [
      ['startup', startupProbe],
      ['readiness', readinessProbe],
      ['liveness', livenessProbe],
    ] as const) {
      if (probe) this.#loop(at, watched, { kind, probe }).catch(() => undefined)
    }
  }

  async #loop(at: Probed, watched: Watched, check: Check): Promise<void> {
    const { probe, kind } = check
    const signal = watched.stop.signal
    // A container whose end is decided needs no more questions; only its readiness goes on being told.
    const isDecided = () => kind !== 'readiness' && (watched.ending || watched.unhealthy !== undefined)
    const periodMs = (probe.periodSeconds ?? 10) * 1000
    await this.#options.clock.sleep(initialDelayMs(at.container, probe, this.#options.clock.now()), signal)
    let good = 0
    let bad = 0
    while (!signal.aborted && !isDecided()) {
      if (kind === 'startup' && watched.started) return
      if (kind === 'startup' || watched.started) {
        const outcome = await this.#once(at, check, isDecided)
        if (signal.aborted) return
        good = outcome ? good + 1 : 0
        bad = outcome ? 0 : bad + 1
        if (good >= (probe.successThreshold ?? 1)) this.#passed(at, watched, kind)
        if (bad >= (probe.failureThreshold ?? 3)) this.#failed(watched, check)
      }
      const waiting = kind !== 'startup' && !watched.started
      await this.#options.clock.sleep(waiting ? Math.min(periodMs, 1000) : periodMs, signal)
    }
  }

  async #once(at: Probed, check: Check, isDecided: () => boolean): Promise<boolean> {
    const { container, spec, podIP, pod } = at
    const timeoutMs = (check.probe.timeoutSeconds ?? 1) * 1000
    const target = { runtime: this.#options.runtime, container: spec, containerId: container.id, podIP, timeoutMs }
    const outcome = await tryHandler(check.probe, { ...target, purpose: 'probe' })
    const name = `${check.kind[0]?.toUpperCase()}${check.kind.slice(1)}`
    const tell = (reason: string, what: string) => {
      const message = `${name} probe ${what}`
      this.#options.events.record(pod, { type: 'Warning', reason, message, fieldPath: fieldPathOf(pod, spec.name) })
    }
    if (outcome.warning !== undefined) tell('ProbeWarning', `warning: ${outcome.warning}`)
    if (!outcome.ok && !isDecided()) tell('Unhealthy', `failed: ${outcome.output}`)
    return outcome.ok
  }

  #passed(at: Probed, watched: Watched, kind: Kind): void {
    const before = watched.ready
    const wasStarted = watched.started
    if (kind === 'startup') watched.started = true
    if (kind === 'readiness' || (kind === 'startup' && !at.spec.readinessProbe)) watched.ready = true
    if (watched.ready !== before || watched.started !== wasStarted) this.#options.onChange(watched.podUid)
  }

  #failed(watched: Watched, { kind, probe }: Check): void {
    if (kind === 'readiness') {
      if (!watched.ready) return
      watched.ready = false
    } else {
      if (watched.ending) return
      const graceSeconds = probe.terminationGracePeriodSeconds
      watched.unhealthy = { probe: kind, ...(graceSeconds === undefined ? {} : { graceSeconds }) }
    }
    this.#options.onChange(watched.podUid)
  }
}

/** What is left of the delay: it counts from the container's start, which may have been in this kubelet's last life. */
function initialDelayMs(container: Container, probe: Probe, now: number): number {
  const delayMs = (probe.initialDelaySeconds ?? 0) * 1000
  return Math.min(delayMs, Math.max(0, (container.startedAt ?? now) + delayMs - now))
}

interface Check {
  kind: Kind
  probe: Probe
}

interface Probed {
  pod: Pod
  spec: ContainerSpec
  container: Container
  podIP: string
}
