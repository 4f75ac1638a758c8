/**
 * Where a pod's files lie on this node:
 *
 *   <root>/pods/<uid>/volumes/<kind>/<name>/      what is mounted into its containers
 *                    /etc/{hosts,hostname,resolv.conf}
 *                    /shm                         tmpfs shared by its containers
 *                    /containers/<name>/<attempt>.termination-log
 *                    /network.json                the CNI result
 *   <root>/logs/pods/<namespace>_<name>_<uid>/<container>/<attempt>.log     (upstream: /var/log/pods)
 */
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import type { Pod } from '../orchestrator/api/types.ts'

export interface PodIdentity {
  uid: string
  namespace: string
  name: string
}

/** The identity of a pod that the API server has accepted. */
export function identityOf(pod: Pod): PodIdentity {
  const { uid, namespace, name } = pod.metadata ?? {}
  return { uid: uid ?? '', namespace: namespace ?? '', name: name ?? '' }
}

export const podsDirectory = (root: string) => join(root, 'pods')
export const podDirectory = (root: string, uid: string) => join(root, 'pods', uid)
export const volumeDirectory = (root: string, uid: string, kind: string, name: string) =>
  join(root, 'pods', uid, 'volumes', `kubernetes.io~${kind}`, name)
export const logsDirectory = (root: string, pod: PodIdentity) =>
  join(root, 'logs', 'pods', `${pod.namespace}_${pod.name}_${pod.uid}`)

export function logPath(root: string, pod: PodIdentity, container: { name: string; attempt: number }): string {
  return join(logsDirectory(root, pod), container.name, `${container.attempt}.log`)
}

export function terminationLogPath(root: string, uid: string, container: { name: string; attempt: number }): string {
  return join(podDirectory(root, uid), 'containers', container.name, `${container.attempt}.termination-log`)
}

/**
 * 64 hex digits, the same for the same run of the same container: a kubelet that was killed between making a
 * container and noting it down finds it again under this name, and can never make it twice.
 */
export function containerId(podUid: string, name: string, attempt: number): string {
  return createHash('sha256').update(`${podUid}/${name}/${attempt}`).digest('hex')
}
