import { lstat, readdir } from 'node:fs/promises'
import { errnoOf } from '../runtime/base/errors.ts'
import type { Catalog } from './catalog.ts'
import { chainIds, type Digest } from './digest.ts'
import type { ImageRecord } from './image-record.ts'
import type { Snapshots } from './snapshot.ts'
import type { BlobStore } from './store.ts'

export interface ImageUsage {
  total: number
  active: number
  /** Bytes of packed layers and documents. */
  size: number
  reclaimable: number
}

/** What one image takes on the disk: packed blobs and unpacked layers. Bytes. */
export interface ImageDiskUse {
  image: ImageRecord
  size: number
  /** Of that, what other images use too. */
  shared: number
  /** What would be free without the image. */
  unique: number
  /** Containers that lie on it. */
  containers: string[]
}

/** What one container has written. Bytes on the disk. */
export interface ContainerDiskUse {
  id: string
  /** Name of its image. */
  image: string
  size: number
  files: number
}

export interface DiskUsage {
  images: ImageDiskUse[]
  containers: ContainerDiskUse[]
}

export interface UsageParts {
  blobs: BlobStore
  catalog: Catalog
  snapshots: Snapshots
}

/** Manifests of images that containers lie on, each with the ids of those. */
export async function containersByImage(snapshots: Snapshots): Promise<Map<Digest, string[]>> {
  const users = new Map<Digest, string[]>()
  for (const id of await snapshots.containers()) {
    const record = await snapshots.container(id)
    if (record) users.set(record.manifest, [...(users.get(record.manifest) ?? []), id])
  }
  return users
}

/** Sums over all images by the sizes that their manifests tell; looks at no file. */
export async function imageUsage({ catalog, snapshots }: UsageParts): Promise<ImageUsage> {
  const used = await containersByImage(snapshots)
  const images = await Promise.all(
    (await catalog.list()).map(async ({ digest }) => ({
      image: await catalog.image(digest),
      active: used.has(digest),
    })),
  )
  const bytesOf = (some: typeof images) => {
    const blobs = some.flatMap(({ image: { manifest } }) => [manifest.config, ...manifest.layers])
    const sizes = new Map(blobs.map(({ digest, size }) => [digest, size]))
    return [...sizes.values()].reduce((sum, size) => sum + size, 0)
  }
  const active = images.filter((each) => each.active)
  const size = bytesOf(images)
  return { total: images.length, active: active.length, size, reclaimable: size - bytesOf(active) }
}

/** Image by image and container by container, as the disk has it: every folder is walked through. */
export async function diskUsage(parts: UsageParts): Promise<DiskUsage> {
  const { catalog, snapshots } = parts
  const users = await containersByImage(snapshots)
  const records = await catalog.list()
  const pieces = await Promise.all(records.map((record) => piecesOf(parts, record)))
  const owners = new Map<string, number>()
  for (const own of pieces) for (const path of own) owners.set(path, (owners.get(path) ?? 0) + 1)
  const sizes = new Map<string, number>()
  // One after the other: each is many questions to the disk already.
  for (const path of owners.keys()) sizes.set(path, (await treeUsage(path)).bytes)
  const images = records.map((image, at): ImageDiskUse => {
    const own = [...(pieces[at] ?? [])]
    const sum = (paths: readonly string[]) => paths.reduce((total, path) => total + (sizes.get(path) ?? 0), 0)
    const [size, unique] = [sum(own), sum(own.filter((path) => owners.get(path) === 1))]
    return { image, size, unique, shared: size - unique, containers: users.get(image.digest) ?? [] }
  })
  return { images, containers: await containerUsage(snapshots) }
}

/** Files and folders that an image needs. */
export async function piecesOf(
  { blobs, catalog, snapshots }: UsageParts,
  { digest }: ImageRecord,
): Promise<Set<string>> {
  const { manifest, document } = await catalog.image(digest)
  const packed = [digest, manifest.config.digest, ...manifest.layers.map((layer) => layer.digest)]
  return new Set([...packed.map(blobs.pathOf), ...snapshots.lowerOf(chainIds(document.diffIds))])
}

async function containerUsage(snapshots: Snapshots): Promise<ContainerDiskUse[]> {
  const uses: ContainerDiskUse[] = []
  for (const id of await snapshots.containers()) {
    const record = await snapshots.container(id)
    if (!record) continue
    const { bytes, files } = await treeUsage(snapshots.overlayOf(id, record).upper)
    uses.push({ id, image: record.reference, size: bytes, files })
  }
  return uses
}

/** Bytes on the disk (not lengths of files), hard links once, and how many things there are; nothing for what is gone. */
export async function treeUsage(path: string): Promise<{ bytes: number; files: number }> {
  const seen = new Set<string>()
  const use = { bytes: 0, files: 0 }
  const visit = async (each: Buffer): Promise<void> => {
    const stat = await lstat(each).catch(absent)
    if (!stat) return
    const key = `${stat.dev}:${stat.ino}`
    if (stat.nlink > 1 && !stat.isDirectory()) {
      if (seen.has(key)) return
      seen.add(key)
    }
    use.bytes += stat.blocks * 512
    use.files++
    if (!stat.isDirectory()) return
    const names = await readdir(each, { encoding: 'buffer' }).catch(absent)
    for (const name of names ?? []) await visit(Buffer.concat([each, Buffer.from('/'), name]))
  }
  await visit(Buffer.from(path))
  return use
}

function absent(error: unknown): undefined {
  if (errnoOf(error) === 'ENOENT') return undefined
  throw error
}
