import { chmod, chown } from 'node:fs/promises'
import { parseQuantity, wholeUnits } from '../../orchestrator/api/quantity.ts'
import type { Volume } from '../../orchestrator/api/types.ts'
import { isMountPoint, mount } from '../../runtime/linux/mount.ts'

export interface EmptyDirOptions {
  fsGroup?: number | undefined
  /** What the pod may have of the node's memory at most. */
  memoryBytes: number
}

/**
 * An empty directory that lives as long as the pod: on the node's disk, or in memory (`medium: Memory`, a tmpfs as
 * large as `sizeLimit`, and no larger than the pod's memory; its folder is sticky, as the kernel makes it). World-writable
 * like upstream's; with `fsGroup`, owned by that group and set-group-id.
 */
export async function setUpEmptyDir(
  place: string,
  source: NonNullable<Volume['emptyDir']>,
  { fsGroup, memoryBytes }: EmptyDirOptions,
): Promise<void> {
  const inMemory = source.medium === 'Memory'
  if (!inMemory && source.medium) throw new Error(`unsupported medium "${source.medium}"`)
  if (inMemory && !isMountPoint(place)) {
    const size = Math.min(memoryBytes, limitOf(source) || Number.POSITIVE_INFINITY)
    mount({ source: 'tmpfs', target: place, type: 'tmpfs', flags: ['nosuid', 'nodev'], data: `size=${size}` })
  }
  const mode = inMemory ? 0o1777 : 0o777
  if (fsGroup === undefined) return chmod(place, mode)
  await chown(place, 0, fsGroup)
  await chmod(place, mode | 0o2000)
}

function limitOf({ sizeLimit }: NonNullable<Volume['emptyDir']>): number {
  return sizeLimit === undefined ? 0 : wholeUnits(parseQuantity(sizeLimit))
}
