import { qosClassOf } from '../orchestrator/api/quality-of-service.ts'
import type { Pod } from '../orchestrator/api/types.ts'

/** The pod's group: Guaranteed pods lie directly below the node's, the others below their class (upstream: cgroupfs driver). */
export function podCgroup(root: string, pod: Pod): string {
  const uid = pod.metadata?.uid ?? ''
  const qos = qosClassOf(pod)
  return qos === 'Guaranteed' ? `${root}/pod${uid}` : `${root}/${qos.toLowerCase()}/pod${uid}`
}
