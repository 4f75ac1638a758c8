import type { LinuxResources } from '../spec/types.ts'
import { cgroupUnsupported } from './errors.ts'

/** Throws CGROUP_UNSUPPORTED for the first limit that was asked for and that this version of cgroups does not have. */
export function refuseUnsupported(resources: LinuxResources, version: 1 | 2): void {
  const { memory, cpu, network } = resources
  const onV2: [string, unknown][] = [
    ['network.classID', network?.classID],
    ['network.priorities', network?.priorities?.length],
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

/**
 * A warning for each limit of the kernel's own memory that nothing enforces. The specification advises against them, kernels since
 * 6.1 take any and do nothing (cgroup-v1/memory.rst, 2.7), v2 never had them, and runc ignores them: not worth refusing a container.
 */
export function notEnforced(
  memory: LinuxResources['memory'],
  isSet: (field: KernelLimit, bytes: number) => boolean,
): string[] {
  return (['kernel', 'kernelTCP'] as const)
    .filter((field) => {
      const bytes = memory?.[field] ?? -1
      return bytes > 0 && !isSet(field, bytes)
    })
    .map((field) => `linux.resources.memory.${field} is not enforced: this host has no such limit`)
}

export type KernelLimit = 'kernel' | 'kernelTCP'
