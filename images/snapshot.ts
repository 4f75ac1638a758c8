import { randomUUID } from 'node:crypto'
import { closeSync, openSync } from 'node:fs'
import { chmod, chown, mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { errnoOf } from '../runtime/base/errors.ts'
import type { Log } from '../runtime/base/log.ts'
import { syncFilesystem } from '../runtime/linux/at-files.ts'
import type { LayerReport } from './apply-layer.ts'
import { chainIds, type Digest, hexOf } from './digest.ts'
import { imageError } from './errors.ts'
import { type Compression, compressionOf, type Descriptor } from './manifest.ts'
import { UnpackThreads } from './unpack.ts'
import type { InheritStep } from './unpack-job.ts'

/** A layer of an image: its blob, and the digest of what is in it. */
export interface Layer {
  descriptor: Descriptor
  diffId: Digest
}

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

/** `bytes` of the packed layer have been unpacked. */
export type UnpackProgress = (layer: Layer, bytes: number) => void

export interface SnapshotOptions {
  root: string
  log: Log
  /** Path of the blob's file. */
  pathOf: (digest: Digest) => string
  maximumLayerBytes: number
}

/**
 * Layers as folders: `snapshots/<chain id>`, each unpacked once and then only read, and `containers/<id>` with what one
 * container writes. A folder appears complete: it is written beside, flushed and renamed. Nothing is mounted here.
 */
export class Snapshots {
  readonly #options: SnapshotOptions
  readonly #threads = new UnpackThreads(Math.max(2, availableParallelism()))
  /** Layers that are being unpacked by this process. */
  readonly #flights = new Map<Digest, Promise<void>>()

  constructor(options: SnapshotOptions) {
    this.#options = options
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
   * blob of a layer is in the store; `onProgress` hears how much of it has been read. Throws what `unpackLayer` throws; nothing half-done is left.
   */
  async ensure(
    layers: readonly Layer[],
    ready: (layer: Layer) => Promise<void>,
    onProgress: UnpackProgress = () => {},
  ): Promise<void> {
    const chain = chainIds(layers.map(({ diffId }) => diffId))
    const waits: Promise<void>[] = []
    const mine: { id: Digest; at: number; done: PromiseWithResolvers<void> }[] = []
    // All that is missing is claimed at once, without a pause: whoever comes later waits for this, never the other way.
    const present = new Set(await this.list())
    for (const [at, id] of chain.entries()) {
      const flight = this.#flights.get(id)
      if (flight !== undefined) waits.push(flight)
      else if (!present.has(id)) {
        const done = Promise.withResolvers<void>()
        done.promise.catch(() => {})
        this.#flights.set(id, done.promise)
        mine.push({ id, at, done })
      }
    }
    try {
      if (mine.length > 0) await this.#unpackAll(mine, { layers, chain, ready, onProgress })
      for (const { done } of mine) done.resolve()
    } catch (error) {
      for (const { done } of mine) done.reject(error)
      throw error
    } finally {
      for (const { id } of mine) this.#flights.delete(id)
    }
    await Promise.all(waits)
  }

  async #unpackAll(
    mine: readonly { id: Digest; at: number }[],
    o: {
      layers: readonly Layer[]
      chain: readonly Digest[]
      ready: (layer: Layer) => Promise<void>
      onProgress: UnpackProgress
    },
  ): Promise<void> {
    const staged = new Map<Digest, string>(mine.map(({ id }) => [id, this.#temporary('snapshots')]))
    const stop = new AbortController()
    const started: Promise<unknown>[] = []
    const unpacked = mine.map(async ({ id, at }) => {
      const layer = o.layers[at]
      if (!layer) throw new RangeError(`no layer ${at}`)
      await o.ready(layer)
      const directory = staged.get(id) ?? ''
      const unpacking = this.#unpack(layer, { directory, signal: stop.signal, onProgress: o.onProgress })
      started.push(unpacking)
      return unpacking
    })
    for (const promise of unpacked) promise.catch(() => {})
    try {
      const steps: InheritStep[] = []
      for (const [n, { id, at }] of mine.entries()) {
        const report = await unpacked[n]
        const below = o.chain.slice(0, at).toReversed()
        for (const other of below) if (!staged.has(other)) await this.#flights.get(other)
        const lower = below.map((other) => staged.get(other) ?? this.#folderOf(other))
        steps.push({ directory: staged.get(id) ?? '', folders: report?.implicitFolders ?? [], lower })
        this.#options.log.debug('layer unpacked', { chainId: id })
      }
      await this.#threads.completeFolders(steps, stop.signal)
      await this.#publish(mine.map(({ id }) => ({ from: staged.get(id) ?? '', to: this.#folderOf(id) })))
    } finally {
      stop.abort(new Error('unpacking was given up'))
      await Promise.allSettled(started)
      await Promise.all([...staged.values()].map((path) => rm(path, { recursive: true, force: true })))
    }
  }

  async #unpack(
    layer: Layer,
    { directory, signal, onProgress }: { directory: string; signal: AbortSignal; onProgress: UnpackProgress },
  ): Promise<LayerReport> {
    const compression: Compression = compressionOf(layer.descriptor)
    signal.throwIfAborted()
    await mkdir(directory)
    await chmod(directory, 0o755)
    const job = {
      blob: this.#options.pathOf(layer.descriptor.digest),
      compression,
      diffId: layer.diffId,
      directory,
      maximumBytes: this.#options.maximumLayerBytes,
    }
    const report = await this.#threads.unpack(job, signal, (bytes) => onProgress(layer, bytes))
    if (report.skippedXattrs.length > 0) {
      const { digest } = layer.descriptor
      this.#options.log.warn('extended attributes left out', { layer: digest, attributes: report.skippedXattrs })
    }
    return report
  }

  /** Flushed before they get their names: after a power failure a layer is either whole or not there. */
  async #publish(moves: readonly { from: string; to: string }[]): Promise<void> {
    const folder = openSync(join(this.#options.root, 'snapshots'), 'r')
    try {
      await syncFilesystem(folder)
    } finally {
      closeSync(folder)
    }
    for (const { from, to } of moves) {
      await rename(from, to).catch((error: unknown) => {
        // Another process was quicker; its folder is as good as ours.
        if (!['EEXIST', 'ENOTEMPTY'].includes(errnoOf(error) ?? '')) throw error
      })
    }
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
