import { existsSync } from 'node:fs'
import { errnoOf } from '../base/errors.ts'
import type { LinuxResources } from '../spec/types.ts'
import { cgroupFailed, cgroupUnsupported } from './errors.ts'
import { readNumber, writeValue } from './files.ts'

/** A limit of 0 is one (runtime-spec 1.3), but then there would be no first process either: as with runc, that one may be. */
export function setPids(file: string, limit: number): void {
  writeValue(file, limit < 0 ? 'max' : Math.max(1, limit))
}

/** Huge pages by size, used and reserved. Throws CGROUP_UNSUPPORTED for a size that this machine does not have. */
export function setHugepages(folder: string, limits: LinuxResources['hugepageLimits']): void {
  for (const { pageSize, limit } of limits ?? []) {
    const file = [`hugetlb.${pageSize}.max`, `hugetlb.${pageSize}.limit_in_bytes`].find((name) =>
      existsSync(`${folder}/${name}`),
    )
    if (!/^\d+[KMG]B$/.test(pageSize) || !file) {
      throw cgroupUnsupported('linux.resources.hugepageLimits', `there are no huge pages of ${pageSize}`)
    }
    writeValue(`${folder}/${file}`, limit)
    const reserved = `${folder}/${file.replace(pageSize, `${pageSize}.rsvd`)}`
    if (existsSync(reserved)) writeValue(reserved, limit)
  }
}

/** Handles and objects by adapter (Documentation/admin-guide/cgroup-v1/rdma.rst; the same file on v2). */
export function setRdma(folder: string, limits: LinuxResources['rdma']): void {
  for (const [device, { hcaHandles, hcaObjects }] of Object.entries(limits ?? {})) {
    const handles = hcaHandles === undefined ? '' : ` hca_handle=${hcaHandles}`
    const objects = hcaObjects === undefined ? '' : ` hca_object=${hcaObjects}`
    if (handles || objects) writeValue(`${folder}/rdma.max`, `${device}${handles}${objects}`)
  }
}

/** memory.checkBeforeUpdate: a limit below what is used now is refused, rather than met by killing. Throws CGROUP_FAILED. */
export function checkBeforeUpdate(usageFile: string, memory: LinuxResources['memory']): void {
  const limit = memory?.limit ?? 0
  if (!memory?.checkBeforeUpdate || limit <= 0) return
  const usage = readNumber(usageFile) ?? 0
  if (usage <= limit) return
  const cause = Object.assign(new Error(`${usage} bytes are in use`), { code: 'EBUSY' })
  throw cgroupFailed(`set memory.limit to ${limit} with ${usage} bytes in use`, cause)
}

/**
 * Two files whose values bound each other, such as quota and period: the order that works depends on what is there
 * now, so the other one is tried when the kernel says EINVAL.
 */
export function writeEitherWay(first: () => void, second: () => void): void {
  try {
    first()
  } catch (error) {
    if (errnoOf(error) !== 'EINVAL') throw error
    second()
    first()
    return
  }
  second()
}
