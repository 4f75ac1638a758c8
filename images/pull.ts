import { chooseManifest } from './choose-manifest.ts'
import type { Digest } from './digest.ts'
import { imageError } from './errors.ts'
import { asManifest, describe, layersOf } from './image-record.ts'
import { type Descriptor, type ImageDocument, type Platform, parseImageDocument } from './manifest.ts'
import { canRun, nameOf } from './platform.ts'
import { formatReference, pinned, type Reference } from './reference.ts'
import type { RegistryClient } from './registry/client.ts'
import type { Access } from './registry/session.ts'
import type { SingleFlight } from './single-flight.ts'
import type { Slots } from './slots.ts'
import type { Snapshots } from './snapshot.ts'
import type { BlobStore } from './store.ts'

/** How far a blob has come. */
export interface PullProgress {
  digest: Digest
  /** Bytes of the packed blob: those that came, or in state `extracting` those that are unpacked. */
  received: number
  total: number
  state: 'waiting' | 'downloading' | 'there' | 'downloaded' | 'extracting' | 'complete'
}

export interface PullOptions extends Access {
  onProgress: ((progress: PullProgress) => void) | undefined
  platform: Platform
}

/** What a pull works with. */
export interface Puller {
  /** Whether the store has an image of that name: most likely there is nothing to unpack then. */
  isKnown(name: string): Promise<boolean>
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
 * Fetches an image and unpacks its layers, each while it comes. Every document is verified before anything is made of
 * it, every layer before it can be used.
 */
export async function pullImage(puller: Puller, reference: Reference, options: PullOptions): Promise<Pulled> {
  // A thread is ready when the first bytes come, and all stay to the end.
  const release = puller.snapshots.holdThreads({ warm: !(await puller.isKnown(formatReference(reference))) })
  try {
    return await fetchImage(puller, reference, options)
  } finally {
    release()
  }
}

async function fetchImage(puller: Puller, reference: Reference, options: PullOptions): Promise<Pulled> {
  const repository = { domain: reference.domain, path: reference.path }
  const name = formatReference(reference)
  const wanted = reference.digest ?? reference.tag ?? ''
  const top = await puller.registry.manifest(repository, wanted, options)
  const chosen = await chooseManifest(top, {
    name,
    wanted: options.platform,
    fetch: (digest) => puller.registry.manifest(repository, digest, options),
  })
  const where = `${name} (${chosen.digest})`
  const manifest = asManifest(chosen.bytes, where, chosen.mediaType)
  // The first failure stops the rest, and nothing goes on behind the caller's back.
  const stop = new AbortController()
  const signal = options.signal ? AbortSignal.any([options.signal, stop.signal]) : stop.signal
  const fetches = new Map<Digest, Promise<void>>()
  const fetchBlob = (descriptor: Descriptor) => {
    const fetched =
      fetches.get(descriptor.digest) ?? download(puller, { repository, descriptor, options: { ...options, signal } })
    fetches.set(descriptor.digest, fetched)
    return fetched
  }
  await fetchBlob(manifest.config)
  const document = parseImageDocument(await puller.blobs.readDocument(manifest.config.digest), where)
  requirePlatform(document, where, options.platform)
  const layers = layersOf(manifest, document, where)
  for (const { descriptor } of layers) tell(options, descriptor, 'waiting')
  /** Of those that are still coming only that is told. */
  const there = new Set<Digest>()
  const work = [
    puller.snapshots.ensure(
      layers,
      async ({ descriptor }) => {
        await fetchBlob(descriptor)
        there.add(descriptor.digest)
        tell(options, descriptor, 'extracting')
      },
      ({ descriptor }, bytes) => there.has(descriptor.digest) && tellUnpacked(options, descriptor, bytes),
    ),
    // Layers that are unpacked already are kept packed too: an image can be pushed, saved and unpacked again.
    ...layers.map(({ descriptor }) => fetchBlob(descriptor)),
  ]
  try {
    await Promise.all(work)
  } catch (error) {
    stop.abort(error)
    // Unpacking does not wait for the other layers when one has failed.
    await Promise.allSettled([...work, ...fetches.values()])
    throw error
  }
  for (const { descriptor } of layers) tell(options, descriptor, 'complete')
  await puller.blobs.writeDocument(chosen.bytes)
  const descriptor = describe(chosen.digest, chosen.bytes.length, manifest)
  return { descriptor, references: [...new Set([name, pinned(reference, top.digest)])] }
}

function requirePlatform(document: ImageDocument, name: string, wanted: Platform): void {
  if (canRun(document, wanted)) return
  const [is, asked] = [nameOf(document), nameOf(wanted)]
  throw imageError('IMAGE_PLATFORM_MISSING', `pull ${name}: it is for ${is}, not for ${asked}`)
}

async function download(
  puller: Puller,
  o: { repository: { domain: string; path: string }; descriptor: Descriptor; options: PullOptions },
): Promise<void> {
  const { descriptor, options } = o
  const { digest, size } = descriptor
  if (await puller.blobs.has(digest, size)) return tell(options, descriptor, 'there')
  await puller.flights.run(digest, options.signal, (signal) =>
    puller.downloads.run(async () => {
      // Whoever had this flight before may have stored it between our look and its start.
      if (await puller.blobs.has(digest, size)) return
      const fetch = (have: number) =>
        descriptor.data === undefined
          ? puller.registry.blob(o.repository, descriptor, { auth: options.auth, signal, skip: have })
          : embedded(descriptor.data, have)
      await puller.blobs.write((have) => counted(fetch(have), { descriptor, have, options }), { digest, size })
    }),
  )
  tell(options, descriptor, 'downloaded')
}

/** A descriptor may bring small contents along (image specification, descriptor.md, `data`); verified like others. */
async function* embedded(data: string, have: number): AsyncGenerator<Uint8Array> {
  yield Buffer.from(data, 'base64').subarray(have)
}

function tell({ onProgress }: PullOptions, { digest, size }: Descriptor, state: PullProgress['state']): void {
  const nothingYet = state === 'waiting' || state === 'extracting'
  onProgress?.({ digest, received: nothingYet ? 0 : size, total: size, state })
}

/** How much of a layer is unpacked. */
export function tellUnpacked(
  { onProgress }: Pick<PullOptions, 'onProgress'>,
  { digest, size }: Descriptor,
  bytes: number,
): void {
  onProgress?.({ digest, received: bytes, total: size, state: 'extracting' })
}

async function* counted(
  source: AsyncIterable<Uint8Array>,
  o: { descriptor: Descriptor; have: number; options: PullOptions },
): AsyncGenerator<Uint8Array> {
  const { digest, size } = o.descriptor
  let received = o.have
  for await (const chunk of source) {
    received += chunk.length
    yield chunk
    o.options.onProgress?.({ digest, received, total: size, state: 'downloading' })
  }
}
