/**
 * The scheduler's picture of nodes and what runs on them. A placement counts from the moment it is decided:
 *
 *   decided ─ assume ─► assumed ─ the watch shows it bound ─► added ─ deleted ─► (gone)
 *                          └─ binding failed: forget ─► (gone)
 */
import type { Node, Pod } from '../api/types.ts'
import type { Amounts, NodeInfo } from './framework.ts'
import { add, allocatableOf, podInfo } from './pod-info.ts'

interface Entry {
  name: string
  node: Node | undefined
  pods: Map<string, Pod>
  allocatable: Amounts
  requested: Amounts
}

const nothing: Amounts = { cpuMillis: 0, memoryBytes: 0, pods: 0 }

export class SchedulerCache {
  readonly #entries = new Map<string, Entry>()
  /** Node name by pod UID, for every pod that counts. */
  readonly #placed = new Map<string, string>()

  /** Nodes that exist; a node that only pods speak of is left out. */
  nodes(): NodeInfo[] {
    return [...this.#entries.values()].filter((entry): entry is Entry & NodeInfo => entry.node !== undefined)
  }

  setNode(node: Node): void {
    const entry = this.#entry(node.metadata?.name ?? '')
    entry.node = node
    entry.allocatable = allocatableOf(node)
  }

  removeNode(name: string): void {
    const entry = this.#entries.get(name)
    if (!entry) return
    entry.node = undefined
    if (entry.pods.size === 0) this.#entries.delete(name)
  }

  /** Counts the pod on the node that it is bound to, or is about to be. Idempotent. */
  place(pod: Pod, nodeName: string): void {
    const uid = pod.metadata?.uid ?? ''
    this.remove(uid)
    const entry = this.#entry(nodeName)
    entry.pods.set(uid, pod)
    entry.requested = add(entry.requested, { ...podInfo(pod).requests, pods: 1 }, 1)
    this.#placed.set(uid, nodeName)
  }

  remove(uid: string): void {
    const name = this.#placed.get(uid)
    const entry = name === undefined ? undefined : this.#entries.get(name)
    const pod = entry?.pods.get(uid)
    if (!entry || !pod) return
    entry.pods.delete(uid)
    entry.requested = add(entry.requested, { ...podInfo(pod).requests, pods: 1 }, -1)
    this.#placed.delete(uid)
  }

  isPlaced(uid: string): boolean {
    return this.#placed.has(uid)
  }

  #entry(name: string): Entry {
    const found = this.#entries.get(name)
    if (found) return found
    const fresh: Entry = { name, node: undefined, pods: new Map(), allocatable: nothing, requested: nothing }
    this.#entries.set(name, fresh)
    return fresh
  }
}
