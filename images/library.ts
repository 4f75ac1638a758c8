import { randomUUID } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Clock } from '../runtime/base/clock.ts'
import type { Log } from '../runtime/base/log.ts'
import { loadArchive } from './archive.ts'
import { withArchive } from './archive-files.ts'
import { type BuildOptions, buildImage } from './build.ts'
import type { Catalog } from './catalog.ts'
import { checkStore, type StoreCheck } from './check.ts'
import { type CommitOptions, commitContainer } from './commit.ts'
import { withContainerRoot } from './container-root.ts'
import { type Change, changesOf } from './diff.ts'
import { chainIds } from './digest.ts'
import { type Reclaimed, type ReclaimOptions, reclaimDisk } from './disk-pressure.ts'
import { imageError } from './errors.ts'
import { collectGarbage, ifIdle, whileWorking } from './garbage.ts'
import { type HistoryStep, historyOf } from './history.ts'
import { type ImageRecord, recordOf } from './image-record.ts'
import type { Images, PullRequest, PushRequest, UnpackRequest } from './images.ts'
import { type ImportOptions, importRoot } from './import.ts'
import type { LastUses } from './last-use.ts'
import type { Descriptor, ImageConfig } from './manifest.ts'
import { hostPlatform, parsePlatform } from './platform.ts'
import { type Puller, pullImage, tellUnpacked } from './pull.ts'
import { formatReference, parseReference } from './reference.ts'
import { pushImage } from './registry/push.ts'
import { pruneImages, type Removal, removeImage } from './remove.ts'
import { type SaveFormat, saveImages } from './save.ts'
import type { Overlay, Snapshots } from './snapshot.ts'
import type { BlobStore } from './store.ts'
import { containersByImage, type DiskUsage, diskUsage, type ImageUsage, imageUsage } from './usage.ts'

export interface Parts {
  root: string
  log: Log
  clock: Clock
  blobs: BlobStore
  catalog: Catalog
  snapshots: Snapshots
  puller: Puller
  uses: LastUses
}

/** The verbs of `Images`, over the parts that do the work. */
export class ImageLibrary implements Images {
  readonly #parts: Parts
  readonly #working = new Set<Promise<unknown>>()

  constructor(parts: Parts) {
    this.#parts = parts
  }

  pull(ref: string, request: PullRequest = {}): Promise<ImageRecord> {
    const reference = parseReference(ref)
    const { auth, signal, onProgress } = request
    const platform = request.platform === undefined ? hostPlatform : parsePlatform(request.platform)
    return this.#work(async () => {
      const started = performance.now()
      const pulled = await pullImage(this.#parts.puller, reference, { auth, signal, onProgress, platform })
      const record = await this.#parts.catalog.add(pulled)
      const milliseconds = Math.round(performance.now() - started)
      this.#parts.log.info('image pulled', { image: formatReference(reference), digest: record.digest, milliseconds })
      return record
    })
  }

  push(ref: string, { auth, signal, onProgress }: PushRequest = {}): Promise<void> {
    const reference = parseReference(ref)
    return this.#work(async () => {
      const { image, digest, entries } = await this.#parts.catalog.require('push', ref)
      const names = entries.flatMap((entry) => (entry.reference ? [parseReference(entry.reference)] : []))
      const options = { auth, signal, onProgress, names }
      await pushImage({ ...this.#parts, ...this.#parts.puller }, { reference, image, digest }, options)
    })
  }

  load(source: string | AsyncIterable<Uint8Array>, options: UnpackRequest = {}): Promise<ImageRecord[]> {
    const { root, blobs } = this.#parts
    return this.#work(() =>
      this.#asFile(source, (file, shownAs) =>
        withArchive(file, `${root}/ingest`, async (files) => {
          const records: ImageRecord[] = []
          for (const loaded of await loadArchive(files, blobs, shownAs)) {
            records.push(await this.#addUnpacked(loaded, options))
          }
          return records
        }),
      ),
    )
  }

  import(
    source: string | AsyncIterable<Uint8Array>,
    options: ImportOptions & UnpackRequest = {},
  ): Promise<ImageRecord> {
    const { blobs, clock } = this.#parts
    return this.#work(() =>
      this.#asFile(source, async (file, shownAs) =>
        this.#addUnpacked(await importRoot(blobs, file, { ...options, shownAs, now: clock.now() }), options),
      ),
    )
  }

  commit(containerId: string, options: Omit<CommitOptions, 'now'> = {}): Promise<ImageRecord> {
    const now = this.#parts.clock.now()
    return this.#work(async () =>
      this.#addUnpacked(await commitContainer(this.#parts, containerId, { ...options, now })),
    )
  }

  async diff(containerId: string): Promise<Change[]> {
    return changesOf((await this.overlay(containerId)).overlay)
  }

  build(options: BuildOptions): Promise<ImageRecord> {
    return this.#work(async () => this.#addUnpacked(await buildImage(this.#parts.blobs, options)))
  }

  withRoot<Result>(
    containerId: string,
    pid: number | undefined,
    act: (root: number) => Promise<Result>,
  ): Promise<Result> {
    return this.#work(async () => withContainerRoot({ ...(await this.overlay(containerId)), pid }, act))
  }

  list(): Promise<ImageRecord[]> {
    return this.#parts.catalog.list()
  }

  async inspect(ref: string): Promise<ImageRecord | undefined> {
    const found = await this.#parts.catalog.find(ref)
    return found && recordOf(found.image, found.entries)
  }

  async remove(ref: string, { force = false }: { force?: boolean } = {}): Promise<Removal> {
    const { catalog, snapshots } = this.#parts
    const used = new Set((await containersByImage(snapshots)).keys())
    const removal = await removeImage(catalog, ref, { force, used })
    await this.collect()
    return removal
  }

  tag(ref: string, name: string): Promise<ImageRecord> {
    const { catalog } = this.#parts
    const reference = formatReference(parseReference(name))
    return this.#work(async () => {
      const { digest, image } = await catalog.require('tag', ref)
      const descriptor = { mediaType: image.manifest.mediaType, digest, size: await this.#sizeOf(digest) }
      return catalog.add({ descriptor, references: [reference] })
    })
  }

  async history(ref: string): Promise<HistoryStep[]> {
    return historyOf((await this.#parts.catalog.require('history', ref)).image)
  }

  save(refs: readonly string[], to: string | Writable, { format = 'oci-archive' }: { format?: SaveFormat } = {}) {
    const { blobs, catalog, root } = this.#parts
    return this.#work(async () => {
      const saved = await Promise.all(
        refs.map(async (ref) => {
          const { entries, image, byId } = await catalog.require('save', ref)
          const name = byId ? undefined : formatReference(parseReference(ref))
          return { image, entries: entries.filter(({ reference }) => name === undefined || reference === name) }
        }),
      )
      await saveImages(blobs, saved, { format, to, scratch: join(root, 'ingest') })
    })
  }

  async prune({ all = false }: { all?: boolean } = {}): Promise<ImageRecord[]> {
    const { catalog, snapshots } = this.#parts
    const used = new Set((await containersByImage(snapshots)).keys())
    const removed = await pruneImages(catalog, { all, used })
    await this.collect()
    return removed
  }

  async reclaim(options: ReclaimOptions = {}): Promise<Reclaimed> {
    const reclaimed = await reclaimDisk(this.#parts, options, this.#parts.clock.now())
    if (!options.dryRun && reclaimed.removed.length > 0) await this.collect()
    return reclaimed
  }

  usage(): Promise<ImageUsage> {
    return imageUsage(this.#parts)
  }

  diskUsage(): Promise<DiskUsage> {
    return diskUsage(this.#parts)
  }

  check(): Promise<StoreCheck> {
    const { blobs, catalog, snapshots } = this.#parts
    return this.#work(async () => checkStore({ entries: await catalog.entries(), blobs, snapshots }))
  }

  prepare(containerId: string, ref: string): Promise<{ overlay: Overlay; config: ImageConfig }> {
    const { catalog, snapshots, uses, clock } = this.#parts
    return this.#work(async () => {
      const found = await catalog.find(ref)
      if (!found) {
        throw imageError('IMAGE_NOT_FOUND', `prepare container ${containerId}: this host has no image ${ref}`, {
          hint: 'pull or load it first',
        })
      }
      const { layers, document } = found.image
      await snapshots.ensure(layers, async () => {})
      const chain = chainIds(document.diffIds)
      const overlay = await snapshots.prepare(containerId, { reference: ref, manifest: found.digest, chain })
      await uses.note(found.digest, clock.now())
      return { overlay, config: document.config }
    })
  }

  async overlay(containerId: string): Promise<{ overlay: Overlay; reference: string; digest: string }> {
    const { snapshots } = this.#parts
    const record = await snapshots.container(containerId)
    if (!record) throw imageError('IMAGE_NOT_FOUND', `find container ${containerId}: it has no layer here`)
    const { reference, manifest: digest } = record
    return { overlay: snapshots.overlayOf(containerId, record), reference, digest }
  }

  discard(containerId: string): Promise<void> {
    const { snapshots, uses, clock } = this.#parts
    return this.#work(async () => {
      const record = await snapshots.container(containerId)
      if (record) await uses.note(record.manifest, clock.now())
      await snapshots.discard(containerId)
    })
  }

  containers(): Promise<string[]> {
    return this.#parts.snapshots.containers()
  }

  async collect(): Promise<boolean> {
    const { root, catalog, blobs, snapshots, uses, log } = this.#parts
    const done = await ifIdle(root, async () =>
      collectGarbage({ entries: await catalog.entries(), blobs, snapshots, uses }),
    )
    if (!done) log.debug('images: removal of unused layers is put off, work is in progress')
    catalog.forget()
    return done
  }

  async close(): Promise<void> {
    await Promise.allSettled(this.#working)
    this.#parts.puller.registry.close()
  }

  /** Guards against removal of what `act` is about to use, also by other processes. */
  #work<Result>(act: () => Promise<Result>): Promise<Result> {
    const work = whileWorking(this.#parts.root, act)
    this.#working.add(work)
    const forget = () => this.#working.delete(work)
    work.then(forget, forget)
    return work
  }

  async #addUnpacked(
    added: { descriptor: Descriptor; references: string[] },
    { onProgress }: UnpackRequest = {},
  ): Promise<ImageRecord> {
    const { catalog, snapshots } = this.#parts
    const { layers } = await catalog.image(added.descriptor.digest)
    await snapshots.ensure(
      layers,
      async ({ descriptor }) => tellUnpacked({ onProgress }, descriptor, 0),
      ({ descriptor }, bytes) => tellUnpacked({ onProgress }, descriptor, bytes),
    )
    return catalog.add(added)
  }

  async #sizeOf(digest: Descriptor['digest']): Promise<number> {
    return (await this.#parts.blobs.readDocument(digest)).length
  }

  /** What comes as a stream is put down first: archives are read here and there. */
  async #asFile<Result>(
    source: string | AsyncIterable<Uint8Array>,
    act: (file: string, shownAs: string) => Promise<Result>,
  ): Promise<Result> {
    if (typeof source === 'string') return act(source, source)
    const file = join(this.#parts.root, 'ingest', randomUUID())
    try {
      await pipeline(source, createWriteStream(file, { flags: 'wx', mode: 0o600 }))
      return await act(file, 'standard input')
    } finally {
      await rm(file, { force: true })
    }
  }
}
