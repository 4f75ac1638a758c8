import { existsSync } from 'node:fs'
import type { LinuxResources } from '../spec/types.ts'
import { setIo } from './block-io.ts'
import { cgroupUnsupported } from './errors.ts'
import { readNumber, readValue, writeValue } from './files.ts'
import { checkBeforeUpdate, setHugepages, setPids, setRdma, writeEitherWay } from './other-limits.ts'

/** Writes what `resources` names into the files of a v2 group, and nothing else. Throws CGROUP_FAILED, CGROUP_UNSUPPORTED. */
export function setLimits(folder: string, resources: LinuxResources): void {
  const { pids, blockIO, hugepageLimits, rdma } = resources
  if (resources.memory) setMemory(folder, resources.memory)
  if (resources.cpu) setCpu(folder, resources.cpu)
  if (pids) setPids(`${folder}/pids.max`, pids.limit)
  if (blockIO) setIo(folder, blockIO)
  setHugepages(folder, hugepageLimits)
  setRdma(folder, rdma)
  setUnified(folder, resources.unified)
}

const orMax = (value: number) => (value < 0 ? 'max' : value)

function setMemory(folder: string, memory: NonNullable<LinuxResources['memory']>): void {
  const { limit, reservation, swap } = memory
  checkBeforeUpdate(`${folder}/memory.current`, memory)
  if (limit) writeValue(`${folder}/memory.max`, orMax(limit))
  if (reservation) writeValue(`${folder}/memory.low`, orMax(reservation))
  if (swap) writeValue(`${folder}/memory.swap.max`, swapAlone(swap, limit || readNumber(`${folder}/memory.max`)))
}

function setCpu(folder: string, cpu: NonNullable<LinuxResources['cpu']>): void {
  const { shares, quota, period, burst, idle, cpus, mems } = cpu
  const set = (file: string, value: string | number) => writeValue(`${folder}/${file}`, value)
  // A group that is idle has no weight: it stops being idle before, and becomes idle after.
  if (idle === 0) set('cpu.idle', 0)
  if (shares) set('cpu.weight', weightOfShares(shares))
  if (idle) set('cpu.idle', idle)
  const setQuota = () => {
    if (!quota && !period) return
    const before = (readValue(`${folder}/cpu.max`) ?? 'max 100000').split(' ')
    set('cpu.max', `${quota ? orMax(quota) : before[0]} ${period || before[1]}`)
  }
  writeEitherWay(setQuota, () => {
    if (burst !== undefined) set('cpu.max.burst', burst)
  })
  if (cpus) set('cpuset.cpus', cpus)
  if (mems) set('cpuset.mems', mems)
}

/** Files that move or end processes, rather than limit them. */
const noLimits = [
  'cgroup.procs',
  'cgroup.threads',
  'cgroup.kill',
  'cgroup.freeze',
  'cgroup.type',
  'cgroup.subtree_control',
]

/** Raw files of a v2 group by name; a value of several lines is several writes. Throws CGROUP_UNSUPPORTED, CGROUP_FAILED. */
export function setUnified(folder: string, unified: LinuxResources['unified']): void {
  for (const [file, value] of Object.entries(unified ?? {})) {
    const field = `linux.resources.unified ${JSON.stringify(file)}`
    if (/^[^./]*$/.test(file)) {
      throw cgroupUnsupported(field, `the specified key has not the form CONTROLLER.VALUE \`${file}\``)
    }
    const controller = /^([A-Za-z0-9_]+)\.[A-Za-z0-9_.-]+$/.exec(file)?.[1]
    if (controller === undefined) throw cgroupUnsupported(field, 'is not the name of a file')
    if (noLimits.includes(file)) throw cgroupUnsupported(field, 'is no limit')
    if (!existsSync(`${folder}/${file}`)) throw cgroupUnsupported(field, whyMissing(folder, controller))
    for (const line of value.split('\n').filter(Boolean)) writeValue(`${folder}/${file}`, line)
  }
}

function whyMissing(folder: string, controller: string): string {
  const offered = readValue(`${folder}/cgroup.controllers`)?.split(' ') ?? []
  if (offered.includes(controller) || controller === 'cgroup') return 'ENOENT: no such file or directory in the group'
  return `the requested cgroup controller \`${controller}\` is not available`
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
