import { messageOf } from '../runtime/base/errors.ts'
import type { Log } from '../runtime/base/log.ts'
import { type Digest, isDigest } from './digest.ts'
import { imageError } from './errors.ts'
import { type Image, type ImageRecord, readImage, recordOf } from './image-record.ts'
import type { Entry, IndexFile } from './index-file.ts'
import type { Descriptor } from './manifest.ts'
import { formatReference, parseReference } from './reference.ts'
import type { BlobStore } from './store.ts'

/** Which image a name or an id means. */
export interface Located {
  /** Of its manifest. */
  digest: Digest
  entries: Entry[]
  /** True when it was asked for by its id, not by one of its names. */
  byId: boolean
}

export interface Found extends Located {
  image: Image
}

/** Which images there are, and which of them a name or an id means. */
export class Catalog {
  readonly #parts: { blobs: BlobStore; index: IndexFile; log: Log }
  /** Documents never change, so each is read and checked once. */
  readonly #read = new Map<Digest, Image>()

  constructor(parts: { blobs: BlobStore; index: IndexFile; log: Log }) {
    this.#parts = parts
  }

  entries(): Promise<Entry[]> {
    return this.#parts.index.read()
  }

  change(edit: (entries: Entry[]) => Entry[]): Promise<void> {
    return this.#parts.index.change(edit)
  }

  async list(): Promise<ImageRecord[]> {
    const byDigest = Map.groupBy(await this.entries(), ({ digest }) => digest)
    const records: ImageRecord[] = []
    for (const [digest, entries] of byDigest) {
      const image = await this.readable(digest)
      if (image) records.push(recordOf(image, entries))
    }
    return records
  }

  /** From here on the image is visible. A name means one image: it is taken from the one that had it. */
  async add({ descriptor, references }: { descriptor: Descriptor; references: string[] }): Promise<ImageRecord> {
    const names: (string | undefined)[] = references.length === 0 ? [undefined] : references
    let mine: Entry[] = []
    await this.#parts.index.change((entries) => {
      const others = entries.filter(({ digest, reference }) =>
        reference === undefined ? digest !== descriptor.digest : !names.includes(reference),
      )
      // An image whose last name goes to another one stays, found by its id; `prune` takes it.
      const nameless = entries.filter(
        ({ digest }, at) =>
          digest !== descriptor.digest &&
          !others.some((other) => other.digest === digest) &&
          entries.findIndex((each) => each.digest === digest) === at,
      )
      const kept = [...others, ...nameless.map((entry) => ({ ...entry, reference: undefined }))]
      const all = [...kept, ...names.map((reference) => ({ ...descriptor, reference }))]
      mine = all.filter(({ digest }) => digest === descriptor.digest)
      return all
    })
    return recordOf(await this.image(descriptor.digest), mine)
  }

  /** Throws what `readImage` throws. */
  async image(digest: Digest): Promise<Image> {
    const known = this.#read.get(digest)
    if (known) return known
    const image = await readImage(this.#parts.blobs, digest)
    this.#read.set(digest, image)
    return image
  }

  /** After documents were removed. */
  forget(): void {
    this.#read.clear()
  }

  /** A name wins over the beginning of an id, as with docker. Throws `IMAGE_REFERENCE_INVALID` for what is neither. */
  async locate(ref: string): Promise<Located | undefined> {
    const entries = await this.entries()
    const named = isIdOnly(ref) ? undefined : byName(ref, entries)
    const digest = named ?? (await this.#byId(ref, entries))
    if (!digest) return undefined
    return { digest, entries: entries.filter((entry) => entry.digest === digest), byId: !named }
  }

  /** As `locate`, and reads the image. */
  async find(ref: string): Promise<Found | undefined> {
    const located = await this.locate(ref)
    return located && { ...located, image: await this.image(located.digest) }
  }

  /** As `find`. Throws `IMAGE_NOT_FOUND`. */
  async require(verb: string, ref: string): Promise<Found> {
    const found = await this.find(ref)
    if (found) return found
    throw imageMissing(verb, ref)
  }

  async #byId(ref: string, entries: readonly Entry[]): Promise<Digest | undefined> {
    const start = idPattern.exec(ref)?.[1]
    if (start === undefined) return undefined
    const matches = new Set<Digest>()
    for (const digest of new Set(entries.map((entry) => entry.digest))) {
      const id = (await this.readable(digest))?.manifest.config.digest
      if (digest === `sha256:${start}`) return digest
      if (id?.startsWith(`sha256:${start}`)) matches.add(digest)
    }
    const [only, ...others] = matches
    // Several manifests may be of one image, packed differently; then the first will do.
    if (others.length > 0 && start.length < 64) {
      throw imageError('IMAGE_REFERENCE_INVALID', `find image ${ref}: ${matches.size} ids begin like that`)
    }
    return only
  }

  /** One damaged image must not hide the others; using it tells the reason. */
  async readable(digest: Digest): Promise<Image | undefined> {
    try {
      return await this.image(digest)
    } catch (error) {
      this.#parts.log.warn('image cannot be read', { digest, reason: messageOf(error) })
      return undefined
    }
  }
}

const idPattern = /^(?:sha256:)?([a-f0-9]{3,64})$/
/** What cannot be a name: a whole id, with or without its algorithm. */
const isIdOnly = (ref: string) => isDigest(ref) || /^sha256:[a-f0-9]{3,}$/.test(ref) || /^[a-f0-9]{64}$/.test(ref)

/** With a digest, the tag does not matter: that is how such names are pulled. */
function byName(ref: string, entries: readonly Entry[]): Digest | undefined {
  const wanted = parseReference(ref)
  const names = [formatReference(wanted)]
  if (wanted.digest) names.push(formatReference({ ...wanted, tag: undefined }))
  return entries.find(({ reference }) => reference !== undefined && names.includes(reference))?.digest
}

export function imageMissing(verb: string, ref: string) {
  return imageError('IMAGE_NOT_FOUND', `${verb} image ${ref}: this host does not have it`)
}
