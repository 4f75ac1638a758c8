import { findLayout } from './layout.ts'
import type { CgroupDriver } from './types.ts'
import { v1Driver } from './v1.ts'
import { v2Driver } from './v2.ts'

let driver: CgroupDriver | undefined

/** The driver of this host; looks at the mounts once. */
export function cgroups(): CgroupDriver {
  if (!driver) {
    const layout = findLayout()
    driver = layout.version === 1 ? v1Driver(layout.mounts, layout.others) : v2Driver(layout.mount)
  }
  return driver
}
