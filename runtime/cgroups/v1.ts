import { existsSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { watchOomV1 } from '../linux/oom-notices.ts'
import type { LinuxResources } from '../spec/types.ts'
import { cgroupFailed, cgroupUnsupported, unknownController } from './errors.ts'
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
import { refuseUnsupported } from './refuse.ts'
import type { CgroupDriver, CgroupStats } from './types.ts'
import { controllersFor, fieldOf, makeCpuset, optionalControllers, type Place, setLimits } from './v1-limits.ts'
import { enableControllers } from './v2.ts'

/** Hierarchies in which every group of ours exists. */
const always = ['cpu', 'cpuacct', 'memory', 'pids', 'devices', 'freezer']
/** What the kernel shows for "no limit": the largest multiple of the page size below 2^63. */
const unlimitedBytes = 2 ** 62

/**
 * cgroup v1, and the hybrid layout whose controllers are v1 (Documentation/admin-guide/cgroup-v1). `mounts` has a folder
 * for each controller, and under `unified` that of the v2 tree beside them, which may have hugetlb; `others` are hierarchies
 * that only other runtimes use.
 */
export function v1Driver(mounts: ReadonlyMap<string, string>, others: readonly string[] = []): CgroupDriver {
  const { has, hugetlbIsUnified, at, used, folders, foldersToRemove } = places(mounts, others)
  const unified = mounts.get('unified')
  const limit = (path: string, resources: LinuxResources) => {
    makeOptional({ mounts, at, path, resources, hugetlbIsUnified })
    return setLimits(at, path, resources)
  }

  return {
    version: 1,
    create(path, resources) {
      refuseUnsupported(resources, 1)
      for (const controller of has) makeGroup(at(controller, path))
      return limit(path, resources)
    },
    update(path, resources) {
      refuseUnsupported(resources, 1)
      return limit(path, resources)
    },
    membership(path, below) {
      // `tasks`, not `cgroup.procs`: a single thread that moves itself needs no lock over all processes of the machine,
      // whose taking waits for an RCU grace period (kernel/cgroup/cgroup.c, cgroup_procs_write_start). v2 has no `tasks`,
      // but clone3 makes processes in its groups.
      const all = folders(path, below)
      const into = all.find((folder) => unified !== undefined && folder.startsWith(`${unified}/`))
      const files = all.filter((folder) => folder !== into).map((folder) => `${folder}/tasks`)
      const counts = (file: string) => file.startsWith(`${mounts.get('pids')}/`)
      return {
        ...(into === undefined ? {} : { into }),
        join: files.filter((file) => !counts(file)),
        afterClone: files.filter(counts),
        views: used(path).map((controller) => ({ name: controller, folder: at(controller, path) })),
      }
    },
    exists: (path) => existsSync(at('memory', path)),
    stats: (path) => readStats(at, path),
    pids: (path) => pidsBelow(at('freezer', path)),
    oomKills: (path) => readKey(`${at('memory', path)}/memory.oom_control`, 'oom_kill') ?? 0,
    memoryLimit: (path) =>
      lowestLimit(path, (group) => {
        const bytes = readNumber(`${at('memory', group)}/memory.limit_in_bytes`) ?? unlimitedBytes
        return bytes < unlimitedBytes ? bytes : undefined
      }),
    memoryPeak: (path) => readNumber(`${at('memory', path)}/memory.max_usage_in_bytes`),
    watchOom: (path, tell) => watchOomV1(at('memory', path), tell),
    freeze: (path, frozen) => setFrozen(at('freezer', path), frozen),
    isFrozen: (path) => (readValue(`${at('freezer', path)}/freezer.state`) ?? 'THAWED') !== 'THAWED',
    takeBack: (path, pid) => writeValue(`${at('freezer', path)}/cgroup.procs`, pid),
    killAll: (path) => killFrozen(at('freezer', path)),
    async remove(path) {
      for (const folder of foldersToRemove(path)) await removeGroups(folder)
    },
    removeIfEmpty: (path) => foldersToRemove(path).every(removeEmptyGroup),
  }
}

/** Where the groups of one path are, hierarchy by hierarchy. */
function places(mounts: ReadonlyMap<string, string>, others: readonly string[]) {
  const has = always.filter((controller) => mounts.has(controller))
  const optional = optionalControllers.filter((controller) => mounts.has(controller))
  const hugetlbIsUnified = mounts.has('unified') && !mounts.has('hugetlb')
  const at = (controller: string, path: string) => {
    const inTree = controller === 'hugetlb' && hugetlbIsUnified ? 'unified' : controller
    return `${mounts.get(inTree) ?? `/sys/fs/cgroup/${inTree}`}/${path}`
  }
  const used = (path: string) => [...has, ...optional.filter((controller) => existsSync(at(controller, path)))]
  /** Several controllers can share one mount. */
  const folders = (path: string, below: ReadonlyMap<string, string> = new Map()) => {
    const there = used(path)
    const unknown = [...below.keys()].find((name) => name !== '' && !there.includes(name as (typeof there)[number]))
    if (unknown !== undefined) throw unknownController(unknown, 'the container has no group of it')
    const groupOf = (controller: string) => [path, below.get(controller) ?? below.get('')].filter(Boolean).join('/')
    return [...new Set(there.map((controller) => at(controller, groupOf(controller))))]
  }
  /** Of these another runtime may have left some behind. */
  const foldersToRemove = (path: string) => {
    const foreign = others.map((folder) => `${folder}/${path}`)
    return [...folders(path), ...foreign.filter((folder) => existsSync(folder))]
  }
  return { has, hugetlbIsUnified, at, used, folders, foldersToRemove }
}

interface OptionalPlan {
  mounts: ReadonlyMap<string, string>
  at: Place
  path: string
  resources: LinuxResources
  hugetlbIsUnified: boolean
}

/**
 * Groups in the optional hierarchies: where a limit asks for one, and where a group above has one, which would not
 * count otherwise. What runs in the group already is moved there.
 */
function makeOptional({ mounts, at, path, resources, hugetlbIsUnified }: OptionalPlan): void {
  const parent = path.slice(0, Math.max(0, path.lastIndexOf('/')))
  const asked = controllersFor(resources)
  const inherited = optionalControllers.filter(
    (name) => parent !== '' && mounts.has(name) && existsSync(at(name, parent)),
  )
  for (const controller of new Set([...asked, ...inherited])) {
    const isUnified = controller === 'unified' || (controller === 'hugetlb' && hugetlbIsUnified)
    if (!mounts.has(isUnified ? 'unified' : controller)) {
      throw cgroupUnsupported(
        `linux.resources.${fieldOf[controller]}`,
        `this host has no cgroup controller ${controller}`,
      )
    }
    const folder = at(controller, path)
    if (existsSync(folder)) continue
    if (isUnified) enableControllers(mounts.get('unified') ?? '', path, ['hugetlb', 'rdma', 'misc'])
    if (controller === 'cpuset') makeCpuset(at, path)
    else makeGroup(folder)
    for (const pid of pidsBelow(at('freezer', path))) writeValue(`${folder}/cgroup.procs`, pid)
  }
}

function readStats(at: Place, path: string): CgroupStats {
  const memory = at('memory', path)
  const usage = readNumber(`${memory}/memory.usage_in_bytes`) ?? 0
  const limit = readNumber(`${memory}/memory.limit_in_bytes`) ?? unlimitedBytes
  const inactive = readKey(`${memory}/memory.stat`, 'total_inactive_file') ?? 0
  return {
    cpuUsageNanoseconds: readNumber(`${at('cpuacct', path)}/cpuacct.usage`) ?? 0,
    cpuThrottledPeriods: readKey(`${at('cpu', path)}/cpu.stat`, 'nr_throttled') ?? 0,
    memoryUsageBytes: usage,
    memoryWorkingSetBytes: Math.max(0, usage - inactive),
    memoryRssBytes: readKey(`${memory}/memory.stat`, 'total_rss') ?? 0,
    ...(limit < unlimitedBytes ? { memoryLimitBytes: limit } : {}),
    pids: readNumber(`${at('pids', path)}/pids.current`) ?? 0,
    oomKills: readKey(`${memory}/memory.oom_control`, 'oom_kill') ?? 0,
  }
}

async function setFrozen(folder: string, frozen: boolean): Promise<void> {
  const wanted = frozen ? 'FROZEN' : 'THAWED'
  // A process in the middle of an uninterruptible call leaves the group FREEZING: thaw and try again, as runc does.
  for (let tries = 0; tries < 200; tries++) {
    writeValue(`${folder}/freezer.state`, wanted)
    if (readValue(`${folder}/freezer.state`) === wanted) return
    await sleep(5)
    if (frozen && tries % 20 === 19) writeValue(`${folder}/freezer.state`, 'THAWED')
  }
  writeValue(`${folder}/freezer.state`, 'THAWED')
  throw cgroupFailed(`freeze ${folder}: not ${wanted} within a second`, undefined)
}

/** Frozen processes cannot fork away from the list that is being read. */
async function killFrozen(folder: string): Promise<void> {
  for (let tries = 0; ; tries++) {
    let pids = pidsBelow(folder)
    if (pids.length === 0) return
    if (tries > 400) throw cgroupFailed(`kill all in ${folder}: still ${pids.length} processes`, undefined)
    if (pids.length > 1) {
      writeValue(`${folder}/freezer.state`, 'FROZEN')
      pids = pidsBelow(folder)
    }
    for (const pid of pids) killOne(pid)
    writeValue(`${folder}/freezer.state`, 'THAWED')
    if (tries > 0) await sleep(5)
  }
}

function killOne(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // Gone already: that is what was wanted.
  }
}
