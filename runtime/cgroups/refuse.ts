import type { LinuxResources } from '../spec/types.ts'
import { cgroupUnsupported } from './errors.ts'

/** Throws CGROUP_UNSUPPORTED for the first limit that was asked for and that this version of cgroups does not have. */
export function refuseUnsupported(resources: LinuxResources, version: 1 | 2): void {
  const { memory, cpu, network } = resources
  const onV2: [string, unknown][] = [
    ['network.classID', network?.classID],
    ['network.priorities', network?.priorities?.length],
    ['memory.kernel', (memory?.kernel ?? -1) > 0],
    ['memory.kernelTCP', (memory?.kernelTCP ?? -1) > 0],
    ['memory.swappiness', memory?.swappiness !== undefined],
    ['memory.disableOOMKiller', memory?.disableOOMKiller],
    ['cpu.realtimeRuntime', cpu?.realtimeRuntime],
    ['cpu.realtimePeriod', cpu?.realtimePeriod],
  ]
  const asked: [string, unknown][] = [
    // Every group counts with its children since Linux 5.11.
    ['memory.useHierarchy', memory?.useHierarchy === false],
    ...(version === 2 ? onV2 : []),
  ]
  const field = asked.find(([, value]) => value)?.[0]
  if (field) throw cgroupUnsupported(`linux.resources.${field}`, `cgroup v${version} does not have it`)
}
