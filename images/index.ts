import { access, constants, mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type Clock, systemClock } from '../runtime/base/clock.ts'
import { messageOf } from '../runtime/base/errors.ts'
import type { Log } from '../runtime/base/log.ts'
import { Catalog } from './catalog.ts'
import { imageError } from './errors.ts'
import { ifIdle } from './garbage.ts'
import type { Images } from './images.ts'
import { openIndexFile } from './index-file.ts'
import { LastUses } from './last-use.ts'
import { ImageLibrary } from './library.ts'
import { directAccess, type RegistryAccess } from './registry/access.ts'
import { RegistryClient } from './registry/client.ts'
import { SingleFlight } from './single-flight.ts'
import { Slots } from './slots.ts'
import { Snapshots } from './snapshot.ts'
import { openBlobStore, sweepPartial } from './store.ts'

export type { BuildOptions } from './build.ts'
export type { StoreCheck, StoreFault } from './check.ts'
export type { CommitOptions } from './commit.ts'
export { type CopyOptions, copyBetween, extractInto, type Place, tarOfSource } from './copy.ts'
export type { Change } from './diff.ts'
export type { Reclaimed, ReclaimOptions } from './disk-pressure.ts'
export { type ImageErrorCode, imageErrors } from './errors.ts'
export type { HistoryStep } from './history.ts'
export { busyboxImage, nodeImage } from './host-images.ts'
export type { ImageRecord } from './image-record.ts'
export type { Images, PullRequest, UnpackRequest } from './images.ts'
export type { ImportOptions } from './import.ts'
export type { Descriptor, ImageConfig } from './manifest.ts'
export type { PullProgress } from './pull.ts'
export { formatReference, parseReference, type Reference } from './reference.ts'
export { directAccess, type RegistryAccess } from './registry/access.ts'
export type { Credentials } from './registry/auth.ts'
export { credentialsOf, lookUp } from './registry/docker-config.ts'
export { fileKeychain } from './registry/keychain.ts'
export type { PushProgress } from './registry/push.ts'
export { readRegistries } from './registry/registries.ts'
export { openRemoteImages, type RemoteImages } from './registry/remote.ts'
export type { Removal } from './remove.ts'
export { type SaveFormat, saveFormats } from './save.ts'
export type { Overlay } from './snapshot.ts'
export type { ContainerDiskUse, DiskUsage, ImageDiskUse, ImageUsage } from './usage.ts'

export interface ImagesOptions {
  /** Folder of the store, an OCI image layout; created if it is not there. Several processes may use it. */
  root: string
  log: Log
  /** Registries, and how they are reached; without it directly, with TLS, and as nobody. */
  access?: RegistryAccess
  /** Most bytes of one layer without compression; default 64 GiB. */
  maximumLayerBytes?: number
  /** Most blobs that are fetched at a time, by all pulls together; default 6. */
  simultaneousDownloads?: number
  clock?: Clock
}

const defaultMaximumLayerBytes = 64 * 1024 ** 3
const defaultDownloads = 6

/** Opens the store. Throws `IMAGE_STORE` when its folder cannot be written. */
export async function openImages(options: ImagesOptions): Promise<Images> {
  const { root, log } = options
  await requireWritable(root)
  const blobs = await openBlobStore(root)
  const index = await openIndexFile(root)
  const snapshots = new Snapshots({
    root,
    log,
    blobs,
    maximumLayerBytes: options.maximumLayerBytes ?? defaultMaximumLayerBytes,
  })
  await snapshots.prepareFolders()
  const catalog = new Catalog({ blobs, index, log })
  const puller = {
    isKnown: async (name: string) => (await catalog.find(name)) !== undefined,
    registry: new RegistryClient({
      clock: options.clock ?? systemClock,
      random: Math.random,
      ...(options.access ?? directAccess),
    }),
    blobs,
    snapshots,
    flights: new SingleFlight<void>(),
    downloads: new Slots(options.simultaneousDownloads ?? defaultDownloads),
  }
  await ifIdle(root, async () => {
    await snapshots.sweep()
    await sweepPartial(root, Date.now())
    await rm(join(root, 'ingest'), { recursive: true, force: true })
    // Another process that opens the store may have made it again already.
    await mkdir(join(root, 'ingest'), { recursive: true })
  })
  const clock = options.clock ?? systemClock
  return new ImageLibrary({ root, log, clock, blobs, catalog, snapshots, puller, uses: new LastUses(root) })
}

/** Asked first: below a folder that is read-only, mkdir with `recursive` says that something does not exist. */
async function requireWritable(root: string): Promise<void> {
  try {
    await mkdir(root, { recursive: true, mode: 0o700 })
    await access(root, constants.W_OK)
  } catch (error) {
    throw imageError('IMAGE_STORE', `open image store ${root}: ${messageOf(error)}`, { cause: error })
  }
}
