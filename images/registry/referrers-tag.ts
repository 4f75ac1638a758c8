import { CoracleError } from '../../runtime/base/errors.ts'
import type { Digest } from '../digest.ts'
import { imageError } from '../errors.ts'
import { type Descriptor, mediaTypes, parseManifest } from '../manifest.ts'
import type { RegistryClient } from './client.ts'
import { nameOf, type Repository } from './endpoints.ts'
import type { Access } from './session.ts'

/**
 * Registries without the referrers API: what refers to a manifest stands in an index under a tag that is made of its digest.
 * Distribution specification 1.1, "Referrers Tag Schema".
 */
const tagOf = (digest: Digest) => digest.replace(':', '-')

export const isAbsent = (error: unknown): boolean =>
  error instanceof CoracleError && (error.code === 'IMAGE_NOT_FOUND' || error.facts.status === 405)

/** What refers to a manifest; nothing when there is no such tag. Throws like `manifest` of the client, and `IMAGE_REGISTRY`. */
export async function referrersByTag(
  client: RegistryClient,
  { repository, digest }: { repository: Repository; digest: Digest },
  access: Access,
): Promise<Descriptor[]> {
  try {
    const { bytes, mediaType } = await client.manifest(repository, tagOf(digest), access)
    return indexedIn(bytes, { where: `referrers of ${nameOf(repository)}@${digest}`, mediaType })
  } catch (error) {
    if (!isAbsent(error)) throw error
    return []
  }
}

/** The descriptors of an index of referrers. Throws `IMAGE_REGISTRY` for any other document. */
export function indexedIn(
  bytes: Uint8Array,
  { where, mediaType = mediaTypes.ociIndex }: { where: string; mediaType?: string | undefined },
): Descriptor[] {
  const index = parseManifest(bytes, where, mediaType)
  if (index.kind !== 'index') throw imageError('IMAGE_REGISTRY', `read ${where}: the answer is no index`)
  return index.manifests
}

/**
 * Adds a manifest to those that refer to `subject`, as whoever pushes to such a registry must ("Pushing Manifests with
 * Subject"). Two that do so at the same time may lose one: the schema knows no lock. Throws like `request` of the client.
 */
export async function addReferrerByTag(
  client: RegistryClient,
  { repository, subject, referrer }: { repository: Repository; subject: Digest; referrer: Descriptor },
  access: Access,
): Promise<void> {
  const there = await referrersByTag(client, { repository, digest: subject }, access)
  if (there.some(({ digest }) => digest === referrer.digest)) return
  const index = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [...there, referrer] }
  const answer = await client.request({
    repository,
    action: 'pull,push',
    method: 'PUT',
    path: `manifests/${tagOf(subject)}`,
    headers: { 'content-type': mediaTypes.ociIndex },
    body: Buffer.from(JSON.stringify(index)),
    ...access,
  })
  if (answer.status !== 201) throw await client.refused(answer, `push referrers of ${nameOf(repository)}@${subject}`)
  answer.discard()
}
