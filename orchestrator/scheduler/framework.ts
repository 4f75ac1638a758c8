/** What a plugin is (Kubernetes docs: concepts/scheduling-eviction/scheduling-framework), and what it gets to see. */
import type { Node, Pod } from '../api/types.ts'

/** A node with the pods that are bound to it or assumed to be. CPU in millicores, memory in bytes. */
export interface NodeInfo {
  readonly name: string
  readonly node: Node
  readonly pods: ReadonlyMap<string, Pod>
  readonly allocatable: Amounts
  readonly requested: Amounts
}

export interface Amounts {
  cpuMillis: number
  memoryBytes: number
  pods: number
}

/** The pod with what plugins ask again and again. */
export interface PodInfo {
  readonly pod: Pod
  readonly requests: Amounts
}

/** A predicate: undefined when the node will do, or why not, in Kubernetes' words. Pure. */
export interface FilterPlugin {
  readonly name: string
  filter(pod: PodInfo, node: NodeInfo): string | undefined
}

/** A priority: 0 (worst) to 100 (best). Pure. */
export interface ScorePlugin {
  readonly name: string
  readonly weight: number
  score(pod: PodInfo, node: NodeInfo): number
}

export interface Plugins {
  readonly filters: readonly FilterPlugin[]
  readonly scores: readonly ScorePlugin[]
}

/** Why a pod is where it is, or nowhere: node by node, filter by filter, score by score. */
export interface Decision {
  readonly podUid: string
  readonly pod: string
  /** Milliseconds since the epoch. */
  readonly at: number
  readonly node?: string
  /** By node: which filter refused it, and why. */
  readonly refused: ReadonlyMap<string, { plugin: string; reason: string }>
  /** By node: each plugin's weighted score. */
  readonly scores: ReadonlyMap<string, Readonly<Record<string, number>>>
}
