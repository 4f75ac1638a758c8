import type { LinuxResources } from '../spec/types.ts'
import { cgroupUnsupported } from './errors.ts'

/** Throws CGROUP_UNSUPPORTED for the first limit that was asked for and would not be set. */
export function refuseUnsupported(resources: LinuxResources, version: 1 | 2): void {
  const { memory, cpu } = resources
  const asked: [string, unknown][] = [
    ['blockIO', Object.keys(resources.blockIO ?? {}).length],
    ['network', Object.keys(resources.network ?? {}).length],
    ['rdma', Object.keys(resources.rdma ?? {}).length],
    ['hugepageLimits', resources.hugepageLimits?.length],
    ['unified', version === 1 && Object.keys(resources.unified ?? {}).length],
    ['memory.kernel', (memory?.kernel ?? -1) > 0],
    ['memory.kernelTCP', (memory?.kernelTCP ?? -1) > 0],
    ['memory.checkBeforeUpdate', memory?.checkBeforeUpdate],
    ['memory.swappiness', version === 2 && memory?.swappiness !== undefined],
    ['memory.disableOOMKiller', version === 2 && memory?.disableOOMKiller],
    ['cpu.realtimeRuntime', cpu?.realtimeRuntime],
    ['cpu.realtimePeriod', cpu?.realtimePeriod],
  ]
  const field = asked.find(([, value]) => value)?.[0]
  if (field) throw cgroupUnsupported(`linux.resources.${field}`)
}
