import { randomUUID } from 'node:crypto'
import { chmod, chown, mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { errnoOf } from '../runtime/base/errors.ts'
import type { Log } from '../runtime/base/log.ts'
import { type Digest, hexOf } from './digest.ts'
import { imageError } from './errors.ts'
import type { BlobStore } from './store.ts'
import { UnpackThreads } from './unpack.ts'
import { LayerUnpacking, type UnpackProgress } from './unpack-layers.ts'
import type { Layer } from './unpack-one.ts'

/** Folders for an overlay mount: `lower` begins with the topmost. */
export interface Overlay {
  lower: string[]
  upper: string
  work: string
}

/** What a container's writable layer belongs to. */
export interface ContainerRecord {
  /** The name that the container was asked for with. */
  reference: string
  manifest: Digest
  chain: Digest[]
}

export interface SnapshotOptions {
  root: string
  log: Log
  blobs: Pick<BlobStore, 'pathOf' | 'arrivals'>
  maximumLayerBytes: number
}

/**
 * Layers as folders: `snapshots/<chain id>`, each unpacked once and then only read, and `containers/<id>` with what one
 * container writes. A folder appears complete: it is written beside, flushed and renamed. Nothing is mounted here.
 */
export class Snapshots {
  readonly #options: SnapshotOptions
  readonly #threads = new UnpackThreads(Math.max(2, availableParallelism()))
  readonly #unpacking: LayerUnpacking

  constructor(options: SnapshotOptions) {
    this.#options = options
    const folder = join(options.root, 'snapshots')
    const folders = { folder, folderOf: (id: Digest) => this.#folderOf(id), list: () => this.list() }
    this.#unpacking = new LayerUnpacking({ ...options, threads: this.#threads }, folders, options.log)
  }

  /** Folders in which layers and containers lie. */
  async prepareFolders(): Promise<void> {
    // Set-user-id files of images lie below: nobody but root may reach them.
    for (const name of ['snapshots', 'containers']) {
      await mkdir(join(this.#options.root, name), { recursive: true, mode: 0o700 })
    }
  }

  /** Folders of layers with these chain ids, the topmost first. */
  lowerOf(chain: readonly Digest[]): string[] {
    return chain.map((id) => this.#folderOf(id)).toReversed()
  }

  /**
   * Sees to it that every layer is unpacked; those that are missing are unpacked side by side. `ready` resolves when the
   * blob of a layer is in the store; `onProgress` hears how much of it has been read. Throws what `ready` and `unpackLayer`
   * throw; nothing half-done is left.
   */
  async ensure(
    layers: readonly Layer[],
    ready: (layer: Layer) => Promise<void>,
    onProgress: UnpackProgress = () => {},
  ): Promise<void> {
    const release = this.#threads.hold()
    try {
      await this.#unpacking.ensure({ layers, ready, onProgress })
    } finally {
      release()
    }
  }

  /** Keeps the threads that unpack until the function that this returns is called; `warm` starts one in advance. */
  holdThreads({ warm }: { warm: boolean }): () => void {
    const release = this.#threads.hold()
    if (warm) this.#threads.warm()
    return release
  }

  /** Chain ids of the layers that are there. */
  async list(): Promise<Digest[]> {
    const names = await readdir(join(this.#options.root, 'snapshots'))
    return names.filter((name) => /^[a-f0-9]{64}$/.test(name)).map((hex): Digest => `sha256:${hex}`)
  }

  async remove(id: Digest): Promise<void> {
    await this.#removeTree(this.#folderOf(id), 'snapshots')
  }

  /** The writable layer of a container, made if it is not there. Throws `IMAGE_IN_USE` if it is for another image. */
  async prepare(containerId: string, record: ContainerRecord): Promise<Overlay> {
    const folder = this.#containerFolder(containerId)
    const existing = await this.container(containerId)
    if (existing && existing.manifest !== record.manifest) {
      throw imageError('IMAGE_IN_USE', `prepare container ${containerId}: it already runs ${existing.reference}`)
    }
    const overlay = this.overlayOf(containerId, record)
    if (!existing) {
      const temporary = this.#temporary('containers')
      const upper = join(temporary, 'upper')
      await mkdir(upper, { recursive: true })
      await mkdir(join(temporary, 'work'))
      // Of merged folders overlayfs shows the uppermost: the root must look as the image wants it.
      const top = overlay.lower[0]
      const looks = top === undefined ? undefined : await stat(top)
      if (looks) {
        await chown(upper, looks.uid, looks.gid)
        await chmod(upper, looks.mode & 0o7777)
      }
      await writeFile(join(temporary, 'image.json'), JSON.stringify(record))
      await rename(temporary, folder)
    }
    return overlay
  }

  /** The folders of a container that was prepared. */
  overlayOf(containerId: string, { chain }: ContainerRecord): Overlay {
    const folder = this.#containerFolder(containerId)
    return { lower: this.lowerOf(chain), upper: join(folder, 'upper'), work: join(folder, 'work') }
  }

  /** What a container was prepared for; undefined if there is no such container. */
  async container(containerId: string): Promise<ContainerRecord | undefined> {
    try {
      return JSON.parse(
        await readFile(join(this.#containerFolder(containerId), 'image.json'), 'utf8'),
      ) as ContainerRecord
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return undefined
      throw error
    }
  }

  async containers(): Promise<string[]> {
    return (await readdir(join(this.#options.root, 'containers'))).filter((name) => !name.startsWith('.'))
  }

  /** Removes what a container has written; nothing happens if there is none. */
  async discard(containerId: string): Promise<void> {
    await this.#removeTree(this.#containerFolder(containerId), 'containers')
  }

  /** Removes what a killed process has left half-done. Only for the time when no other process works here. */
  async sweep(): Promise<void> {
    for (const kind of ['snapshots', 'containers'] as const) {
      const folder = join(this.#options.root, kind)
      const left = (await readdir(folder)).filter((name) => name.startsWith('.'))
      await Promise.all(left.map((name) => rm(join(folder, name), { recursive: true, force: true })))
    }
  }

  /** Renamed first, so that nobody sees it while it is being removed. */
  async #removeTree(path: string, kind: 'snapshots' | 'containers'): Promise<void> {
    const doomed = this.#temporary(kind)
    try {
      await rename(path, doomed)
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return
      throw error
    }
    await rm(doomed, { recursive: true, force: true })
  }

  #temporary(kind: 'snapshots' | 'containers'): string {
    return join(this.#options.root, kind, `.${randomUUID()}`)
  }

  #folderOf(id: Digest): string {
    return join(this.#options.root, 'snapshots', hexOf(id))
  }

  #containerFolder(containerId: string): string {
    if (!/^[a-zA-Z0-9][\w.-]*$/.test(containerId)) {
      throw imageError('IMAGE_REFERENCE_INVALID', `use container ${JSON.stringify(containerId)}: it is no usable id`)
    }
    return join(this.#options.root, 'containers', containerId)
  }
}
