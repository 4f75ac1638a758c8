import { existsSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { hasCode } from '../base/errors.ts'
import type { LinuxResources } from '../spec/types.ts'
import { deviceRuleLines } from './devices-v1.ts'
import { cgroupFailed, cgroupUnsupported } from './errors.ts'
import {
  makeGroup,
  pidsBelow,
  readKey,
  readNumber,
  readValue,
  removeEmptyGroup,
  removeGroups,
  writeValue,
  writeValues,
} from './files.ts'
import { refuseUnsupported } from './refuse.ts'
import type { CgroupDriver, CgroupStats } from './types.ts'

/** Hierarchies in which every group of ours exists; cpuset only where it is asked for, because it must be filled first. */
const always = ['cpu', 'cpuacct', 'memory', 'pids', 'devices', 'freezer']
/** What the kernel shows for "no limit": the largest multiple of the page size below 2^63. */
const unlimitedBytes = 2 ** 62

/** cgroup v1, and the hybrid layout whose controllers are v1 (Documentation/admin-guide/cgroup-v1). */
export function v1Driver(mounts: ReadonlyMap<string, string>): CgroupDriver {
  const has = always.filter((controller) => mounts.has(controller))
  const at = (controller: string, path: string) => `${mounts.get(controller) ?? `/sys/fs/cgroup/${controller}`}/${path}`
  const used = (path: string) =>
    [...has, 'cpuset'].filter((controller) => controller !== 'cpuset' || existsSync(at('cpuset', path)))
  /** Several controllers can share one mount. */
  const folders = (path: string) => [...new Set(used(path).map((controller) => at(controller, path)))]

  return {
    version: 1,
    create(path, resources) {
      refuseUnsupported(resources, 1)
      for (const controller of has) makeGroup(at(controller, path))
      setLimits(at, path, resources)
      setDevices(at('devices', path), resources)
      return []
    },
    update(path, resources) {
      refuseUnsupported(resources, 1)
      setLimits(at, path, resources)
      setDevices(at('devices', path), resources)
      return []
    },
    membership: (path) => ({
      // `tasks`, not `cgroup.procs`: a single thread that moves itself needs no lock over all processes of the machine,
      // whose taking waits for an RCU grace period (kernel/cgroup/cgroup.c, cgroup_procs_write_start).
      join: folders(path).map((folder) => `${folder}/tasks`),
      views: used(path).map((controller) => ({ name: controller, folder: at(controller, path) })),
    }),
    exists: (path) => existsSync(at('memory', path)),
    stats: (path) => readStats(at, path),
    pids: (path) => pidsBelow(at('freezer', path)),
    oomKills: (path) => readKey(`${at('memory', path)}/memory.oom_control`, 'oom_kill') ?? 0,
    freeze: (path, frozen) => setFrozen(at('freezer', path), frozen),
    isFrozen: (path) => (readValue(`${at('freezer', path)}/freezer.state`) ?? 'THAWED') !== 'THAWED',
    killAll: (path) => killFrozen(at('freezer', path)),
    async remove(path) {
      for (const folder of folders(path)) await removeGroups(folder)
    },
    removeIfEmpty: (path) => folders(path).every(removeEmptyGroup),
  }
}

function setDevices(folder: string, { devices }: LinuxResources): void {
  const lines = deviceRuleLines(devices)
  for (let at = 0; at < lines.length; ) {
    const file = lines[at]?.file ?? ''
    const end = lines.findIndex((line, index) => index > at && line.file !== file)
    const run = lines.slice(at, end < 0 ? undefined : end)
    writeValues(
      `${folder}/${file}`,
      run.map(({ line }) => line),
    )
    at += run.length
  }
}

type Place = (controller: string, path: string) => string

function setLimits(at: Place, path: string, { memory, cpu, pids }: LinuxResources): void {
  if (memory) setMemory(at('memory', path), memory)
  if (cpu?.shares) writeValue(`${at('cpu', path)}/cpu.shares`, cpu.shares)
  if (cpu?.period) writeValue(`${at('cpu', path)}/cpu.cfs_period_us`, cpu.period)
  if (cpu?.quota) writeValue(`${at('cpu', path)}/cpu.cfs_quota_us`, cpu.quota)
  if (cpu?.burst !== undefined) writeValue(`${at('cpu', path)}/cpu.cfs_burst_us`, cpu.burst)
  if (cpu?.idle !== undefined) writeValue(`${at('cpu', path)}/cpu.idle`, cpu.idle)
  if (cpu?.cpus || cpu?.mems) setCpuset(at, path, cpu)
  if (pids) writeValue(`${at('pids', path)}/pids.max`, pids.limit < 0 ? 'max' : pids.limit)
}

function setMemory(folder: string, memory: NonNullable<LinuxResources['memory']>): void {
  const { limit, swap, reservation, swappiness } = memory
  const setLimit = () => limit !== undefined && limit !== 0 && writeValue(`${folder}/memory.limit_in_bytes`, limit)
  if (swap === undefined || swap === 0) setLimit()
  else {
    const file = `${folder}/memory.memsw.limit_in_bytes`
    if (!existsSync(file)) throw cgroupUnsupported('memory.swap', 'this kernel does not account for swap')
    // The limit must never be above the sum with swap: when it grows, the sum has to grow first.
    try {
      setLimit()
      writeValue(file, swap)
    } catch (error) {
      if (!hasCode(error, 'CGROUP_FAILED') || error.facts.errno !== 'EINVAL') throw error
      writeValue(file, swap)
      setLimit()
    }
  }
  if (reservation !== undefined && reservation !== 0) writeValue(`${folder}/memory.soft_limit_in_bytes`, reservation)
  if (swappiness !== undefined) writeValue(`${folder}/memory.swappiness`, swappiness)
  if (memory.disableOOMKiller) writeValue(`${folder}/memory.oom_control`, 1)
}

/** A new cpuset group has no cpus and no memory nodes, and takes no process until both are filled, from the top down. */
function setCpuset(at: Place, path: string, { cpus, mems }: NonNullable<LinuxResources['cpu']>): void {
  const parts = path.split('/')
  parts.forEach((_, index) => {
    const folder = at('cpuset', parts.slice(0, index + 1).join('/'))
    makeGroup(folder)
    for (const file of ['cpuset.cpus', 'cpuset.mems']) {
      if (readValue(`${folder}/${file}`) === '')
        writeValue(`${folder}/${file}`, readValue(`${folder}/../${file}`) ?? '')
    }
  })
  if (cpus) writeValue(`${at('cpuset', path)}/cpuset.cpus`, cpus)
  if (mems) writeValue(`${at('cpuset', path)}/cpuset.mems`, mems)
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
