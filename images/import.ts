import { CoracleError, messageOf } from '../runtime/base/errors.ts'
import { compressionIn, uncompressedFile } from './compression.ts'
import { changeConfig } from './config-changes.ts'
import { finish, newHash } from './digest.ts'
import { imageError } from './errors.ts'
import { type Descriptor, layerMediaTypes } from './manifest.ts'
import { addLayer, writeImage } from './new-image.ts'
import { hostPlatform } from './platform.ts'
import { formatReference, parseReference } from './reference.ts'
import { type BlobStore, fileSource } from './store.ts'
import type { Layer } from './unpack-one.ts'

export interface ImportOptions {
  /** Name of the new image; without one it is found by its id only. */
  ref?: string
  /** Instructions of a Dockerfile, see `changeConfig`. */
  changes?: readonly string[]
  message?: string
}

/**
 * Makes an image of one layer from a tar archive of a root, also packed with gzip or zstd, whose bytes it keeps then. The
 * archive is checked when it is unpacked. Throws `IMAGE_ARCHIVE_INVALID`, `IMAGE_BUILD`, `IMAGE_UNSUPPORTED`.
 */
export async function importRoot(
  blobs: BlobStore,
  file: string,
  o: ImportOptions & { now: number; shownAs: string },
): Promise<{ descriptor: Descriptor; references: string[] }> {
  const references = o.ref === undefined ? [] : [formatReference(parseReference(o.ref))]
  const config = changeConfig({}, o.changes ?? [])
  const created = new Date(o.now).toISOString()
  const layer = await layerOf(blobs, file, o.shownAs)
  const step = { created, created_by: `coracle images import ${o.shownAs}`, comment: o.message ?? 'imported' }
  const document = { created, ...hostPlatform, config, history: [step] }
  return { descriptor: await writeImage(blobs, { document, layers: [layer] }), references }
}

async function layerOf(blobs: BlobStore, file: string, shownAs: string): Promise<Layer> {
  const compression = await compressionIn(file, 0)
  if (compression === 'none') return addLayer(blobs, fileSource(file, undefined))
  const hash = newHash()
  try {
    for await (const chunk of uncompressedFile(file, compression)) hash.update(chunk)
  } catch (error) {
    if (error instanceof CoracleError) throw error
    throw imageError('IMAGE_ARCHIVE_INVALID', `read ${shownAs}: ${messageOf(error)}`, { cause: error })
  }
  const blob = await blobs.add(fileSource(file, undefined))
  return { descriptor: { mediaType: layerMediaTypes[compression], ...blob }, diffId: finish(hash) }
}
