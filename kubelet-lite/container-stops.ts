import type { Pod } from '../orchestrator/api/types.ts'
import type { EventRecorder } from '../orchestrator/client/event-recorder.ts'
import type { Clock } from '../runtime/base/clock.ts'
import { messageOf } from '../runtime/base/errors.ts'
import type { Log } from '../runtime/base/log.ts'
import type { Container, RuntimeService } from './cri/types.ts'
import { runPreStop } from './lifecycle.ts'
import { fieldPathOf, ownContainers } from './pod-containers.ts'

export interface ContainerStopsOptions {
  runtime: RuntimeService
  events: EventRecorder
  clock: Clock
  log: Log
}

const graceAfterHookSeconds = 2

/**
 * Stops that are under way. A pod's worker never waits for one: the container's end wakes it, and until then it can
 * learn that the deadline has moved forward (`kubectl delete --now` after `kubectl delete`).
 */
export class ContainerStops {
  readonly #underWay = new Map<string, { deadline: number; done: Promise<void> }>()
  readonly #options: ContainerStopsOptions

  constructor(options: ContainerStopsOptions) {
    this.#options = options
  }

  /** Begins to stop the container, or brings an earlier stop's deadline forward. */
  stop(pod: Pod, action: { container: Container; deadline: number; why: string }): void {
    const { container, deadline, why } = action
    const before = this.#underWay.get(container.id)
    if (before && before.deadline <= deadline) return
    const { events, clock, log, runtime } = this.#options
    if (!before) {
      const fieldPath = fieldPathOf(pod, container.name)
      events.record(pod, { type: 'Normal', reason: 'Killing', message: why, fieldPath })
    }
    const graceSeconds = Math.max(0, (deadline - clock.now()) / 1000)
    const done = (
      before ? runtime.stopContainer(container.id, graceSeconds) : this.#firstStop(pod, container, deadline)
    )
      .catch((error: unknown) => log.warn(`stop container ${container.name}: ${messageOf(error)}`, { error }))
      .finally(() => {
        if (this.#underWay.get(container.id)?.deadline === deadline) this.#underWay.delete(container.id)
      })
    this.#underWay.set(container.id, { deadline, done })
  }

  async #firstStop(pod: Pod, container: Container, deadline: number): Promise<void> {
    const { events, clock, runtime } = this.#options
    const left = () => Math.max(0, (deadline - clock.now()) / 1000)
    const spec = ownContainers(pod).find((each) => each.name === container.name)
    const podIP = pod.status?.podIP ?? ''
    const hooked = spec && (await runPreStop({ runtime, events, pod, spec, container, podIP }, left()))
    // A hook that used up all the time leaves the process a moment to hear of its end (upstream: minimumGracePeriodInSeconds).
    await runtime.stopContainer(container.id, hooked ? Math.max(left(), graceAfterHookSeconds) : left())
  }
}
