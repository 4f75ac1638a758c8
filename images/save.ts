import { randomUUID } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { copyFile, mkdir, readdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable, type Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { errnoOf } from '../runtime/base/errors.ts'
import { uncompressedFile } from './compression.ts'
import { type Digest, hexOf } from './digest.ts'
import { imageError } from './errors.ts'
import type { Image } from './image-record.ts'
import { type Entry, referenceName } from './index-file.ts'
import { compressionOf, mediaTypes } from './manifest.ts'
import type { BlobStore } from './store.ts'
import type { TarHeader } from './tar-reader.ts'
import { encodeTarHeader, tarEnd, tarPadding } from './tar-writer.ts'

/** An image with the names under which it is to be found in the archive. */
export interface Saved {
  entries: readonly Entry[]
  image: Image
}

/** `oci-archive` and `oci-dir`: a layout of the image specification, as tar or folder; `docker-archive`: `docker save`. */
export const saveFormats = ['oci-archive', 'docker-archive', 'oci-dir'] as const
export type SaveFormat = (typeof saveFormats)[number]

/** What a file of an archive holds: bytes, or those of a file of this host. */
interface Member {
  name: string
  content: string | { path: string; size: number }
}

/**
 * Writes images. A file or folder appears whole or not at all; to a stream it goes piece by piece. `scratch` takes layers
 * that must be unpacked for Docker. Throws `IMAGE_ARCHIVE_INVALID` for a folder that holds something already.
 */
export async function saveImages(
  blobs: BlobStore,
  images: readonly Saved[],
  o: { format: SaveFormat; to: string | Writable; scratch: string },
): Promise<void> {
  const { format, to } = o
  const scratch = join(o.scratch, randomUUID())
  try {
    const members = format === 'docker-archive' ? dockerMembers(blobs, images, scratch) : layoutMembers(blobs, images)
    if (format === 'oci-dir') await writeFolder(members, to)
    else if (typeof to === 'string') await writeWhole(to, (file) => pipeline(tarOf(members), createWriteStream(file)))
    else await pipeline(Readable.from(tarOf(members)), to)
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
}

async function writeFolder(members: AsyncIterable<Member>, to: string | Writable): Promise<void> {
  if (typeof to !== 'string') throw imageError('IMAGE_ARCHIVE_INVALID', 'save as oci-dir: a folder cannot be a stream')
  if ((await namesIn(to)).length > 0) throw imageError('IMAGE_ARCHIVE_INVALID', `save to ${to}: it is not empty`)
  await writeWhole(to, async (folder) => {
    await mkdir(join(folder, 'blobs', 'sha256'), { recursive: true })
    for await (const { name, content } of members) {
      if (typeof content === 'string') await writeFile(join(folder, name), content)
      else await copyFile(content.path, join(folder, name))
    }
  })
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return []
    if (errnoOf(error) !== 'ENOTDIR') throw error
    throw imageError('IMAGE_ARCHIVE_INVALID', `save to ${folder}: it is a file`, { cause: error })
  }
}

async function writeWhole(to: string, write: (temporary: string) => Promise<void>): Promise<void> {
  const temporary = `${to}.${randomUUID()}`
  try {
    await write(temporary)
    await rename(temporary, to)
  } catch (error) {
    await rm(temporary, { recursive: true, force: true })
    throw error
  }
}

async function* tarOf(members: AsyncIterable<Member>): AsyncGenerator<Uint8Array> {
  for await (const { name, content } of members) {
    const size = typeof content === 'string' ? Buffer.byteLength(content) : content.size
    yield encodeTarHeader({ ...plainFile, name: Buffer.from(name), size })
    if (typeof content === 'string') yield Buffer.from(content)
    else yield* createReadStream(content.path, { highWaterMark: 1 << 20 }) as AsyncIterable<Buffer>
    yield tarPadding(size)
  }
  yield tarEnd
}

const plainFile: Omit<TarHeader, 'name' | 'size'> = {
  link: Buffer.alloc(0),
  type: 'file',
  mode: 0o644,
  uid: 0,
  gid: 0,
  mtime: 0n,
  major: 0,
  minor: 0,
  xattrs: new Map(),
}

async function* layoutMembers(blobs: BlobStore, images: readonly Saved[]): AsyncGenerator<Member> {
  const manifests = images.flatMap(({ entries }) =>
    entries.map(({ reference, annotations, ...descriptor }) => ({
      ...descriptor,
      annotations: { ...annotations, ...(reference === undefined ? {} : { [referenceName]: reference }) },
    })),
  )
  yield { name: 'oci-layout', content: JSON.stringify({ imageLayoutVersion: '1.0.0' }) }
  const index = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests }
  yield { name: 'index.json', content: JSON.stringify(index) }
  for (const [digest, size] of blobsOf(images)) {
    yield { name: `blobs/sha256/${hexOf(digest)}`, content: { path: blobs.pathOf(digest), size } }
  }
}

/** Every blob once, however many images share it, with its size. */
function blobsOf(images: readonly Saved[]): Map<Digest, number> {
  const all = new Map<Digest, number>()
  for (const { entries, image } of images) {
    for (const { digest, size } of [...entries, image.manifest.config, ...image.manifest.layers]) all.set(digest, size)
  }
  return all
}

/**
 * The archive of `docker save` before version 25, which every version loads: the configuration keeps its bytes, and with
 * them the image its id; layers are plain tar archives, called by what they hold, each once.
 */
async function* dockerMembers(blobs: BlobStore, images: readonly Saved[], scratch: string): AsyncGenerator<Member> {
  const written = new Set<string>()
  await mkdir(scratch, { recursive: true, mode: 0o700 })
  for (const { image } of images) {
    const { config } = image.manifest
    const name = `${hexOf(config.digest)}.json`
    if (!written.has(name)) yield { name, content: { path: blobs.pathOf(config.digest), size: config.size } }
    written.add(name)
    for (const layer of image.layers) {
      const tar = `${hexOf(layer.diffId)}.tar`
      if (written.has(tar)) continue
      written.add(tar)
      const plain = join(scratch, tar)
      const source = uncompressedFile(blobs.pathOf(layer.descriptor.digest), compressionOf(layer.descriptor))
      await pipeline(source, createWriteStream(plain, { mode: 0o600 }))
      yield { name: tar, content: { path: plain, size: (await stat(plain)).size } }
      await rm(plain)
    }
  }
  yield { name: 'manifest.json', content: JSON.stringify(images.map(dockerEntry)) }
}

function dockerEntry({ entries, image }: Saved) {
  // Docker knows names with tags only.
  const names = entries.flatMap(({ reference }) => (reference?.includes('@') === false ? [reference] : []))
  return {
    Config: `${hexOf(image.manifest.config.digest)}.json`,
    RepoTags: names.length > 0 ? names : null,
    Layers: image.layers.map(({ diffId }) => `${hexOf(diffId)}.tar`),
  }
}
