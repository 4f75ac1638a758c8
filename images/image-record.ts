import type { Digest } from './digest.ts'
import { imageError } from './errors.ts'
import type { Entry } from './index-file.ts'
import {
  type Descriptor,
  type ImageConfig,
  type ImageDocument,
  isImageConfig,
  type Manifest,
  type Platform,
  parseImageDocument,
  parseManifest,
} from './manifest.ts'
import type { BlobStore } from './store.ts'
import type { Layer } from './unpack-one.ts'

/** An image of this host. */
export interface ImageRecord {
  /** Digest of its configuration: the same for the same image, however its layers were packed. */
  id: Digest
  /** Its names, complete: with tag, and with the digest that its registry knows it by. */
  references: string[]
  /** Digest of its manifest. */
  digest: Digest
  /** Bytes of configuration and packed layers. */
  size: number
  /** When it was made, RFC 3339, if it says so. */
  created?: string
  author?: string
  config: ImageConfig
  platform: Platform
  /** Digests of its layers without compression, the lowest first. */
  diffIds: readonly Digest[]
}

/** An image's documents, read and checked against each other. */
export interface Image {
  manifest: Manifest
  document: ImageDocument
  layers: Layer[]
}

/** Reads the image behind a manifest that is in the store. Throws `IMAGE_MANIFEST_INVALID`, `IMAGE_UNSUPPORTED`. */
export async function readImage(blobs: BlobStore, digest: Digest): Promise<Image> {
  const manifest = asManifest(await blobs.readDocument(digest), digest)
  const document = parseImageDocument(await blobs.readDocument(manifest.config.digest), `configuration of ${digest}`)
  return { manifest, document, layers: layersOf(manifest, document, digest) }
}

/** The manifest of an image; an index or an artifact is none. */
export function asManifest(bytes: Uint8Array, where: string, announced?: string): Manifest {
  const manifest = parseManifest(bytes, where, announced)
  if (manifest.kind !== 'manifest')
    throw imageError('IMAGE_MANIFEST_INVALID', `read ${where}: an index within an index`)
  if (!isImageConfig(manifest.config.mediaType)) {
    throw imageError(
      'IMAGE_UNSUPPORTED',
      `read ${where}: it holds ${manifest.config.mediaType}, which is no container image`,
    )
  }
  return manifest
}

/** Each layer with the digest of its contents. */
export function layersOf(manifest: Manifest, document: ImageDocument, where: string): Layer[] {
  const { diffIds } = document
  if (diffIds.length !== manifest.layers.length) {
    const counts = `${manifest.layers.length} layers, the configuration ${diffIds.length}`
    throw imageError('IMAGE_MANIFEST_INVALID', `read ${where}: the manifest has ${counts}`)
  }
  return manifest.layers.flatMap((descriptor, at) => {
    const diffId = diffIds[at]
    return diffId ? [{ descriptor, diffId }] : []
  })
}

/** The record of an image under all the names that entries of the index give it. */
export function recordOf(image: Image, entries: readonly Entry[]): ImageRecord {
  const { manifest, document } = image
  const names = entries.flatMap(({ reference }) => reference ?? [])
  return {
    id: manifest.config.digest,
    references: [...new Set(names)].sort(),
    digest: entries[0]?.digest ?? manifest.config.digest,
    size: manifest.layers.reduce((sum, { size }) => sum + size, manifest.config.size),
    ...(document.created === undefined ? {} : { created: document.created }),
    ...(document.author === undefined ? {} : { author: document.author }),
    config: document.config,
    platform: {
      os: document.os,
      architecture: document.architecture,
      ...(document.variant === undefined ? {} : { variant: document.variant }),
    },
    diffIds: document.diffIds,
  }
}

/** What an index says of a manifest of this length. */
export function describe(digest: Digest, size: number, manifest: Manifest): Descriptor {
  return { mediaType: manifest.mediaType, digest, size }
}
