import { cgroups } from '../cgroups/driver.ts'
import type { CgroupStats } from '../cgroups/types.ts'
import type { LinuxResources } from '../spec/types.ts'
import { validateResources } from '../spec/validate.ts'
import { requireState, stateOf } from './state.ts'

/**
 * Changes limits of a living container; what cannot be enforced here is said in the result. Throws NOT_FOUND, WRONG_STATE, SPEC_INVALID, CGROUP_FAILED, CGROUP_UNSUPPORTED.
 */
export function update(root: string, id: string, resources: LinuxResources): string[] {
  const { cgroupPath } = requireState(root, id, { verb: 'update', states: ['created', 'running', 'paused'] })
  return cgroups().update(cgroupPath, validateResources(resources))
}

/** What a container uses now. Throws NOT_FOUND. */
export function stats(root: string, id: string): CgroupStats {
  return cgroups().stats(stateOf(root, id).cgroupPath)
}
