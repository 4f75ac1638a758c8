import { chmod, chown } from 'node:fs/promises'
import { parseQuantity, wholeUnits } from '../../orchestrator/api/quantity.ts'
import type { Volume } from '../../orchestrator/api/types.ts'
import { isMountPoint, mount } from '../../runtime/linux/mount.ts'

/**
 * An empty directory that lives as long as the pod: on the node's disk, or in memory (`medium: Memory`, a tmpfs whose
 * size is `sizeLimit`). World-writable like upstream's; with `fsGroup`, owned by that group and set-group-id.
 */
export async function setUpEmptyDir(
  place: string,
  source: NonNullable<Volume['emptyDir']>,
  fsGroup: number | undefined,
): Promise<void> {
  if (source.medium === 'Memory') {
    const size = source.sizeLimit === undefined ? [] : [`size=${wholeUnits(parseQuantity(source.sizeLimit))}`]
    if (!isMountPoint(place))
      mount({ source: 'tmpfs', target: place, type: 'tmpfs', flags: ['nosuid', 'nodev'], data: size.join(',') })
  } else if (source.medium !== undefined && source.medium !== '') {
    throw new Error(`unsupported medium "${source.medium}"`)
  }
  if (fsGroup === undefined) return chmod(place, 0o777)
  await chown(place, 0, fsGroup)
  await chmod(place, 0o2777)
}
