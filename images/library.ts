import { messageOf } from '../runtime/base/errors.ts'
import type { Log } from '../runtime/base/log.ts'
import { loadArchive } from './archive.ts'
import { withArchive } from './archive-files.ts'
import { type BuildOptions, buildImage } from './build.ts'
import { chainIds, type Digest, isDigest } from './digest.ts'
import { imageError } from './errors.ts'
import { collectGarbage, ifIdle, whileWorking } from './garbage.ts'
import { type HistoryStep, historyOf } from './history.ts'
import { type Image, type ImageRecord, readImage, recordOf } from './image-record.ts'
import type { Images, ImageUsage, PullRequest, PushRequest } from './images.ts'
import type { Entry, IndexFile } from './index-file.ts'
import type { Descriptor, ImageConfig } from './manifest.ts'
import { hostPlatform, parsePlatform } from './platform.ts'
import { type Puller, pullImage } from './pull.ts'
import { formatReference, parseReference } from './reference.ts'
import { pushImage } from './registry/push.ts'
import { saveArchive } from './save.ts'
import type { Overlay, Snapshots } from './snapshot.ts'
import type { BlobStore } from './store.ts'

export interface Parts {
  root: string
  log: Log
  blobs: BlobStore
  index: IndexFile
  snapshots: Snapshots
  puller: Puller
}

/** The verbs of `Images`, over the parts that do the work. */
export class ImageLibrary implements Images {
  readonly #parts: Parts
  /** Documents never change, so each is read and checked once. */
  readonly #read = new Map<Digest, Image>()
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
      const record = await this.#add(pulled)
      const milliseconds = Math.round(performance.now() - started)
      this.#parts.log.info('image pulled', { image: formatReference(reference), digest: record.digest, milliseconds })
      return record
    })
  }

  push(ref: string, { auth, signal, onProgress }: PushRequest = {}): Promise<void> {
    const reference = parseReference(ref)
    return this.#work(async () => {
      const { image, digest, entries } = await this.#require('push', ref)
      const names = entries.flatMap((entry) => (entry.reference ? [parseReference(entry.reference)] : []))
      const options = { auth, signal, onProgress, names }
      await pushImage({ ...this.#parts, ...this.#parts.puller }, { reference, image, digest }, options)
    })
  }

  load(file: string): Promise<ImageRecord[]> {
    const { root, blobs } = this.#parts
    return this.#work(() =>
      withArchive(file, `${root}/ingest`, async (files) => {
        const records: ImageRecord[] = []
        for (const loaded of await loadArchive(files, blobs, file)) records.push(await this.#addUnpacked(loaded))
        return records
      }),
    )
  }

  build(options: BuildOptions): Promise<ImageRecord> {
    return this.#work(async () => this.#addUnpacked(await buildImage(this.#parts.blobs, options)))
  }

  async list(): Promise<ImageRecord[]> {
    const byDigest = Map.groupBy(await this.#parts.index.read(), ({ digest }) => digest)
    const records: ImageRecord[] = []
    for (const [digest, entries] of byDigest) {
      try {
        records.push(recordOf(await this.#image(digest), entries))
      } catch (error) {
        // One damaged image must not hide the others; using it tells the reason.
        this.#parts.log.warn('image cannot be read', { digest, reason: messageOf(error) })
      }
    }
    return records
  }

  async inspect(ref: string): Promise<ImageRecord | undefined> {
    const found = await this.#find(ref)
    return found && recordOf(found.image, found.entries)
  }

  async remove(ref: string): Promise<void> {
    const found = await this.#find(ref)
    if (!found) throw imageError('IMAGE_NOT_FOUND', `remove image ${ref}: this host does not have it`)
    const name = isDigest(ref) ? undefined : formatReference(parseReference(ref))
    await this.#parts.index.change((entries) => {
      const left = entries.filter(
        ({ digest, reference }) => !(digest === found.digest && (!name || reference === name)),
      )
      // The name with the digest came along with a tag, and goes with the last one.
      const named = left.some(({ digest, reference }) => digest === found.digest && !reference?.includes('@'))
      return named ? left : left.filter(({ digest }) => digest !== found.digest)
    })
    await this.collect()
  }

  tag(ref: string, name: string): Promise<ImageRecord> {
    const reference = formatReference(parseReference(name))
    return this.#work(async () => {
      const { entries, image } = await this.#require('tag', ref)
      const [{ reference: _, ...descriptor } = imageMissing('tag', ref)] = entries
      await this.#add({ descriptor, references: [reference] })
      return recordOf(image, [...entries, { ...descriptor, reference }])
    })
  }

  async history(ref: string): Promise<HistoryStep[]> {
    return historyOf((await this.#require('history', ref)).image)
  }

  save(refs: readonly string[], file: string): Promise<void> {
    return this.#work(async () => {
      const saved = await Promise.all(
        refs.map(async (ref) => {
          const { entries, image } = await this.#require('save', ref)
          const name = isDigest(ref) ? undefined : formatReference(parseReference(ref))
          return { image, entries: entries.filter(({ reference }) => name === undefined || reference === name) }
        }),
      )
      await saveArchive(this.#parts.blobs, saved, file)
    })
  }

  async prune({ all = false }: { all?: boolean } = {}): Promise<ImageRecord[]> {
    const used = await this.#usedByContainers()
    const unwanted = (await this.list()).filter(
      ({ references, digest }) => !used.has(digest) && (all || references.every((name) => name.includes('@'))),
    )
    const gone = new Set(unwanted.map(({ digest }) => digest))
    await this.#parts.index.change((entries) => entries.filter(({ digest }) => !gone.has(digest)))
    await this.collect()
    return unwanted
  }

  async usage(): Promise<ImageUsage> {
    const used = await this.#usedByContainers()
    const records = await this.list()
    const images = await Promise.all(
      records.map(async ({ digest }) => ({ image: await this.#image(digest), active: used.has(digest) })),
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

  prepare(containerId: string, ref: string): Promise<{ overlay: Overlay; config: ImageConfig }> {
    const { snapshots } = this.#parts
    return this.#work(async () => {
      const found = await this.#find(ref)
      if (!found) {
        throw imageError('IMAGE_NOT_FOUND', `prepare container ${containerId}: this host has no image ${ref}`, {
          hint: 'pull or load it first',
        })
      }
      const { layers, document } = found.image
      await snapshots.ensure(layers, async () => {})
      const chain = chainIds(document.diffIds)
      const overlay = await snapshots.prepare(containerId, { reference: ref, manifest: found.digest, chain })
      return { overlay, config: document.config }
    })
  }

  discard(containerId: string): Promise<void> {
    return this.#work(() => this.#parts.snapshots.discard(containerId))
  }

  containers(): Promise<string[]> {
    return this.#parts.snapshots.containers()
  }

  async collect(): Promise<boolean> {
    const { root, index, blobs, snapshots, log } = this.#parts
    const done = await ifIdle(root, async () => collectGarbage({ entries: await index.read(), blobs, snapshots }))
    if (!done) log.debug('images: removal of unused layers is put off, work is in progress')
    this.#read.clear()
    return done
  }

  async close(): Promise<void> {
    await Promise.allSettled(this.#working)
    this.#parts.puller.registry.close()
  }

  async #require(verb: string, ref: string) {
    return (await this.#find(ref)) ?? imageMissing(verb, ref)
  }

  async #usedByContainers(): Promise<Set<Digest>> {
    const { snapshots } = this.#parts
    const records = await Promise.all((await snapshots.containers()).map((id) => snapshots.container(id)))
    return new Set(records.flatMap((record) => record?.manifest ?? []))
  }

  /** Guards against removal of what `act` is about to use, also by other processes. */
  #work<Result>(act: () => Promise<Result>): Promise<Result> {
    const work = whileWorking(this.#parts.root, act)
    this.#working.add(work)
    const forget = () => this.#working.delete(work)
    work.then(forget, forget)
    return work
  }

  async #addUnpacked(added: { descriptor: Descriptor; references: string[] }): Promise<ImageRecord> {
    const { layers } = await this.#image(added.descriptor.digest)
    await this.#parts.snapshots.ensure(layers, async () => {})
    return this.#add(added)
  }

  /** From here on the image is visible. A name means one image: it is taken from the one that had it. */
  async #add({ descriptor, references }: { descriptor: Descriptor; references: string[] }): Promise<ImageRecord> {
    const names: (string | undefined)[] = references.length === 0 ? [undefined] : references
    let mine: Entry[] = []
    await this.#parts.index.change((entries) => {
      const others = entries.filter(({ digest, reference }) =>
        reference === undefined ? digest !== descriptor.digest : !names.includes(reference),
      )
      const all = [...others, ...names.map((reference) => ({ ...descriptor, reference }))]
      mine = all.filter(({ digest }) => digest === descriptor.digest)
      return all
    })
    return recordOf(await this.#image(descriptor.digest), mine)
  }

  async #image(digest: Digest): Promise<Image> {
    const known = this.#read.get(digest)
    if (known) return known
    const image = await readImage(this.#parts.blobs, digest)
    this.#read.set(digest, image)
    return image
  }

  async #find(ref: string): Promise<{ digest: Digest; entries: Entry[]; image: Image } | undefined> {
    const entries = await this.#parts.index.read()
    const digest = isDigest(ref) ? await this.#byId(ref, entries) : byName(ref, entries)
    if (!digest) return undefined
    return { digest, entries: entries.filter((entry) => entry.digest === digest), image: await this.#image(digest) }
  }

  async #byId(id: Digest, entries: readonly Entry[]): Promise<Digest | undefined> {
    for (const { digest } of entries) {
      if (digest === id || (await this.#image(digest)).manifest.config.digest === id) return digest
    }
    return undefined
  }
}

/** With a digest, the tag does not matter: that is how such names are pulled. */
function byName(ref: string, entries: readonly Entry[]): Digest | undefined {
  const wanted = parseReference(ref)
  const names = [formatReference(wanted)]
  if (wanted.digest) names.push(formatReference({ ...wanted, tag: undefined }))
  return entries.find(({ reference }) => reference !== undefined && names.includes(reference))?.digest
}

function imageMissing(verb: string, ref: string): never {
  throw imageError('IMAGE_NOT_FOUND', `${verb} image ${ref}: this host does not have it`)
}
