import type { Digest } from './digest.ts'
import { imageError } from './errors.ts'
import { asManifest, describe, layersOf } from './image-record.ts'
import { type Descriptor, type ImageDocument, parseImageDocument, parseManifest } from './manifest.ts'
import { choosePlatform, hostPlatform, nameOf } from './platform.ts'
import { formatReference, pinned, type Reference } from './reference.ts'
import type { Access, FetchedManifest, RegistryClient } from './registry.ts'
import type { SingleFlight } from './single-flight.ts'
import type { Slots } from './slots.ts'
import type { Snapshots } from './snapshot.ts'
import type { BlobStore } from './store.ts'

/** How far a blob has come, in bytes. */
export interface PullProgress {
  digest: Digest
  received: number
  total: number
}

export interface PullOptions extends Access {
  onProgress: ((progress: PullProgress) => void) | undefined
}

/** What a pull works with. */
export interface Puller {
  registry: RegistryClient
  blobs: BlobStore
  snapshots: Snapshots
  /** One download for a blob, whoever wants it. */
  flights: SingleFlight<void>
  downloads: Slots
}

/** What was pulled: the manifest for this machine, and the names that now mean it. */
export interface Pulled {
  descriptor: Descriptor
  references: string[]
}

/**
 * Fetches an image and unpacks its layers, each as soon as it is there. Every document and layer is verified before
 * anything is made of it.
 */
export async function pullImage(puller: Puller, reference: Reference, options: PullOptions): Promise<Pulled> {
  const repository = { domain: reference.domain, path: reference.path }
  const name = formatReference(reference)
  const wanted = reference.digest ?? reference.tag ?? ''
  const top = await puller.registry.manifest(repository, wanted, options)
  const chosen = await chooseManifest(puller, top, { name, repository, access: options })
  const manifest = asManifest(chosen.bytes, name, chosen.mediaType)
  // The first failure stops the rest, and nothing goes on behind the caller's back.
  const stop = new AbortController()
  const signal = options.signal ? AbortSignal.any([options.signal, stop.signal]) : stop.signal
  const fetchBlob = (descriptor: Descriptor) =>
    download(puller, { repository, descriptor, options: { ...options, signal } })
  await fetchBlob(manifest.config)
  const document = parseImageDocument(await puller.blobs.readDocument(manifest.config.digest), name)
  requirePlatform(document, name)
  const layers = layersOf(manifest, document, name)
  const work = [
    puller.snapshots.ensure(layers, ({ descriptor }) => fetchBlob(descriptor)),
    // Layers that are unpacked already are kept packed too: an image can be pushed, saved and unpacked again.
    ...layers.map(({ descriptor }) => fetchBlob(descriptor)),
  ]
  try {
    await Promise.all(work)
  } catch (error) {
    stop.abort(error)
    await Promise.allSettled(work)
    throw error
  }
  await puller.blobs.writeDocument(chosen.bytes)
  const descriptor = describe(chosen.digest, chosen.bytes.length, manifest)
  return { descriptor, references: [...new Set([name, pinned(reference, top.digest)])] }
}

async function chooseManifest(
  puller: Puller,
  top: FetchedManifest,
  o: { name: string; repository: { domain: string; path: string }; access: Access },
): Promise<FetchedManifest> {
  const parsed = parseManifest(top.bytes, o.name, top.mediaType)
  if (parsed.kind === 'manifest') return top
  return puller.registry.manifest(o.repository, choosePlatform(parsed, o.name).digest, o.access)
}

function requirePlatform({ os, architecture }: ImageDocument, name: string): void {
  if (os === hostPlatform.os && architecture === hostPlatform.architecture) return
  const [is, wanted] = [nameOf({ os, architecture }), nameOf(hostPlatform)]
  throw imageError('IMAGE_PLATFORM_MISSING', `pull ${name}: it is for ${is}, this machine is ${wanted}`)
}

async function download(
  puller: Puller,
  o: { repository: { domain: string; path: string }; descriptor: Descriptor; options: PullOptions },
): Promise<void> {
  const { descriptor, options } = o
  const { digest, size } = descriptor
  if (await puller.blobs.has(digest, size)) return
  await puller.flights.run(digest, options.signal, (signal) =>
    puller.downloads.run(async () => {
      const source = puller.registry.blob(o.repository, descriptor, { auth: options.auth, signal })
      await puller.blobs.write(counted(source, { digest, total: size }, options.onProgress), { digest, size })
    }),
  )
}

async function* counted(
  source: AsyncIterable<Uint8Array>,
  { digest, total }: { digest: Digest; total: number },
  onProgress: PullOptions['onProgress'],
): AsyncGenerator<Uint8Array> {
  let received = 0
  for await (const chunk of source) {
    received += chunk.length
    yield chunk
    onProgress?.({ digest, received, total })
  }
}
