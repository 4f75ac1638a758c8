import { closeSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { lockFile, tryLockFile } from '../runtime/linux/flock.ts'
import { chainIds, type Digest } from './digest.ts'
import { readImage } from './image-record.ts'
import type { Entry } from './index-file.ts'
import type { LastUses } from './last-use.ts'
import type { Snapshots } from './snapshot.ts'
import type { BlobStore } from './store.ts'

/**
 * Work in progress and the removal of what nobody uses exclude each other across processes: work holds the lock shared,
 * removal exclusively. Removal does not wait, it is done another time.
 */
export async function whileWorking<Result>(root: string, act: () => Promise<Result>): Promise<Result> {
  const lock = openLock(root)
  try {
    await lockFile(lock, 'shared')
    return await act()
  } finally {
    closeSync(lock)
  }
}

/** Runs `act` if nobody works; false otherwise. */
export async function ifIdle(root: string, act: () => Promise<void>): Promise<boolean> {
  const lock = openLock(root)
  try {
    if (!tryLockFile(lock)) return false
    await act()
    return true
  } finally {
    closeSync(lock)
  }
}

const openLock = (root: string) => openSync(join(root, 'work.lock'), 'a', 0o600)

/** Removes blobs and layers that no image and no container needs. Only while nobody works. */
export async function collectGarbage(o: {
  entries: readonly Entry[]
  blobs: BlobStore
  snapshots: Snapshots
  uses: LastUses
}): Promise<void> {
  const blobs = new Set<Digest>()
  const layers = new Set<Digest>()
  const manifests = new Set<Digest>()
  const keep = async (digest: Digest) => {
    if (manifests.has(digest)) return
    manifests.add(digest)
    blobs.add(digest)
    // Of an image that cannot be read, nobody can use the rest.
    const image = await readImage(o.blobs, digest).catch(() => undefined)
    if (!image) return
    for (const { digest: one } of [image.manifest.config, ...image.manifest.layers]) blobs.add(one)
    for (const id of chainIds(image.document.diffIds)) layers.add(id)
  }
  for (const { digest } of o.entries) await keep(digest)
  for (const containerId of await o.snapshots.containers()) {
    const record = await o.snapshots.container(containerId)
    for (const id of record?.chain ?? []) layers.add(id)
    // An image whose names were taken by force can still be committed on.
    if (record && (await o.blobs.has(record.manifest))) await keep(record.manifest)
  }
  for (const digest of await o.blobs.list()) if (!blobs.has(digest)) await o.blobs.remove(digest)
  for (const id of await o.snapshots.list()) if (!layers.has(id)) await o.snapshots.remove(id)
  await o.uses.keepOnly(manifests)
}
