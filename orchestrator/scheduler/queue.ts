/**
 * Pods that wait for a node, most important first, then first come first served.
 *
 *   add ─► active ─ next ─► (being decided) ─ failed ─► unschedulable ─ something changed ─► active
 *                                                           └─ after five minutes anyway ──┘
 */
import type { Pod } from '../api/types.ts'

interface Waiting {
  pod: Pod
  /** When it failed, and until when it waits whatever happens; milliseconds since the epoch. */
  since: number
  notBefore: number
}

const firstBackoffMs = 1000
const longestBackoffMs = 10_000
const flushAfterMs = 300_000

export class SchedulingQueue {
  /** By priority, then in order of arrival. */
  readonly #active = new Map<number, Map<string, Pod>>()
  readonly #unschedulable = new Map<string, Waiting>()
  readonly #attempts = new Map<string, number>()
  #changedAt = Number.NEGATIVE_INFINITY

  /** A pod that is new, or has changed: at once. */
  add(pod: Pod): void {
    const uid = pod.metadata?.uid ?? ''
    this.#unschedulable.delete(uid)
    this.#takeOut(uid)
    const priority = pod.spec?.priority ?? 0
    const bucket = this.#active.get(priority) ?? new Map<string, Pod>()
    this.#active.set(priority, bucket.set(uid, pod))
  }

  /** No node would do at `now`: it waits for a change in the cluster and for its backoff. */
  failed(pod: Pod, now: number): void {
    const uid = pod.metadata?.uid ?? ''
    const attempts = (this.#attempts.get(uid) ?? 0) + 1
    this.#attempts.set(uid, attempts)
    const wait = Math.min(longestBackoffMs, firstBackoffMs * 2 ** (attempts - 1))
    this.#unschedulable.set(uid, { pod, since: now, notBefore: now + wait })
  }

  /** Something happened that may make room: a node came or changed, a pod went. */
  clusterChanged(now: number): void {
    this.#changedAt = now
  }

  remove(uid: string): void {
    this.#takeOut(uid)
    this.#unschedulable.delete(uid)
    this.#attempts.delete(uid)
  }

  /** Takes the pod whose turn it is; undefined when none may be tried now. */
  next(now: number): Pod | undefined {
    for (const waiting of [...this.#unschedulable.values()]) if (this.#dueAt(waiting) <= now) this.add(waiting.pod)
    if (this.#active.size === 0) return undefined
    const bucket = this.#active.get(Math.max(...this.#active.keys()))
    const [pod] = bucket?.values() ?? []
    if (pod) this.#takeOut(pod.metadata?.uid ?? '')
    return pod
  }

  /** When to ask again (ms since the epoch); undefined when nothing waits. */
  nextDue(): number | undefined {
    if (this.#unschedulable.size === 0) return undefined
    return Math.min(...[...this.#unschedulable.values()].map((waiting) => this.#dueAt(waiting)))
  }

  #dueAt({ since, notBefore }: Waiting): number {
    return this.#changedAt >= since ? notBefore : since + flushAfterMs
  }

  #takeOut(uid: string): void {
    for (const [priority, bucket] of this.#active) {
      if (bucket.delete(uid) && bucket.size === 0) this.#active.delete(priority)
    }
  }
}
