import type { Node, Pod } from '../orchestrator/api/types.ts'

/** Why a node does not take a pod. */
export interface Refusal {
  reason: string
  message: string
}

/** One of the node's own predicates: undefined when it has nothing against the pod. Pure. */
export type Check = (pod: Pod, node: Node, others: readonly Pod[]) => Refusal | undefined
