import { pipeline } from 'node:stream/promises'
import { createGzip } from 'node:zlib'
import { type Digest, finish, newHash } from './digest.ts'
import { describe } from './image-record.ts'
import { compressionOf, type Descriptor, layerMediaTypes, type Manifest, mediaTypes } from './manifest.ts'
import type { BlobStore } from './store.ts'
import type { Layer } from './unpack-one.ts'

/** Stores a layer that comes as a tar archive, packed with gzip, which every tool and registry can read. */
export async function addLayer(blobs: BlobStore, tar: AsyncIterable<Uint8Array>): Promise<Layer> {
  const hash = newHash()
  const hashed = async function* () {
    for await (const chunk of tar) {
      hash.update(chunk)
      yield chunk
    }
  }
  const gzip = createGzip()
  const [blob] = await Promise.all([blobs.add(gzip), pipeline(hashed, gzip)])
  return { descriptor: { mediaType: layerMediaTypes.gzip, ...blob }, diffId: finish(hash) }
}

/** Stores configuration and manifest of an image of layers that are in the store; its descriptor. */
export async function writeImage(
  blobs: BlobStore,
  o: { document: Readonly<Record<string, unknown>>; layers: readonly Layer[] },
): Promise<Descriptor> {
  const diffIds: Digest[] = o.layers.map(({ diffId }) => diffId)
  const configBytes = Buffer.from(JSON.stringify({ ...o.document, rootfs: { type: 'layers', diff_ids: diffIds } }))
  const digest = await blobs.writeDocument(configBytes)
  const manifest: Manifest = {
    kind: 'manifest',
    mediaType: mediaTypes.ociManifest,
    config: { mediaType: mediaTypes.ociConfig, digest, size: configBytes.length },
    // Layers of Docker's images keep their bytes, but a manifest of OCI calls them by its own types.
    layers: o.layers.map(({ descriptor }) => ({
      mediaType: layerMediaTypes[compressionOf(descriptor)],
      digest: descriptor.digest,
      size: descriptor.size,
    })),
  }
  const { kind: _, ...rest } = manifest
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, ...rest }))
  return describe(await blobs.writeDocument(bytes), bytes.length, manifest)
}
