import { randomUUID } from 'node:crypto'
import { rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { errnoOf } from '../runtime/base/errors.ts'
import type { Log } from '../runtime/base/log.ts'
import type { LayerReport } from './apply-layer.ts'
import { chainIds, type Digest } from './digest.ts'
import { Flush } from './flush.ts'
import type { InheritStep } from './unpack-job.ts'
import { type Layer, type Unpacker, unpackOne } from './unpack-one.ts'

/** The folders that layers are unpacked to. */
export interface LayerFolders {
  /** Where they lie, those with and those without a name. */
  folder: string
  /** The folder of a layer by its chain id. */
  folderOf(chainId: Digest): string
  /** Chain ids of the layers that are there. */
  list(): Promise<Digest[]>
}

/** `bytes` of the packed layer have been unpacked. */
export type UnpackProgress = (layer: Layer, bytes: number) => void

export interface WantedLayers {
  layers: readonly Layer[]
  /** Resolves when the blob of a layer is in the store. */
  ready: (layer: Layer) => Promise<void>
  onProgress: UnpackProgress
}

interface Claims extends WantedLayers {
  chain: readonly Digest[]
  mine: readonly { id: Digest; at: number }[]
  /** Layers that others have claimed. */
  theirs: ReadonlyMap<Digest, Promise<boolean>>
}

/** Unpacks layers that are missing, each once, however many ask for it at the same time. */
export class LayerUnpacking {
  readonly #unpacker: Unpacker
  readonly #folders: LayerFolders
  readonly #log: Log
  /** Layers that are being unpacked by this process; each resolves to whether it is there then. */
  readonly #flights = new Map<Digest, Promise<boolean>>()

  constructor(unpacker: Unpacker, folders: LayerFolders, log: Log) {
    this.#unpacker = unpacker
    this.#folders = folders
    this.#log = log
  }

  /** When this returns, all the layers are there, whole. Throws what `unpackOne` throws. */
  async ensure(wanted: WantedLayers): Promise<void> {
    // Somebody else's failure is none of ours, be it that he was stopped: what he leaves is claimed in the next turn.
    while (!(await this.#claim(wanted)));
  }

  /** False when another, whose layers these wait for, has failed with them. */
  async #claim(wanted: WantedLayers): Promise<boolean> {
    const chain = chainIds(wanted.layers.map(({ diffId }) => diffId))
    const present = new Set(await this.#folders.list())
    const theirs = new Map<Digest, Promise<boolean>>()
    const mine: { id: Digest; at: number }[] = []
    const done = Promise.withResolvers<boolean>()
    // All that is missing is claimed at once, without a pause: whoever comes later waits for this, never the other way.
    for (const [at, id] of chain.entries()) {
      const flight = this.#flights.get(id)
      if (flight !== undefined) theirs.set(id, flight)
      else if (!present.has(id)) {
        this.#flights.set(id, done.promise)
        mine.push({ id, at })
      }
    }
    let isDone = false
    try {
      isDone = mine.length === 0 || (await this.#unpackAll({ ...wanted, chain, mine, theirs }))
    } finally {
      for (const { id } of mine) this.#flights.delete(id)
      done.resolve(isDone)
    }
    return isDone && (await Promise.all(theirs.values())).every(Boolean)
  }

  /** False when a layer that these lie on, and that another has claimed, will not be there. */
  async #unpackAll(claims: Claims): Promise<boolean> {
    const { chain, mine, theirs } = claims
    const staged = new Map(mine.map(({ id }) => [id, join(this.#folders.folder, `.${randomUUID()}`)]))
    const stop = new AbortController()
    const flush = new Flush(this.#folders.folder)
    const unpacked = mine.map(({ id, at }) =>
      this.#unpack(claims, at, { directory: staged.get(id) ?? '', stop, flush }),
    )
    for (const promise of unpacked) promise.catch(() => {})
    try {
      const reports = await Promise.all(unpacked)
      const steps: InheritStep[] = []
      for (const [n, { id, at }] of mine.entries()) {
        const below = chain.slice(0, at).toReversed()
        for (const other of below) if ((await theirs.get(other)) === false) return false
        const lower = below.map((other) => staged.get(other) ?? this.#folders.folderOf(other))
        steps.push({ directory: staged.get(id) ?? '', folders: reports[n]?.implicitFolders ?? [], lower })
        this.#log.debug('layer unpacked', { chainId: id })
      }
      await this.#unpacker.threads.completeFolders(steps, stop.signal)
      // Before they get their names: after a power failure a layer is either whole or not there.
      await flush.finish()
      await this.#publish(mine.map(({ id }) => ({ from: staged.get(id) ?? '', to: this.#folders.folderOf(id) })))
      return true
    } finally {
      stop.abort(new Error('unpacking was given up'))
      await Promise.allSettled(unpacked)
      await flush.close()
      await Promise.all([...staged.values()].map((path) => rm(path, { recursive: true, force: true })))
    }
  }

  async #unpack(
    { layers, ready, onProgress }: Claims,
    at: number,
    { directory, stop, flush }: { directory: string; stop: AbortController; flush: Flush },
  ): Promise<LayerReport> {
    const layer = layers[at]
    if (!layer) throw new RangeError(`no layer ${at}`)
    let before = 0
    const report = await unpackOne(this.#unpacker, {
      layer,
      directory,
      ready: ready(layer),
      signal: stop.signal,
      onProgress: (bytes) => {
        flush.wrote(bytes - before)
        before = bytes
        onProgress(layer, bytes)
      },
    })
    if (report.skippedXattrs.length > 0) {
      const { digest } = layer.descriptor
      this.#log.warn('extended attributes left out', { layer: digest, attributes: report.skippedXattrs })
    }
    return report
  }

  async #publish(moves: readonly { from: string; to: string }[]): Promise<void> {
    for (const { from, to } of moves) {
      await rename(from, to).catch((error: unknown) => {
        // Another process was quicker; its folder is as good as ours.
        if (!['EEXIST', 'ENOTEMPTY'].includes(errnoOf(error) ?? '')) throw error
      })
    }
  }
}
