import type { Digest } from '../digest.ts'
import { imageError } from '../errors.ts'
import type { Image } from '../image-record.ts'
import type { Reference } from '../reference.ts'
import type { BlobStore } from '../store.ts'
import type { RegistryClient } from './client.ts'
import { nameOf } from './endpoints.ts'
import { addReferrerByTag } from './referrers-tag.ts'
import type { Access } from './session.ts'
import { pushBlob } from './upload.ts'

/** How far a blob has come, in bytes; `state` when nothing had to be sent. */
export interface PushProgress {
  digest: Digest
  sent: number
  total: number
  state: 'sending' | 'there' | 'mounted' | 'sent'
}

export interface PushOptions extends Access {
  onProgress?: ((progress: PushProgress) => void) | undefined
  /** Other names of the same image: their repositories may have its layers already. */
  names?: readonly Reference[]
}

/** What a push works with. */
export interface Pusher {
  registry: RegistryClient
  blobs: BlobStore
}

/**
 * Sends an image to the registry of `reference`: first what it consists of, each blob only if the registry has not got it,
 * then the manifest under its tag (distribution specification 1.1, end-4, end-6, end-7), and what it refers to. Throws `IMAGE_UNAUTHORIZED`,
 * `IMAGE_REGISTRY` and, when the registry stores something else, `IMAGE_DIGEST_MISMATCH`.
 */
export async function pushImage(
  pusher: Pusher,
  to: { reference: Reference; image: Image; digest: Digest },
  { onProgress, names = [], auth, signal }: PushOptions,
): Promise<void> {
  const { reference, image } = to
  const repository = { domain: reference.domain, path: reference.path }
  const mountFrom = names.find(({ domain, path }) => domain === reference.domain && path !== reference.path)?.path
  // The first failure stops the rest, and nothing goes on behind the caller's back.
  const stop = new AbortController()
  const together = { auth, signal: signal ? AbortSignal.any([signal, stop.signal]) : stop.signal }
  const blobs = new Map([image.manifest.config, ...image.manifest.layers].map((blob) => [blob.digest, blob]))
  const work = [...blobs.values()].map(async (blob) => {
    const tell = (state: PushProgress['state'], sent: number) =>
      onProgress?.({ digest: blob.digest, sent, total: blob.size, state })
    tell('sending', 0)
    const file = pusher.blobs.pathOf(blob.digest)
    const push = { repository, blob, file, mountFrom, ...together, onProgress: (sent: number) => tell('sending', sent) }
    tell(await pushBlob(pusher.registry, push), blob.size)
  })
  try {
    await Promise.all(work)
  } catch (error) {
    stop.abort(error)
    await Promise.allSettled(work)
    throw error
  }
  await pushManifest(pusher, to, { auth, signal })
}

async function pushManifest(
  { registry, blobs }: Pusher,
  { reference, image, digest }: { reference: Reference; image: Image; digest: Digest },
  access: Access,
): Promise<void> {
  const repository = { domain: reference.domain, path: reference.path }
  const body = await blobs.readDocument(digest)
  const answer = await registry.request({
    repository,
    action: 'pull,push',
    method: 'PUT',
    path: `manifests/${reference.tag ?? digest}`,
    headers: { 'content-type': image.manifest.mediaType },
    body,
    ...access,
  })
  if (answer.status !== 201) throw await registry.refused(answer, `push manifest to ${nameOf(repository)}`)
  answer.discard()
  const stored = answer.header('docker-content-digest')
  if (stored !== undefined && stored !== digest) {
    const verb = `push ${nameOf(repository)}@${digest}`
    throw imageError('IMAGE_DIGEST_MISMATCH', `${verb}: the registry has stored ${JSON.stringify(stored)}`)
  }
  const { subject, artifactType, annotations, config, mediaType } = image.manifest
  // A registry that keeps track of referrers itself says so by this header.
  if (!subject || answer.header('oci-subject') !== undefined) return
  const type = { artifactType: artifactType ?? config.mediaType, ...(annotations ? { annotations } : {}) }
  const referrer = { mediaType, digest, size: body.length, ...type }
  await addReferrerByTag(registry, { repository, subject: subject.digest, referrer }, access)
}
