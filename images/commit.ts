import { closeSync, openSync } from 'node:fs'
import { O_DIRECTORY, O_RDONLY } from '../runtime/linux/at-files.ts'
import { changeConfig } from './config-changes.ts'
import { imageError } from './errors.ts'
import { readImage } from './image-record.ts'
import type { Descriptor, ImageConfig } from './manifest.ts'
import { addLayer, writeImage } from './new-image.ts'
import { formatReference, parseReference } from './reference.ts'
import type { Snapshots } from './snapshot.ts'
import type { BlobStore } from './store.ts'
import { tarOfUpper } from './upper-tar.ts'

export interface CommitOptions {
  /** Name of the new image; without one it is found by its id only. */
  ref?: string
  /** Instructions of a Dockerfile, see `changeConfig`. */
  changes?: readonly string[]
  author?: string
  message?: string
  /** When it was made, milliseconds since the epoch. */
  now: number
}

/**
 * Makes an image of a container: the layers that it lies on, and what it has written as one more. The container should
 * not write meanwhile, else the new layer has some files from before and some from after. Throws `IMAGE_NOT_FOUND`,
 * `IMAGE_BUILD`, `IMAGE_UNSUPPORTED`.
 */
export async function commitContainer(
  at: { blobs: BlobStore; snapshots: Snapshots },
  containerId: string,
  o: CommitOptions,
): Promise<{ descriptor: Descriptor; references: string[] }> {
  const references = o.ref === undefined ? [] : [formatReference(parseReference(o.ref))]
  const record = await at.snapshots.container(containerId)
  if (!record) throw imageError('IMAGE_NOT_FOUND', `commit container ${containerId}: there is no such container`)
  const base = await readImage(at.blobs, record.manifest)
  const before = await rawDocument(at.blobs, base.manifest.config.digest)
  const config = changeConfig(base.document.config, o.changes ?? [])
  const upper = openSync(at.snapshots.overlayOf(containerId, record).upper, O_RDONLY | O_DIRECTORY)
  try {
    const layer = await addLayer(at.blobs, tarOfUpper(upper))
    const document = { ...before, ...madeNow(config, fullHistory(before.history, base.layers.length), o) }
    return { descriptor: await writeImage(at.blobs, { document, layers: [...base.layers, layer] }), references }
  } finally {
    closeSync(upper)
  }
}

/** What a tool has written into a configuration and we know nothing of stays in it. */
async function rawDocument(blobs: BlobStore, digest: Descriptor['digest']): Promise<Record<string, unknown>> {
  const document = JSON.parse((await blobs.readDocument(digest)).toString()) as Record<string, unknown>
  // These are Docker's notes on the container that an image came from.
  const { container: _one, container_config: _other, ...rest } = document
  return rest
}

function madeNow(config: ImageConfig, history: readonly unknown[], o: CommitOptions) {
  const created = new Date(o.now).toISOString()
  const step = {
    created,
    created_by: (o.changes ?? []).join(' ') || 'coracle images commit',
    ...(o.author === undefined ? {} : { author: o.author }),
    ...(o.message === undefined ? {} : { comment: o.message }),
  }
  return {
    created,
    ...(o.author === undefined ? {} : { author: o.author }),
    config,
    history: [...history, step],
  }
}

/** Readers count its steps that made a layer: there must be one for each, also where the base does not tell of them. */
function fullHistory(history: unknown, layers: number): unknown[] {
  const told = Array.isArray(history) ? (history as { empty_layer?: unknown }[]) : []
  const made = told.filter((step) => step?.empty_layer !== true).length
  const known = made <= layers ? told : []
  return [...known, ...Array.from({ length: layers - (known === told ? made : 0) }, () => ({ created_by: '' }))]
}
