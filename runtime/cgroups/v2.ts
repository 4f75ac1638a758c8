import { existsSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { LinuxResources } from '../spec/types.ts'
import { enforceDeviceRules } from './device-program.ts'
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
} from './files.ts'
import { refuseUnsupported } from './refuse.ts'
import type { CgroupDriver, CgroupStats } from './types.ts'

/** cgroup v2 (Documentation/admin-guide/cgroup-v2.rst). */
export function v2Driver(mount: string): CgroupDriver {
  const at = (path: string) => `${mount}/${path}`
  return {
    version: 2,
    create(path, resources) {
      refuseUnsupported(resources, 2)
      enableControllers(mount, path)
      makeGroup(at(path))
      setLimits(at(path), resources)
      return enforceDeviceRules(at(path), resources.devices)
    },
    update(path, resources) {
      refuseUnsupported(resources, 2)
      setLimits(at(path), resources)
      return enforceDeviceRules(at(path), resources.devices)
    },
    membership: (path) => ({ into: at(path), join: [], views: [{ name: '', folder: at(path) }] }),
    exists: (path) => existsSync(at(path)),
    stats: (path) => readStats(at(path)),
    pids: (path) => pidsBelow(at(path)),
    oomKills: (path) => readKey(`${at(path)}/memory.events`, 'oom_kill') ?? 0,
    freeze: (path, frozen) => setFrozen(at(path), frozen),
    isFrozen: (path) => readValue(`${at(path)}/cgroup.freeze`) === '1',
    killAll: (path) => killGroup(at(path)),
    remove: (path) => removeGroups(at(path)),
    removeIfEmpty: (path) => removeEmptyGroup(at(path)),
  }
}

/** A controller is there in a group when every group above it passes it on: from the root downwards. */
function enableControllers(mount: string, path: string): void {
  const parts = path.split('/').slice(0, -1)
  for (let depth = 0; depth <= parts.length; depth++) {
    const folder = [mount, ...parts.slice(0, depth)].join('/')
    if (depth > 0) makeGroup(folder)
    const offered = (readValue(`${folder}/cgroup.controllers`) ?? '').split(' ')
    const passed = (readValue(`${folder}/cgroup.subtree_control`) ?? '').split(' ')
    const missing = ['cpu', 'cpuset', 'io', 'memory', 'pids'].filter(
      (name) => offered.includes(name) && !passed.includes(name),
    )
    if (missing.length > 0) writeValue(`${folder}/cgroup.subtree_control`, missing.map((name) => `+${name}`).join(' '))
  }
}

function setLimits(folder: string, { memory, cpu, pids, unified }: LinuxResources): void {
  const set = (file: string, value: string | number) => writeValue(`${folder}/${file}`, value)
  const bytes = (value: number) => (value < 0 ? 'max' : value)
  if (memory?.limit) set('memory.max', bytes(memory.limit))
  if (memory?.reservation) set('memory.low', bytes(memory.reservation))
  if (memory?.swap) set('memory.swap.max', swapAlone(memory.swap, memory.limit))
  if (cpu?.shares) set('cpu.weight', weightOfShares(cpu.shares))
  if (cpu?.quota || cpu?.period) {
    const before = (readValue(`${folder}/cpu.max`) ?? 'max 100000').split(' ')
    const quota = cpu.quota ? (cpu.quota < 0 ? 'max' : cpu.quota) : before[0]
    set('cpu.max', `${quota} ${cpu.period || before[1]}`)
  }
  if (cpu?.burst !== undefined) set('cpu.max.burst', cpu.burst)
  if (cpu?.idle !== undefined) set('cpu.idle', cpu.idle)
  if (cpu?.cpus) set('cpuset.cpus', cpu.cpus)
  if (cpu?.mems) set('cpuset.mems', cpu.mems)
  if (pids) set('pids.max', bytes(pids.limit))
  for (const [file, value] of Object.entries(unified ?? {})) {
    if (file.includes('/')) throw cgroupUnsupported(`unified ${file}`, 'is not the name of a file')
    set(file, value)
  }
}

/** OCI counts memory and swap together, v2 swap alone. */
function swapAlone(swap: number, limit: number | undefined): string | number {
  if (swap < 0) return 'max'
  if (limit === undefined || limit < 0) throw cgroupUnsupported('memory.swap', 'has no meaning without memory.limit')
  if (swap < limit) throw cgroupUnsupported('memory.swap', 'is below memory.limit, which it includes')
  return swap - limit
}

/** Shares 2 … 262144 onto weights 1 … 10000, with 1024 at 100 as runc and crun have it since 2025. */
export function weightOfShares(shares: number): number {
  if (shares <= 2) return 1
  if (shares >= 262144) return 10000
  const log = Math.log2(shares)
  return Math.ceil(10 ** ((log * log + 125 * log) / 612 - 7 / 34))
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
