import { existsSync } from 'node:fs'
import { errnoOf } from '../base/errors.ts'
import type { LinuxResources } from '../spec/types.ts'
import { setBlkio } from './block-io.ts'
import { deviceRuleLines } from './devices-v1.ts'
import { cgroupUnsupported } from './errors.ts'
import { makeGroup, readNumber, readValue, writeValue, writeValues } from './files.ts'
import { checkBeforeUpdate, setHugepages, setPids, setRdma, writeEitherWay } from './other-limits.ts'
import { type KernelLimit, notEnforced } from './refuse.ts'
import { setUnified } from './v2-limits.ts'

/** The folder of a group in one controller's hierarchy. */
export type Place = (controller: string, path: string) => string

/** Controllers in which a group exists only when a limit asks for it. */
export const optionalControllers = ['cpuset', 'blkio', 'hugetlb', 'rdma', 'net_cls', 'net_prio', 'unified'] as const
export type OptionalController = (typeof optionalControllers)[number]

/** What of config.json needs each of them: an error names the field. */
export const fieldOf: Readonly<Record<OptionalController, string>> = {
  cpuset: 'cpu.cpus',
  blkio: 'blockIO',
  hugetlb: 'hugepageLimits',
  rdma: 'rdma',
  net_cls: 'network.classID',
  net_prio: 'network.priorities',
  unified: 'unified',
}

/** Which of the optional controllers `resources` needs. */
export function controllersFor(resources: LinuxResources): OptionalController[] {
  const { cpu, blockIO, hugepageLimits, rdma, network, unified } = resources
  const needs: Record<OptionalController, boolean> = {
    cpuset: Boolean(cpu?.cpus || cpu?.mems),
    blkio: Object.keys(blockIO ?? {}).length > 0,
    hugetlb: (hugepageLimits?.length ?? 0) > 0,
    rdma: Object.keys(rdma ?? {}).length > 0,
    net_cls: network?.classID !== undefined,
    net_prio: (network?.priorities?.length ?? 0) > 0,
    unified: Object.keys(unified ?? {}).length > 0,
  }
  return optionalControllers.filter((name) => needs[name])
}

/**
 * Writes what `resources` names into the files of a v1 group that exists, and nothing else. Returns warnings of what is not
 * enforced. Throws CGROUP_FAILED, CGROUP_UNSUPPORTED.
 */
export function setLimits(at: Place, path: string, resources: LinuxResources): string[] {
  const { memory, cpu, pids, blockIO, network } = resources
  if (memory) setMemory(at('memory', path), memory)
  if (cpu) setCpu(at('cpu', path), cpu)
  if (cpu?.cpus) writeValue(`${at('cpuset', path)}/cpuset.cpus`, cpu.cpus)
  if (cpu?.mems) writeValue(`${at('cpuset', path)}/cpuset.mems`, cpu.mems)
  if (pids) setPids(`${at('pids', path)}/pids.max`, pids.limit)
  if (blockIO) setBlkio(at('blkio', path), blockIO)
  setHugepages(at('hugetlb', path), resources.hugepageLimits)
  setRdma(at('rdma', path), resources.rdma)
  if (network?.classID !== undefined) writeValue(`${at('net_cls', path)}/net_cls.classid`, network.classID)
  for (const { name, priority } of network?.priorities ?? []) {
    writeValue(`${at('net_prio', path)}/net_prio.ifpriomap`, `${name} ${priority}`)
  }
  setUnified(at('unified', path), resources.unified)
  setDevices(at('devices', path), resources)
  return notEnforced(memory, (field, bytes) => setKernelLimit(at('memory', path), field, bytes))
}

/** A file that not every kernel has. */
function writeWhere(file: string, field: string, value: number): void {
  if (!existsSync(file)) throw cgroupUnsupported(`linux.resources.${field}`, 'this kernel does not have it')
  writeValue(file, value)
}

function setCpu(folder: string, cpu: NonNullable<LinuxResources['cpu']>): void {
  const { shares, quota, period, burst, idle, realtimeRuntime, realtimePeriod } = cpu
  const set = (file: string, value: number) => writeValue(`${folder}/${file}`, value)
  // A group that is idle has no shares: it stops being idle before, and becomes idle after.
  if (idle === 0) set('cpu.idle', 0)
  if (shares) set('cpu.shares', shares)
  if (idle) set('cpu.idle', idle)
  const setPeriod = () => period && set('cpu.cfs_period_us', period)
  const setBurst = () => burst !== undefined && set('cpu.cfs_burst_us', burst)
  const setQuota = () => quota && set('cpu.cfs_quota_us', quota)
  writeEitherWay(setPeriod, () => writeEitherWay(setQuota, setBurst))
  writeEitherWay(
    () => realtimePeriod && writeWhere(`${folder}/cpu.rt_period_us`, 'cpu.realtimePeriod', realtimePeriod),
    () => realtimeRuntime && writeWhere(`${folder}/cpu.rt_runtime_us`, 'cpu.realtimeRuntime', realtimeRuntime),
  )
}

function setMemory(folder: string, memory: NonNullable<LinuxResources['memory']>): void {
  const { limit, reservation, swappiness } = memory
  const sum = `${folder}/memory.memsw.limit_in_bytes`
  // No limit may be above the sum with swap: without any, the sum can have none either, as runc has it.
  const swap = limit === -1 && !memory.swap && existsSync(sum) ? -1 : memory.swap
  checkBeforeUpdate(`${folder}/memory.usage_in_bytes`, memory)
  const setLimit = () => limit !== undefined && limit !== 0 && writeValue(`${folder}/memory.limit_in_bytes`, limit)
  if (swap === undefined || swap === 0) setLimit()
  else {
    if (!existsSync(sum)) throw cgroupUnsupported('memory.swap', 'this kernel does not account for swap')
    // The limit must never be above the sum with swap: when it grows, the sum has to grow first.
    try {
      setLimit()
      writeValue(sum, swap)
    } catch (error) {
      if (errnoOf(error) !== 'EINVAL') throw error
      writeValue(sum, swap)
      setLimit()
    }
  }
  if (reservation !== undefined && reservation !== 0) writeValue(`${folder}/memory.soft_limit_in_bytes`, reservation)
  if (swappiness !== undefined) writeValue(`${folder}/memory.swappiness`, swappiness)
  if (memory.disableOOMKiller !== undefined) {
    writeValue(`${folder}/memory.oom_control`, memory.disableOOMKiller ? 1 : 0)
  }
}

const kernelFiles = { kernel: 'memory.kmem.limit_in_bytes', kernelTCP: 'memory.kmem.tcp.limit_in_bytes' } as const

/** Whether the kernel has taken the limit and shows it. */
function setKernelLimit(folder: string, field: KernelLimit, bytes: number): boolean {
  const file = `${folder}/${kernelFiles[field]}`
  if (!existsSync(file)) return false
  const before = readNumber(file)
  writeValue(file, bytes)
  return readNumber(file) !== before || before === bytes
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

/** A new cpuset group has no cpus and no memory nodes, and takes no process until both are filled, from the top down. */
export function makeCpuset(at: Place, path: string): void {
  const parts = path.split('/')
  parts.forEach((_, index) => {
    const folder = at('cpuset', parts.slice(0, index + 1).join('/'))
    makeGroup(folder)
    for (const file of ['cpuset.cpus', 'cpuset.mems']) {
      if (readValue(`${folder}/${file}`) === '')
        writeValue(`${folder}/${file}`, readValue(`${folder}/../${file}`) ?? '')
    }
  })
}
