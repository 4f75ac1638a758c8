import { type Catalog, imageMissing } from './catalog.ts'
import type { Digest } from './digest.ts'
import { imageError } from './errors.ts'
import type { ImageRecord } from './image-record.ts'
import { formatReference, parseReference } from './reference.ts'

/** What `remove` did, as `docker rmi` prints it. */
export interface Removal {
  untagged: string[]
  /** Id of the image, if no name of it is left. */
  deleted?: Digest
}

/**
 * Takes one name away, or by its id the whole image. As with docker, an image that a container uses keeps its last name
 * (`IMAGE_IN_USE`), and one with several names goes by its id only with `force`; `force` takes names even then, and
 * containers keep what they lie on. Throws `IMAGE_NOT_FOUND`.
 */
export async function removeImage(
  catalog: Catalog,
  ref: string,
  { force, used }: { force: boolean; used: ReadonlySet<Digest> },
): Promise<Removal> {
  const found = await catalog.locate(ref)
  if (!found) throw imageMissing('remove', ref)
  // What cannot be read can be removed all the same.
  const id = (await catalog.readable(found.digest))?.manifest.config.digest ?? found.digest
  const name = found.byId ? undefined : formatReference(parseReference(ref))
  const tags = found.entries.flatMap(({ reference }) => (reference?.includes('@') === false ? [reference] : []))
  if (name === undefined && tags.length > 1 && !force) {
    throw imageError('IMAGE_IN_USE', `remove image ${ref}: it has several names (${tags.join(', ')})`, {
      hint: 'remove them one by one, or use --force',
    })
  }
  let removal: Removal = { untagged: [] }
  await catalog.change((entries) => {
    const [mine, others] = [entries.filter(isOf(found.digest)), entries.filter((entry) => !isOf(found.digest)(entry))]
    const kept = name === undefined ? [] : mine.filter(({ reference }) => reference !== name)
    // The name with the digest came along with a tag, and goes with the last one.
    const left = kept.some(({ reference }) => reference?.includes('@') === false) ? kept : []
    const gone = mine.filter((entry) => !left.includes(entry))
    removal = {
      untagged: gone.flatMap(({ reference }) => reference ?? []),
      ...(left.length > 0 ? {} : { deleted: id }),
    }
    if (left.length > 0 || !used.has(found.digest)) return [...others, ...left]
    if (!force) throw inUse(ref)
    return others
  })
  return removal
}

const isOf =
  (wanted: Digest) =>
  ({ digest }: { digest: Digest }) =>
    digest === wanted

function inUse(ref: string) {
  return imageError('IMAGE_IN_USE', `remove image ${ref}: a container uses it`, {
    hint: 'remove the container first, or take the name away with --force',
  })
}

/** Takes all names of images that nobody uses: those without a tag, or with `all` every one. Returns what is gone. */
export async function pruneImages(
  catalog: Catalog,
  { all, used }: { all: boolean; used: ReadonlySet<Digest> },
): Promise<ImageRecord[]> {
  const unwanted = (await catalog.list()).filter(
    ({ references, digest }) => !used.has(digest) && (all || references.every((name) => name.includes('@'))),
  )
  await removeAll(catalog, unwanted)
  return unwanted
}

/** Takes all names of these images. */
export async function removeAll(catalog: Catalog, records: readonly ImageRecord[]): Promise<void> {
  const gone = new Set(records.map(({ digest }) => digest))
  await catalog.change((entries) => entries.filter(({ digest }) => !gone.has(digest)))
}
