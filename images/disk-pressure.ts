import { stat, statfs } from 'node:fs/promises'
import { imageError } from './errors.ts'
import type { ImageRecord } from './image-record.ts'
import type { LastUses } from './last-use.ts'
import { removeAll } from './remove.ts'
import { containersByImage, piecesOf, treeUsage, type UsageParts } from './usage.ts'

/** The kubelet's settings of the same names: imageGCHighThresholdPercent, imageGCLowThresholdPercent, imageMinimumGCAge. */
export interface ReclaimOptions {
  /** From this use of the disk on, images are removed; 100 never. Default 85. */
  highPercent?: number
  /** Down to this use of the disk. Default 80. */
  lowPercent?: number
  /** Images that came later stay. Default 120. */
  minimumAgeSeconds?: number
  /** Only tells what would be removed. */
  dryRun?: boolean
}

export interface Reclaimed {
  /** Use of the disk before, in whole percent as the kubelet counts. */
  usedPercent: number
  /** Bytes that had to go; 0 when there is room enough. */
  wantedBytes: number
  /** Bytes on the disk that the removed images alone took. Less than wanted: the rest is in use, or too young. */
  freedBytes: number
  removed: ImageRecord[]
}

export interface PressureParts extends UsageParts {
  root: string
  uses: LastUses
}

/**
 * Makes room as the kubelet does: when the disk is used more than `highPercent`, images that no container lies on go, the
 * longest unused first, until it would be used less than `lowPercent`. The caller collects afterwards. Kubernetes docs,
 * "Garbage Collection"; pkg/kubelet/images/image_gc_manager.go. Throws `IMAGE_SETTING`.
 */
export async function reclaimDisk(parts: PressureParts, options: ReclaimOptions, now: number): Promise<Reclaimed> {
  const { highPercent, lowPercent, minimumAgeSeconds } = checked(options)
  const disk = await statfs(parts.root)
  const [capacity, available] = [disk.blocks * disk.bsize, disk.bavail * disk.bsize]
  const usedPercent = 100 - Math.floor((available * 100) / Math.max(capacity, 1))
  if (highPercent === 100 || usedPercent < highPercent) {
    return { usedPercent, wantedBytes: 0, freedBytes: 0, removed: [] }
  }
  const wantedBytes = Math.max(0, Math.floor((capacity * (100 - lowPercent)) / 100) - available)
  const candidates = await candidatesOf(parts, now - minimumAgeSeconds * 1000)
  const { freedBytes, removed } = await chooseUntil(parts, candidates, wantedBytes)
  if (!options.dryRun) await removeAll(parts.catalog, removed)
  return { usedPercent, wantedBytes, freedBytes, removed }
}

function checked({ highPercent = 85, lowPercent = 80, minimumAgeSeconds = 120 }: ReclaimOptions) {
  const isPercent = (value: number) => Number.isInteger(value) && value >= 0 && value <= 100
  if (!isPercent(highPercent) || !isPercent(lowPercent) || lowPercent > highPercent) {
    const given = `high is ${highPercent}, low is ${lowPercent}`
    throw imageError('IMAGE_SETTING', `reclaim disk: ${given}; both are percents, low at most as large as high`)
  }
  if (!(minimumAgeSeconds >= 0)) throw imageError('IMAGE_SETTING', `reclaim disk: the age is ${minimumAgeSeconds}`)
  return { highPercent, lowPercent, minimumAgeSeconds }
}

/** Unused images that are old enough; those that were used longest ago first, of those that never were the oldest. */
async function candidatesOf(
  { blobs, catalog, snapshots, uses }: PressureParts,
  before: number,
): Promise<ImageRecord[]> {
  const used = await containersByImage(snapshots)
  const dated = await Promise.all(
    (await catalog.list())
      .filter(({ digest }) => !used.has(digest))
      .map(async (image) => ({
        image,
        lastUse: await uses.of(image.digest),
        // Its manifest was written when it came.
        since: (await stat(blobs.pathOf(image.digest))).mtimeMs,
      })),
  )
  return dated
    .filter(({ since }) => since <= before)
    .sort((one, other) => one.lastUse - other.lastUse || one.since - other.since)
    .map(({ image }) => image)
}

/** A layer is free only when the last image that has it goes. */
async function chooseUntil(parts: PressureParts, candidates: readonly ImageRecord[], wantedBytes: number) {
  const owners = new Map<string, number>()
  for (const image of await parts.catalog.list()) {
    for (const path of await piecesOf(parts, image)) owners.set(path, (owners.get(path) ?? 0) + 1)
  }
  const removed: ImageRecord[] = []
  let freedBytes = 0
  for (const image of candidates) {
    if (freedBytes >= wantedBytes) break
    removed.push(image)
    for (const path of await piecesOf(parts, image)) {
      const left = (owners.get(path) ?? 1) - 1
      owners.set(path, left)
      if (left === 0) freedBytes += (await treeUsage(path)).bytes
    }
  }
  return { freedBytes, removed }
}
