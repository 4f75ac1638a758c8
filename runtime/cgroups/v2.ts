import { existsSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { watchOomV2 } from '../linux/oom-notices.ts'
import type { LinuxResources } from '../spec/types.ts'
import { enforceDeviceRules } from './device-program.ts'
import { cgroupFailed, unknownController } from './errors.ts'
import {
  lowestLimit,
  makeGroup,
  pidsBelow,
  readKey,
  readNumber,
  readValue,
  removeEmptyGroup,
  removeGroups,
  writeValue,
} from './files.ts'
import { notEnforced, refuseUnsupported } from './refuse.ts'
import type { CgroupDriver, CgroupStats } from './types.ts'
import { setLimits } from './v2-limits.ts'

/** cgroup v2 (Documentation/admin-guide/cgroup-v2.rst). */
export function v2Driver(mount: string): CgroupDriver {
  const at = (path: string) => `${mount}/${path}`
  return {
    version: 2,
    create(path, resources) {
      refuseUnsupported(resources, 2)
      enableControllers(mount, path, controllersFor(resources))
      makeGroup(at(path))
      setLimits(at(path), resources)
      return [...enforceDeviceRules(at(path), resources.devices), ...notEnforced(resources.memory, () => false)]
    },
    update(path, resources) {
      refuseUnsupported(resources, 2)
      enableControllers(mount, path, controllersFor(resources))
      setLimits(at(path), resources)
      return [...enforceDeviceRules(at(path), resources.devices), ...notEnforced(resources.memory, () => false)]
    },
    membership(path, below = new Map()) {
      const controller = [...below.keys()].find((name) => name !== '')
      if (controller) throw unknownController(controller, 'on cgroup v2 all share one group')
      return {
        into: at([path, below.get('')].filter(Boolean).join('/')),
        join: [],
        views: [{ name: '', folder: at(path) }],
      }
    },
    exists: (path) => existsSync(at(path)),
    stats: (path) => readStats(at(path)),
    pids: (path) => pidsBelow(at(path)),
    oomKills: (path) => readKey(`${at(path)}/memory.events`, 'oom_kill') ?? 0,
    memoryLimit: (path) => lowestLimit(path, (group) => readNumber(`${at(group)}/memory.max`)),
    memoryPeak: (path) => readNumber(`${at(path)}/memory.peak`),
    watchOom: (path, tell) => watchOomV2(at(path), tell),
    freeze: (path, frozen) => setFrozen(at(path), frozen),
    isFrozen: (path) => readValue(`${at(path)}/cgroup.freeze`) === '1',
    takeBack: (path, pid) => writeValue(`${at(path)}/cgroup.procs`, pid),
    killAll: (path) => killGroup(at(path)),
    remove: (path) => removeGroups(at(path)),
    removeIfEmpty: (path) => removeEmptyGroup(at(path)),
  }
}

function controllersFor({ hugepageLimits, rdma, unified }: LinuxResources): string[] {
  const keys = Object.keys(unified ?? {})
  const asks = (name: string) => keys.some((key) => key.startsWith(`${name}.`))
  return [
    ...['cpu', 'cpuset', 'io', 'memory', 'pids'],
    ...(hugepageLimits?.length || asks('hugetlb') ? ['hugetlb'] : []),
    ...(rdma || asks('rdma') ? ['rdma'] : []),
    ...(asks('misc') ? ['misc'] : []),
  ]
}

/** A controller is there in a group when every group above it passes it on: from the root downwards. */
export function enableControllers(mount: string, path: string, wanted: readonly string[]): void {
  const parts = path.split('/').slice(0, -1)
  for (let depth = 0; depth <= parts.length; depth++) {
    const folder = [mount, ...parts.slice(0, depth)].join('/')
    if (depth > 0) makeGroup(folder)
    const offered = (readValue(`${folder}/cgroup.controllers`) ?? '').split(' ')
    const passed = (readValue(`${folder}/cgroup.subtree_control`) ?? '').split(' ')
    const missing = wanted.filter((name) => offered.includes(name) && !passed.includes(name))
    if (missing.length > 0) writeValue(`${folder}/cgroup.subtree_control`, missing.map((name) => `+${name}`).join(' '))
  }
}

function readStats(folder: string): CgroupStats {
  const usage = readNumber(`${folder}/memory.current`) ?? 0
  const limit = readNumber(`${folder}/memory.max`)
  return {
    cpuUsageNanoseconds: (readKey(`${folder}/cpu.stat`, 'usage_usec') ?? 0) * 1000,
    cpuThrottledPeriods: readKey(`${folder}/cpu.stat`, 'nr_throttled') ?? 0,
    memoryUsageBytes: usage,
    memoryWorkingSetBytes: Math.max(0, usage - (readKey(`${folder}/memory.stat`, 'inactive_file') ?? 0)),
    memoryRssBytes: readKey(`${folder}/memory.stat`, 'anon') ?? 0,
    ...(limit === undefined ? {} : { memoryLimitBytes: limit }),
    pids: readNumber(`${folder}/pids.current`) ?? 0,
    oomKills: readKey(`${folder}/memory.events`, 'oom_kill') ?? 0,
  }
}

async function setFrozen(folder: string, frozen: boolean): Promise<void> {
  writeValue(`${folder}/cgroup.freeze`, frozen ? 1 : 0)
  for (let tries = 0; tries < 200; tries++) {
    if (readKey(`${folder}/cgroup.events`, 'frozen') === (frozen ? 1 : 0)) return
    await sleep(5)
  }
  throw cgroupFailed(`freeze ${folder}: not done within a second`, undefined)
}

async function killGroup(folder: string): Promise<void> {
  if (!existsSync(folder)) return
  writeValue(`${folder}/cgroup.kill`, 1)
  for (let tries = 0; pidsBelow(folder).length > 0; tries++) {
    if (tries > 400) throw cgroupFailed(`kill all in ${folder}: it is not empty`, undefined)
    await sleep(5)
  }
}
