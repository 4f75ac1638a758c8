import { createReadStream } from 'node:fs'
import { Readable } from 'node:stream'
import type { Credentials } from './auth.ts'
import type { Digest } from './digest.ts'
import type { Image } from './image-record.ts'
import type { Descriptor } from './manifest.ts'
import type { Reference } from './reference.ts'
import { type RegistryClient, type Repository, refusal } from './registry.ts'
import type { BlobStore } from './store.ts'

export interface PushOptions {
  auth: Credentials | undefined
  signal: AbortSignal | undefined
}

/** What a push works with. */
export interface Pusher {
  registry: RegistryClient
  blobs: BlobStore
}

/**
 * Sends an image to the registry of `reference`: first what it consists of, each blob only if the registry has not got it,
 * then the manifest under its tag (distribution specification 1.1, end-4, end-6, end-7). Throws `IMAGE_UNAUTHORIZED`,
 * `IMAGE_REGISTRY` and, when the registry stores something else, `IMAGE_DIGEST_MISMATCH`.
 */
export async function pushImage(
  pusher: Pusher,
  to: { reference: Reference; image: Image; digest: Digest },
  options: PushOptions,
): Promise<void> {
  const { reference, image, digest } = to
  const repository = { domain: reference.domain, path: reference.path }
  const { manifest } = image
  await Promise.all(
    [manifest.config, ...manifest.layers].map((blob) => pushBlob(pusher, { repository, blob, options })),
  )
  const response = await pusher.registry.request({
    repository,
    action: 'push',
    method: 'PUT',
    path: `manifests/${reference.tag ?? digest}`,
    headers: { 'content-type': manifest.mediaType },
    body: await pusher.blobs.readDocument(digest),
    ...options,
  })
  if (response.status !== 201) throw await refusal(response, repository, 'push manifest to')
  await response.body?.cancel()
}

interface BlobPush {
  repository: Repository
  blob: Descriptor
  options: PushOptions
}

async function pushBlob(pusher: Pusher, { repository, blob, options }: BlobPush): Promise<void> {
  const { registry, blobs } = pusher
  const common = { repository, action: 'push', ...options } as const
  const there = await registry.request({ ...common, method: 'HEAD', path: `blobs/${blob.digest}` })
  await there.body?.cancel()
  if (there.status === 200) return
  const begun = await registry.request({ ...common, method: 'POST', path: 'blobs/uploads/' })
  const location = begun.headers.get('location')
  if (begun.status !== 202 || !location) throw await refusal(begun, repository, `push blob ${blob.digest} to`)
  await begun.body?.cancel()
  // The address is relative to the one that gave it, and may carry a state of the upload as its query.
  const address = new URL(location, begun.url)
  address.searchParams.set('digest', blob.digest)
  const sent = await registry.request({
    ...common,
    method: 'PUT',
    path: address.href,
    headers: { 'content-type': 'application/octet-stream', 'content-length': String(blob.size) },
    body: Readable.toWeb(createReadStream(blobs.pathOf(blob.digest))) as ReadableStream,
  })
  if (sent.status !== 201) throw await refusal(sent, repository, `push blob ${blob.digest} to`)
  await sent.body?.cancel()
}
