/** Static pods as the API shows them: an object for each, which says what became of it and can change nothing. */
import { resources } from '../orchestrator/api/resources.ts'
import type { Pod } from '../orchestrator/api/types.ts'
import type { ApiClient } from '../orchestrator/client/api-client.ts'
import { hasCode } from '../runtime/base/errors.ts'
import { identityOf } from './pod-directory.ts'
import { isMirror, mirrored, type Sources } from './sources.ts'

export interface Mirrors {
  client: ApiClient
  sources: Sources
}

/** The static pod's object, made when there is none; undefined while an older one must go first. */
export async function mirrorOf({ client, sources }: Mirrors, pod: Pod): Promise<Pod | undefined> {
  const found = sources.mirror(pod)
  if (!found) return createMirror(client, pod)
  if (mirrored(found) === pod.metadata?.uid && found.metadata?.deletionTimestamp === undefined) return found
  await removeMirror(client, found)
  return undefined
}

/** Takes the objects of static pods away whose files are gone. */
export async function pruneMirrors({ client, sources }: Mirrors): Promise<void> {
  for (const mirror of sources.orphanedMirrors()) await removeMirror(client, mirror)
}

async function createMirror(client: ApiClient, pod: Pod): Promise<Pod | undefined> {
  const { name, namespace, uid } = identityOf(pod)
  const { labels = {}, annotations = {} } = pod.metadata ?? {}
  const ours = { [isMirror]: uid, 'kubernetes.io/config.hash': uid, 'kubernetes.io/config.source': 'file' }
  const metadata = { name, namespace, labels, annotations: { ...annotations, ...ours } }
  try {
    const ownerReferences = [await nodeAsOwner(client, pod.spec?.nodeName ?? '')]
    return await client.create(resources.pods, {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { ...metadata, ownerReferences },
      spec: pod.spec,
    } as Pod)
  } catch (error) {
    // Its name is taken, or its namespace is not there: the pod runs all the same.
    if (hasCode(error, 'ALREADY_EXISTS') || hasCode(error, 'NOT_FOUND') || hasCode(error, 'FORBIDDEN')) return undefined
    throw error
  }
}

/** It goes with its node: no node may show pods that it does not own. */
async function nodeAsOwner(client: ApiClient, name: string) {
  const { metadata } = await client.get(resources.nodes, { name })
  return { apiVersion: 'v1', kind: 'Node', name, uid: metadata?.uid ?? '', controller: true }
}

async function removeMirror(client: ApiClient, mirror: Pod): Promise<void> {
  const { name, namespace, uid } = identityOf(mirror)
  try {
    await client.delete(resources.pods, { name, namespace }, { gracePeriodSeconds: 0, preconditions: { uid } })
  } catch (error) {
    if (!hasCode(error, 'NOT_FOUND') && !hasCode(error, 'CONFLICT')) throw error
  }
}
