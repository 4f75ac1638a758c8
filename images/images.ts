import type { BuildOptions } from './build.ts'
import type { HistoryStep } from './history.ts'
import type { ImageRecord } from './image-record.ts'
import type { ImageConfig } from './manifest.ts'
import type { PullProgress } from './pull.ts'
import type { Credentials } from './registry/auth.ts'
import type { PushProgress } from './registry/push.ts'
import type { Overlay } from './snapshot.ts'

export interface ImageUsage {
  total: number
  active: number
  /** Bytes of packed layers and documents. */
  size: number
  reclaimable: number
}

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

/** The images of this host, and the writable layers of its containers. Errors carry the codes of `errors.ts`. */
export interface Images {
  /** Fetches and unpacks an image; what is there is not fetched again. */
  pull(ref: string, request?: PullRequest): Promise<ImageRecord>
  /** Sends an image to the registry that its name says; what is there already is not sent again. */
  push(ref: string, request?: PushRequest): Promise<void>
  /** All images of an archive: OCI or Docker's, also packed with gzip or zstd. */
  load(file: string): Promise<ImageRecord[]>
  /** Composes an image from files of this host. */
  build(options: BuildOptions): Promise<ImageRecord>
  list(): Promise<ImageRecord[]>
  /** By name, by id (`sha256:…` of the configuration) or by manifest digest. */
  inspect(ref: string): Promise<ImageRecord | undefined>
  /** Gives an image another name; a name that was another image's is taken from it. */
  tag(ref: string, name: string): Promise<ImageRecord>
  /** How the image came about, newest step first. Throws `IMAGE_NOT_FOUND`. */
  history(ref: string): Promise<HistoryStep[]>
  /** Writes an OCI archive with these images, which `load`, skopeo and podman read. Throws `IMAGE_NOT_FOUND`. */
  save(refs: readonly string[], file: string): Promise<void>
  /** Removes images that have no name left, or with `all` those that no container uses; returns what was removed. */
  prune(options?: { all?: boolean }): Promise<ImageRecord[]>
  /** How many images there are, how many of them containers use, and their bytes, shared ones counted once. */
  usage(): Promise<ImageUsage>
  /** Takes a name away, or an image with all its names when given its id; then removes what nobody needs. */
  remove(ref: string): Promise<void>
  /** The writable layer of a container, and what it lies on. The same again for the same container. */
  prepare(containerId: string, ref: string): Promise<{ overlay: Overlay; config: ImageConfig }>
  /** Removes the writable layer of a container, if there is one. */
  discard(containerId: string): Promise<void>
  /** Containers that have a writable layer. */
  containers(): Promise<string[]>
  /** Removes blobs and layers that no image and no container needs. False when work in progress forbids it. */
  collect(): Promise<boolean>
  /** Waits for what is under way. */
  close(): Promise<void>
}
