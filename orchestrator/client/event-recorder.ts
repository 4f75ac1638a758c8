import type { Clock } from '../../runtime/base/clock.ts'
import { hasCode, messageOf } from '../../runtime/base/errors.ts'
import type { Log } from '../../runtime/base/log.ts'
import { resources } from '../api/resources.ts'
import type { Event, KubeObject } from '../api/types.ts'
import type { ApiClient } from './api-client.ts'

export interface EventRecorderOptions {
  readonly client: ApiClient
  /** `source.component`: `default-scheduler`, `kubelet`. */
  readonly component: string
  /** `source.host`: the node. */
  readonly host?: string
  readonly clock: Clock
  readonly log: Log
}

export interface Recorded {
  readonly type: 'Normal' | 'Warning'
  /** One word in UpperCamelCase. */
  readonly reason: string
  readonly message: string
  /** A part of the object, as `spec.containers{main}`. */
  readonly fieldPath?: string
}

interface Known {
  readonly name: string
  readonly namespace: string
  count: number
}

/** Events that are alike are counted, not written again; so many different ones are remembered. */
const remembered = 4096

/** More than this unwritten, and new ones are dropped: events must not hinder the work that they tell of. */
const longestQueue = 1000

/**
 * Tells what happens to objects, as events that `kubectl describe` shows. Like Kubernetes' recorder it counts
 * repetitions in `count` and `lastTimestamp`, and never fails: what cannot be written is logged.
 */
export class EventRecorder {
  readonly #options: EventRecorderOptions
  readonly #known = new Map<string, Known>()
  #tail: Promise<void> = Promise.resolve()
  #queued = 0
  #closed = false

  constructor(options: EventRecorderOptions) {
    this.#options = options
  }

  /** Returns at once. `object` needs its kind, apiVersion, name and uid. */
  record(object: KubeObject, recorded: Recorded): void {
    if (this.#closed) return
    if (this.#queued >= longestQueue) {
      this.#options.log.warn('an event was dropped', { reason: recorded.reason, message: recorded.message })
      return
    }
    this.#queued++
    const at = this.#options.clock.now()
    this.#tail = this.#tail
      .then(() => this.#write(object, recorded, at))
      .catch((error: unknown) => {
        this.#options.log.warn('an event was not written', { reason: recorded.reason, error: messageOf(error) })
      })
      .finally(() => {
        this.#queued--
      })
  }

  /** Writes what is queued. */
  async close(): Promise<void> {
    this.#closed = true
    await this.#tail
  }

  async #write(object: KubeObject, recorded: Recorded, at: number): Promise<void> {
    const id = JSON.stringify([object.metadata?.uid, object.metadata?.name, recorded])
    const known = this.#known.get(id)
    if (known && (await this.#count(known, at))) return
    const event = this.#newEvent(object, recorded, at)
    await this.#options.client.create(resources.events, event)
    this.#remember(id, { name: event.metadata.name ?? '', namespace: event.metadata.namespace ?? '', count: 1 })
  }

  /** False when the event is gone meanwhile. */
  async #count(known: Known, at: number): Promise<boolean> {
    known.count++
    const { name, namespace, count } = known
    const body = { count, lastTimestamp: seconds(at) }
    try {
      await this.#options.client.patch(resources.events, { namespace, name }, { type: 'merge', body })
      return true
    } catch (error) {
      if (hasCode(error, 'NOT_FOUND')) return false
      throw error
    }
  }

  #newEvent({ kind, apiVersion, metadata = {} }: KubeObject, recorded: Recorded, at: number): Event {
    const { component, host } = this.#options
    const { name = '', uid, resourceVersion } = metadata
    // Events about objects of the cluster are in the namespace default.
    const namespace = metadata.namespace ?? 'default'
    return {
      metadata: { name: `${name}.${uniquePart(at)}`, namespace },
      involvedObject: {
        ...(kind ? { kind } : {}),
        ...(apiVersion ? { apiVersion } : {}),
        ...(metadata.namespace ? { namespace: metadata.namespace } : {}),
        name,
        ...(uid ? { uid } : {}),
        ...(resourceVersion ? { resourceVersion } : {}),
        ...(recorded.fieldPath ? { fieldPath: recorded.fieldPath } : {}),
      },
      type: recorded.type,
      reason: recorded.reason,
      message: recorded.message,
      source: { component, ...(host ? { host } : {}) },
      reportingComponent: component,
      reportingInstance: host ?? '',
      firstTimestamp: seconds(at),
      lastTimestamp: seconds(at),
      count: 1,
    }
  }

  #remember(id: string, known: Known): void {
    this.#known.delete(id)
    this.#known.set(id, known)
    if (this.#known.size <= remembered) return
    const [oldest] = this.#known.keys()
    if (oldest !== undefined) this.#known.delete(oldest)
  }
}

const seconds = (milliseconds: number) => `${new Date(milliseconds).toISOString().slice(0, 19)}Z`

let lastPart = 0n

/** Sixteen digits that grow with the time and are never given out twice by this process. */
function uniquePart(milliseconds: number): string {
  const now = BigInt(milliseconds) * 1_000_000n
  lastPart = now > lastPart ? now : lastPart + 1n
  return lastPart.toString(16)
}
