import { createReadStream } from 'node:fs'
import { access } from 'node:fs/promises'
import { messageOf } from '../runtime/base/errors.ts'
import { type Digest, finish, newHash } from './digest.ts'
import { type Image, readImage } from './image-record.ts'
import type { Entry } from './index-file.ts'
import type { Snapshots } from './snapshot.ts'
import type { BlobStore } from './store.ts'

/** Something in the store that should not be. */
export interface StoreFault {
  /** `blob sha256:…`, `image NAME`, `container ID`. */
  what: string
  reason: string
}

/** What was looked at, and what is wrong. */
export interface StoreCheck {
  images: number
  blobs: number
  /** Bytes whose digest was computed. */
  bytes: number
  faults: StoreFault[]
}

/**
 * Reads every byte of the store: each blob against its digest, each image against what it refers to, each container
 * against the layers that it lies on. Changes nothing.
 */
export async function checkStore(o: {
  entries: readonly Entry[]
  blobs: BlobStore
  snapshots: Snapshots
}): Promise<StoreCheck> {
  const check: StoreCheck = { images: 0, blobs: 0, bytes: 0, faults: [] }
  const sizes = new Map<Digest, number>()
  for (const digest of await o.blobs.list()) {
    const { actual, size } = await digestOfFile(o.blobs.pathOf(digest))
    check.blobs++
    check.bytes += size
    if (actual === digest) sizes.set(digest, size)
    else check.faults.push({ what: `blob ${digest}`, reason: `it holds ${actual}` })
  }
  for (const [digest, [entry]] of Map.groupBy(o.entries, (each) => each.digest)) {
    check.images++
    const what = `image ${entry?.reference ?? digest}`
    try {
      check.faults.push(...faultsOf(await readImage(o.blobs, digest), { what, sizes }))
    } catch (error) {
      check.faults.push({ what, reason: messageOf(error) })
    }
  }
  for (const id of await o.snapshots.containers()) check.faults.push(...(await faultsOfContainer(o.snapshots, id)))
  return check
}

function faultsOf({ manifest }: Image, o: { what: string; sizes: ReadonlyMap<Digest, number> }): StoreFault[] {
  return [manifest.config, ...manifest.layers].flatMap(({ digest, size }) => {
    const there = o.sizes.get(digest)
    if (there === size) return []
    const reason = there === undefined ? `${digest} is missing or damaged` : `${digest} has ${there} bytes, not ${size}`
    return [{ what: o.what, reason }]
  })
}

async function faultsOfContainer(snapshots: Snapshots, id: string): Promise<StoreFault[]> {
  const what = `container ${id}`
  try {
    const record = await snapshots.container(id)
    if (!record) return [{ what, reason: 'nothing says which image it lies on' }]
    const { lower, upper, work } = snapshots.overlayOf(id, record)
    const missing: StoreFault[] = []
    for (const folder of [...lower, upper, work]) {
      await access(folder).catch(() => missing.push({ what, reason: `${folder} is missing` }))
    }
    return missing
  } catch (error) {
    return [{ what, reason: messageOf(error) }]
  }
}

async function digestOfFile(path: string): Promise<{ actual: Digest; size: number }> {
  const hash = newHash()
  let size = 0
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 }) as AsyncIterable<Buffer>) {
    hash.update(chunk)
    size += chunk.length
  }
  return { actual: finish(hash), size }
}
