import { chmod, mkdir, open, rm } from 'node:fs/promises'
import { errnoOf, hasCode } from '../runtime/base/errors.ts'
import type { LayerReport } from './apply-layer.ts'
import type { Arrival } from './arrivals.ts'
import type { Digest } from './digest.ts'
import { compressionOf, type Descriptor } from './manifest.ts'
import type { BlobStore } from './store.ts'
import type { LayerJob, UnpackThreads } from './unpack.ts'

/** A layer of an image: its blob, and the digest of what is in it. */
export interface Layer {
  descriptor: Descriptor
  diffId: Digest
}

/** What one layer is unpacked with. */
export interface Unpacker {
  blobs: Pick<BlobStore, 'pathOf' | 'arrivals'>
  threads: UnpackThreads
  maximumLayerBytes: number
}

export interface OneLayer {
  layer: Layer
  /** A path where nothing is yet. */
  directory: string
  /** Resolves when the blob is in the store, rejects when it will not come. */
  ready: Promise<void>
  /** Gives up. */
  signal: AbortSignal
  onProgress: (bytes: number) => void
}

/**
 * Unpacks a layer into a new folder, while its blob is still coming if there is a thread for that. The folder is good only
 * when this returns: then the digest of the blob and that of its contents have been verified. After it has settled, nobody
 * writes there any more. Throws what `ready` and `unpackLayer` throw.
 */
export async function unpackOne(unpacker: Unpacker, one: OneLayer): Promise<LayerReport> {
  const { layer, directory, signal } = one
  const ready = orAborted(one.ready, signal)
  const arrival = await unpacker.blobs.arrivals.of(layer.descriptor.digest, ready)
  const early = arrival && (await unpackAlong(unpacker, arrival, { ...one, ready }))
  // What bytes of anybody's choice have led to says nothing, be it good or bad. Their own error comes first.
  await ready
  signal.throwIfAborted()
  if (early && arrival?.state === 'verified') {
    if ('report' in early) return early.report
    throw early.error
  }
  // Those that came were other bytes than the ones that were verified in the end, or no thread was free.
  await makeEmpty(directory)
  await using file = await open(unpacker.blobs.pathOf(layer.descriptor.digest))
  return await unpacker.threads.unpack(jobOf(unpacker, one, file.fd), one)
}

/** Undefined if it could not be tried. Throws only what is reason enough to stop the download. */
async function unpackAlong(
  unpacker: Unpacker,
  arrival: Arrival,
  one: OneLayer,
): Promise<{ report: LayerReport } | { error: unknown } | undefined> {
  const broken = new AbortController()
  const breakOff = () => broken.abort(new Error('the blob did not come to its end'))
  const look = () => {
    if (arrival.state === 'broken') breakOff()
  }
  // It may come to its end for others, when this one has lost interest.
  one.ready.catch(breakOff)
  await makeEmpty(one.directory)
  // It may have got its name by now, or be gone.
  await using file = await open(arrival.path).catch(absent)
  if (!file) return undefined
  const leave = arrival.watch(look)
  look()
  const signal = AbortSignal.any([one.signal, broken.signal])
  try {
    const unpacking = unpacker.threads.unpackAlong(jobOf(unpacker, one, file.fd), arrival, { ...one, signal })
    return unpacking && { report: await unpacking }
  } catch (error) {
    if (hasCode(error, 'IMAGE_TOO_LARGE') || hasCode(error, 'IMAGE_STORE')) throw error
    return { error }
  } finally {
    leave()
  }
}

function jobOf({ maximumLayerBytes }: Unpacker, { layer, directory }: OneLayer, blob: number): LayerJob {
  const { descriptor, diffId } = layer
  return { blob, compression: compressionOf(descriptor), diffId, directory, maximumBytes: maximumLayerBytes }
}

async function makeEmpty(directory: string): Promise<void> {
  await rm(directory, { recursive: true, force: true })
  await mkdir(directory)
  await chmod(directory, 0o755)
}

/** The same, but rejects as soon as the signal says so. */
async function orAborted<Result>(promise: Promise<Result>, signal: AbortSignal): Promise<Result> {
  signal.throwIfAborted()
  const aborted = Promise.withResolvers<never>()
  const abort = () => aborted.reject(signal.reason)
  signal.addEventListener('abort', abort, { once: true })
  try {
    return await Promise.race([promise, aborted.promise])
  } finally {
    signal.removeEventListener('abort', abort)
  }
}

/** No such file is an answer, all else an error. */
function absent(error: unknown): undefined {
  if (errnoOf(error) === 'ENOENT') return undefined
  throw error
}
