import type { Writable } from 'node:stream'
import type { BuildOptions } from './build.ts'
import type { StoreCheck } from './check.ts'
import type { CommitOptions } from './commit.ts'
import type { Change } from './diff.ts'
import type { Reclaimed, ReclaimOptions } from './disk-pressure.ts'
import type { HistoryStep } from './history.ts'
import type { ImageRecord } from './image-record.ts'
import type { ImportOptions } from './import.ts'
import type { ImageConfig } from './manifest.ts'
import type { PullProgress } from './pull.ts'
import type { Credentials } from './registry/auth.ts'
import type { PushProgress } from './registry/push.ts'
import type { Removal } from './remove.ts'
import type { SaveFormat } from './save.ts'
import type { Overlay } from './snapshot.ts'
import type { DiskUsage, ImageUsage } from './usage.ts'

export interface PullRequest {
  auth?: Credentials
  signal?: AbortSignal
  onProgress?: (progress: PullProgress) => void
  /** `linux/arm64`, `linux/arm/v7`; this machine's when left out. */
  platform?: string
}

export interface PushRequest {
  auth?: Credentials
  signal?: AbortSignal
  onProgress?: (progress: PushProgress) => void
}

/** Of `load` and `import`: only the state `extracting`. */
export interface UnpackRequest {
  onProgress?: ((progress: PullProgress) => void) | undefined
}

/** The images of this host, and the writable layers of its containers. Errors carry the codes of `errors.ts`. */
export interface Images {
  /** Fetches and unpacks an image; what is there is not fetched again. */
  pull(ref: string, request?: PullRequest): Promise<ImageRecord>
  /** Sends an image to the registry that its name says; what is there already is not sent again. */
  push(ref: string, request?: PushRequest): Promise<void>
  /** All images of an archive (OCI or Docker's, also packed with gzip or zstd), or of the folder of an OCI layout. */
  load(source: string | AsyncIterable<Uint8Array>, options?: UnpackRequest): Promise<ImageRecord[]>
  /** An image of one layer, from a tar archive of a root; also packed with gzip or zstd. */
  import(source: string | AsyncIterable<Uint8Array>, options?: ImportOptions & UnpackRequest): Promise<ImageRecord>
  /** Makes an image of what a container has written and what it lies on. */
  commit(containerId: string, options?: Omit<CommitOptions, 'now'>): Promise<ImageRecord>
  /** What a container has added, changed and deleted, in the order of paths. Throws `IMAGE_NOT_FOUND`. */
  diff(containerId: string): Promise<Change[]>
  /** Composes an image from files of this host. */
  build(options: BuildOptions): Promise<ImageRecord>
  /**
   * Runs `act` with the root of a container, for `copyBetween` and its like. `pid`: of a process in it, when it has one.
   * Throws `IMAGE_NOT_FOUND`.
   */
  withRoot<Result>(
    containerId: string,
    pid: number | undefined,
    act: (root: number) => Promise<Result>,
  ): Promise<Result>
  list(): Promise<ImageRecord[]>
  /** By name, by the beginning of its id (digest of the configuration) or by manifest digest. */
  inspect(ref: string): Promise<ImageRecord | undefined>
  /** Gives an image another name; a name that was another image's is taken from it. */
  tag(ref: string, name: string): Promise<ImageRecord>
  /** How the image came about, newest step first. Throws `IMAGE_NOT_FOUND`. */
  history(ref: string): Promise<HistoryStep[]>
  /** Writes these images in a form that `load`, skopeo and podman read; default `oci-archive`. Throws `IMAGE_NOT_FOUND`. */
  save(refs: readonly string[], to: string | Writable, options?: { format?: SaveFormat }): Promise<void>
  /** Removes images that have no name left, or with `all` those that no container uses; returns what was removed. */
  prune(options?: { all?: boolean }): Promise<ImageRecord[]>
  /** How many images there are, how many of them containers use, and their bytes, shared ones counted once. */
  usage(): Promise<ImageUsage>
  /** Image by image and container by container; walks through every folder. */
  diskUsage(): Promise<DiskUsage>
  /** Takes a name away, or an image with all its names when given its id; then removes what nobody needs. */
  remove(ref: string, options?: { force?: boolean }): Promise<Removal>
  /** Makes room on a disk that is too full, by the kubelet's rules. */
  reclaim(options?: ReclaimOptions): Promise<Reclaimed>
  /** Reads every byte of the store and tells what is wrong with it. */
  check(): Promise<StoreCheck>
  /** The writable layer of a container, and what it lies on. The same again for the same container. */
  prepare(containerId: string, ref: string): Promise<{ overlay: Overlay; config: ImageConfig }>
  /** The folders of a container that was prepared, and its image. Throws `IMAGE_NOT_FOUND`. */
  overlay(containerId: string): Promise<{ overlay: Overlay; reference: string; digest: string }>
  /** Removes the writable layer of a container, if there is one. */
  discard(containerId: string): Promise<void>
  /** Containers that have a writable layer. */
  containers(): Promise<string[]>
  /** Removes blobs and layers that no image and no container needs. False when work in progress forbids it. */
  collect(): Promise<boolean>
  /** Waits for what is under way. */
  close(): Promise<void>
}
