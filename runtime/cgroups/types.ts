import type { LinuxResources } from '../spec/types.ts'

/** What a group uses now. Bytes, nanoseconds, counts. */
export interface CgroupStats {
  cpuUsageNanoseconds: number
  cpuThrottledPeriods: number
  memoryUsageBytes: number
  /** Usage without the file cache that is not in active use: what eviction and `kubectl top` count. */
  memoryWorkingSetBytes: number
  memoryRssBytes: number
  /** Absent: no limit. */
  memoryLimitBytes?: number
  pids: number
  oomKills: number
}

/** How a process gets in, and what the container may see of it. */
export interface CgroupMembership {
  /** The folder of the v2 hierarchy, where there is one. */
  into?: string
  join: string[]
  /** Like `join`, for a process that is born: it joins these itself. */
  afterClone?: string[]
  views: { name: string; folder: string }[]
}

/** One model for v1, hybrid and v2. `path` is relative to the root of the hierarchies, such as `coracle/node/pod1/c1`. */
export interface CgroupDriver {
  readonly version: 1 | 2
  /** Makes the group and its parents, and sets the limits. What cannot be enforced here is said in the result. */
  create(path: string, resources: LinuxResources): string[]
  /** Changes what `resources` names, and nothing else. */
  update(path: string, resources: LinuxResources): string[]
  /** `below`: existing groups below it to join instead, by controller; under '' that of all others. Throws CGROUP_UNSUPPORTED. */
  membership(path: string, below?: ReadonlyMap<string, string>): CgroupMembership
  exists(path: string): boolean
  stats(path: string): CgroupStats
  /** Processes of the group and of all groups below. */
  pids(path: string): number[]
  /** How often the kernel's OOM killer has struck in the group. */
  oomKills(path: string): number
  /** The lowest memory limit of the group and those above it, and whose it is; undefined without any. */
  memoryLimit(path: string): { bytes: number; path: string } | undefined
  /** The most memory that the group has ever used; undefined where the kernel does not keep it (v2 before 5.19). */
  memoryPeak(path: string): number | undefined
  /** Calls `tell` when memory has run out in the group: a process may have been killed, or be about to be. Returns how to stop. */
  watchOom(path: string, tell: () => void): () => void
  freeze(path: string, frozen: boolean): Promise<void>
  isFrozen(path: string): boolean
  /** Moves a process that somebody has moved elsewhere back into the group: a foreign freezer then holds it no longer. */
  takeBack(path: string, pid: number): void
  /** SIGKILL for everything in the group, until it is empty. */
  killAll(path: string): Promise<void>
  /** Removes the group and those below; nothing to do when it is not there. */
  remove(path: string): Promise<void>
  /** Removes the group if nothing is in it, no process and no group; otherwise leaves it. True when it is gone. */
  removeIfEmpty(path: string): boolean
}
