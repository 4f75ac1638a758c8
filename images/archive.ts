import type { ArchiveFiles } from './archive-files.ts'
import { hexOf } from './digest.ts'
import { imageError } from './errors.ts'
import { asManifest, describe, layersOf } from './image-record.ts'
import { referenceName } from './index-file.ts'
import {
  type Descriptor,
  type Index,
  layerMediaTypes,
  mediaTypes,
  parseImageDocument,
  parseManifest,
} from './manifest.ts'
import { choosePlatform } from './platform.ts'
import { formatReference, parseReference } from './reference.ts'
import type { BlobStore } from './store.ts'

/** An image of an archive, now in the store. */
export interface Loaded {
  descriptor: Descriptor
  references: string[]
}

const containerdName = 'io.containerd.image.name'

/**
 * Stores every image of an archive: an OCI layout (skopeo's oci-archive, podman, containerd), or Docker's own format
 * (docker save, skopeo's docker-archive). Blobs are verified like downloaded ones. Throws `IMAGE_ARCHIVE_INVALID`,
 * `IMAGE_MANIFEST_INVALID`, `IMAGE_DIGEST_MISMATCH`, `IMAGE_UNSUPPORTED`.
 */
export async function loadArchive(files: ArchiveFiles, blobs: BlobStore, where: string): Promise<Loaded[]> {
  // Docker's newer archives are both; only the older description has all names.
  if (files.has('manifest.json')) return loadDocker(files, blobs, where)
  if (files.has('oci-layout') && files.has('index.json')) return loadLayout(files, blobs, where)
  throw imageError('IMAGE_ARCHIVE_INVALID', `load ${where}: it holds neither an OCI layout nor an archive of Docker`, {
    hint: 'make one with: skopeo copy … oci-archive:FILE, docker save, podman save',
  })
}

async function loadLayout(files: ArchiveFiles, blobs: BlobStore, where: string): Promise<Loaded[]> {
  const index = parseManifest(await files.read('index.json'), `index.json of ${where}`)
  if (index.kind !== 'index') throw imageError('IMAGE_ARCHIVE_INVALID', `load ${where}: index.json is no index`)
  if (index.manifests.length === 0) throw imageError('IMAGE_ARCHIVE_INVALID', `load ${where}: it holds no image`)
  const loaded: Loaded[] = []
  for (const descriptor of index.manifests) {
    const annotations = descriptor.annotations ?? {}
    const name = annotations[containerdName] ?? annotations[referenceName]
    const stored = await storeFromLayout(files, blobs, { descriptor, where })
    loaded.push({ descriptor: stored, references: name === undefined ? [] : nameOrNothing(name) })
  }
  return loaded
}

/** A bare tag names no image; such an image is found by its id. */
function nameOrNothing(name: string): string[] {
  return /[/:@]/.test(name) ? [formatReference(parseReference(name))] : []
}

async function storeFromLayout(
  files: ArchiveFiles,
  blobs: BlobStore,
  o: { descriptor: Descriptor; where: string },
): Promise<Descriptor> {
  const copy = async (descriptor: Descriptor) => {
    if (await blobs.has(descriptor.digest, descriptor.size)) return
    await blobs.write(files.stream(blobName(descriptor)), descriptor)
  }
  await copy(o.descriptor)
  const bytes = await blobs.readDocument(o.descriptor.digest)
  const document = parseManifest(bytes, `${o.descriptor.digest} of ${o.where}`, o.descriptor.mediaType)
  if (document.kind === 'index') return storeFromLayout(files, blobs, { ...o, descriptor: chooseIn(document, o.where) })
  const manifest = asManifest(bytes, `${o.descriptor.digest} of ${o.where}`, o.descriptor.mediaType)
  for (const descriptor of [manifest.config, ...manifest.layers]) await copy(descriptor)
  const config = parseImageDocument(await blobs.readDocument(manifest.config.digest), o.where)
  layersOf(manifest, config, o.where)
  return describe(o.descriptor.digest, bytes.length, manifest)
}

/** An index within the layout's own index is one image for several machines. */
function chooseIn(index: Index, where: string): Descriptor {
  const chosen = choosePlatform(index, where)
  if (chosen.mediaType === mediaTypes.ociIndex || chosen.mediaType === mediaTypes.dockerList) {
    throw imageError('IMAGE_ARCHIVE_INVALID', `load ${where}: an index within an index`)
  }
  return chosen
}

const blobName = ({ digest }: Descriptor) => `blobs/sha256/${hexOf(digest)}`

/** An entry of Docker's manifest.json. */
interface DockerImage {
  Config: string
  RepoTags: string[]
  Layers: string[]
}

async function loadDocker(files: ArchiveFiles, blobs: BlobStore, where: string): Promise<Loaded[]> {
  const images = parseDocker(await files.read('manifest.json'), where)
  const loaded: Loaded[] = []
  for (const image of images) {
    const references = image.RepoTags.map((name) => formatReference(parseReference(name)))
    loaded.push({ descriptor: await storeDocker(files, blobs, { image, where }), references })
  }
  return loaded
}

function parseDocker(bytes: Buffer, where: string): DockerImage[] {
  let value: unknown
  try {
    value = JSON.parse(bytes.toString())
  } catch (error) {
    throw imageError('IMAGE_ARCHIVE_INVALID', `load ${where}: manifest.json is no JSON`, { cause: error })
  }
  const isTexts = (list: unknown): list is string[] =>
    Array.isArray(list) && list.every((item) => typeof item === 'string')
  if (!Array.isArray(value) || value.length === 0) {
    throw imageError('IMAGE_ARCHIVE_INVALID', `load ${where}: manifest.json holds no image`)
  }
  return value.map((image: Partial<DockerImage> | null) => {
    const { Config, RepoTags, Layers } = image ?? {}
    if (typeof Config !== 'string' || !isTexts(Layers) || !isTexts(RepoTags ?? [])) {
      throw imageError('IMAGE_ARCHIVE_INVALID', `load ${where}: manifest.json has an entry without Config and Layers`)
    }
    return { Config, Layers, RepoTags: RepoTags ?? [] }
  })
}

/** Docker's archive has no manifest in our sense; one is written for it. Layers are checked when they are unpacked. */
async function storeDocker(
  files: ArchiveFiles,
  blobs: BlobStore,
  { image, where }: { image: DockerImage; where: string },
): Promise<Descriptor> {
  const configBytes = await files.read(image.Config)
  const document = parseImageDocument(configBytes, `${image.Config} of ${where}`)
  const config = {
    mediaType: mediaTypes.ociConfig,
    digest: await blobs.writeDocument(configBytes),
    size: configBytes.length,
  }
  const layers: Descriptor[] = []
  for (const name of image.Layers) {
    const mediaType = layerMediaTypes[await files.compressionOf(name)]
    layers.push({ mediaType, ...(await blobs.add(files.stream(name))) })
  }
  const text = JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociManifest, config, layers })
  const bytes = Buffer.from(text)
  const manifest = asManifest(bytes, where)
  layersOf(manifest, document, where)
  return describe(await blobs.writeDocument(bytes), bytes.length, manifest)
}
