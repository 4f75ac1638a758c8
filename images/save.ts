import { randomUUID } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'
import { type Pack, pack } from 'tar-stream'
import type { Digest } from './digest.ts'
import { hexOf } from './digest.ts'
import type { Image } from './image-record.ts'
import { type Entry, referenceName } from './index-file.ts'
import { mediaTypes } from './manifest.ts'
import type { BlobStore } from './store.ts'

/** An image with the names under which it is to be found in the archive. */
export interface Saved {
  entries: readonly Entry[]
  image: Image
}

/**
 * Writes an OCI archive: a tar of an image layout (image specification, image-layout.md). The file appears whole or not
 * at all; blobs go into it piece by piece.
 */
export async function saveArchive(blobs: BlobStore, images: readonly Saved[], file: string): Promise<void> {
  const temporary = `${file}.${randomUUID()}`
  const tar = pack()
  try {
    await Promise.all([pipeline(tar, createWriteStream(temporary, { mode: 0o644 })), fill(tar, blobs, images)])
    await rename(temporary, file)
  } catch (error) {
    tar.destroy()
    await rm(temporary, { force: true })
    throw error
  }
}

async function fill(tar: Pack, blobs: BlobStore, images: readonly Saved[]): Promise<void> {
  const manifests = images.flatMap(({ entries }) =>
    entries.map(({ reference, annotations, ...descriptor }) => ({
      ...descriptor,
      annotations: { ...annotations, ...(reference === undefined ? {} : { [referenceName]: reference }) },
    })),
  )
  tar.entry({ name: 'oci-layout' }, JSON.stringify({ imageLayoutVersion: '1.0.0' }))
  tar.entry({ name: 'index.json' }, JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests }))
  for (const [digest, size] of blobsOf(images)) {
    await pipeline(createReadStream(blobs.pathOf(digest)), tar.entry({ name: `blobs/sha256/${hexOf(digest)}`, size }))
  }
  tar.finalize()
}

/** Every blob once, however many images share it, with its size. */
function blobsOf(images: readonly Saved[]): Map<Digest, number> {
  const all = new Map<Digest, number>()
  for (const { entries, image } of images) {
    for (const { digest, size } of [...entries, image.manifest.config, ...image.manifest.layers]) all.set(digest, size)
  }
  return all
}
