import { randomUUID } from 'node:crypto'
import { closeSync, existsSync, openSync } from 'node:fs'
import { link, open, readFile, rename, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { errnoOf } from '../runtime/base/errors.ts'
import { lockFile } from '../runtime/linux/flock.ts'
import { imageError } from './errors.ts'
import { type Descriptor, mediaTypes, parseManifest } from './manifest.ts'

export const referenceName = 'org.opencontainers.image.ref.name'

/** An image under one of its names; without a name it is found by its id only. */
export interface Entry extends Descriptor {
  reference: string | undefined
}

/**
 * Which names mean which manifest: `index.json` of the layout. Several processes may use it: a change is read, made and
 * written while holding `lock` (flock), and the new file is renamed over the old one.
 */
export interface IndexFile {
  read(): Promise<Entry[]>
  change(edit: (entries: Entry[]) => Entry[]): Promise<void>
}

/** Creates the files of an empty layout if they are not there. Image specification, image-layout.md. */
export async function openIndexFile(root: string): Promise<IndexFile> {
  const file = join(root, 'index.json')
  const read = async () => entriesOf(await readFile(file))
  const change = async (edit: (entries: Entry[]) => Entry[]) => {
    const lock = openSync(join(root, 'lock'), 'a', 0o600)
    try {
      await lockFile(lock, 'exclusive')
      const before = await read()
      const after = edit(before)
      // Most pulls find everything there: what changes nothing need not wait for the disk.
      if (!areSame(before, after)) await writeDurably(file, documentOf(after))
    } finally {
      closeSync(lock)
    }
  }
  await createIfMissing(join(root, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }))
  await createIfMissing(file, documentOf([]))
  return { read, change }
}

function entriesOf(bytes: Uint8Array): Entry[] {
  const index = parseManifest(bytes, 'index.json of the image store')
  if (index.kind !== 'index') throw imageError('IMAGE_MANIFEST_INVALID', 'read index.json of the image store: no index')
  return index.manifests.map((descriptor) => ({ ...descriptor, reference: descriptor.annotations?.[referenceName] }))
}

function documentOf(entries: readonly Entry[]): string {
  return JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: entries.map(descriptorOf) })
}

function descriptorOf({ reference, annotations, ...descriptor }: Entry): Descriptor {
  // A descriptor still has the name that it was read with: what counts is `reference`.
  const { [referenceName]: _, ...others } = annotations ?? {}
  const all = reference === undefined ? others : { ...others, [referenceName]: reference }
  return { ...descriptor, ...(Object.keys(all).length === 0 ? {} : { annotations: all }) }
}

/** The order of entries says nothing. */
function areSame(before: readonly Entry[], after: readonly Entry[]): boolean {
  const textsOf = (entries: readonly Entry[]) => entries.map((entry) => JSON.stringify(descriptorOf(entry))).sort()
  return isDeepStrictEqual(textsOf(before), textsOf(after))
}

/** Whole or not at all, also when several processes begin at once. */
async function createIfMissing(file: string, text: string): Promise<void> {
  if (existsSync(file)) return
  const temporary = `${file}.${randomUUID()}`
  await writeFile(temporary, text)
  try {
    await link(temporary, file)
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error
  } finally {
    await unlink(temporary)
  }
}

async function writeDurably(file: string, text: string): Promise<void> {
  const temporary = `${file}.tmp`
  {
    await using handle = await open(temporary, 'w', 0o644)
    await handle.writeFile(text)
    await handle.sync()
  }
  await rename(temporary, file)
}
