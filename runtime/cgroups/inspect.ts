import { readdirSync } from 'node:fs'
import { cgroups } from './driver.ts'
import { readNumber, readValue } from './files.ts'
import { type CgroupLayout, findLayout } from './layout.ts'
import type { CgroupStats } from './types.ts'

/** What the kernel lets a group have at most; what is absent is not limited. Bytes, processors, counts. */
export interface CgroupLimits {
  memoryBytes?: number
  /** Processors' worth of time: quota by period. */
  cpus?: number
  /** Share of processor time against other groups, on v2's scale: 100 is the usual. */
  cpuWeight?: number
  /** The processors that it may run on, such as `0-1`. */
  cpuset?: string
  pids?: number
}

/** Percent of the last 10 seconds in which some, or all, processes of the group waited for a resource (PSI). */
export interface Pressure {
  some: number
  full: number
}

/** One group and those below it. */
export interface CgroupNode {
  /** From the root of the hierarchies. */
  path: string
  limits: CgroupLimits
  usage: CgroupStats
  memoryPeakBytes?: number
  /** Absent where the kernel does not measure it by group: on v1, and without CONFIG_PSI. */
  pressure?: { cpu: Pressure; memory: Pressure; io: Pressure }
  io: { readBytes: number; writeBytes: number }
  processes: { pid: number; command: string }[]
  groups: CgroupNode[]
}

/** The group `path` with everything below it, as it is now; undefined when there is none. Groups that go meanwhile are left out. */
export function inspectGroup(path: string, layout: CgroupLayout = findLayout()): CgroupNode | undefined {
  const driver = cgroups()
  if (!driver.exists(path)) return undefined
  const look = layout.version === 1 ? lookV1(layout.mounts) : lookV2(layout.mount)
  const visit = (group: string): CgroupNode => ({
    path: group,
    usage: driver.stats(group),
    ...peakOf(driver.memoryPeak(group)),
    ...look(group),
    processes: processesOf(`${look.tree}/${group}`),
    groups: childrenOf(`${look.tree}/${group}`)
      .map((name) => `${group}/${name}`)
      .filter((child) => driver.exists(child))
      .map(visit),
  })
  return visit(path)
}

type Look = ((group: string) => Pick<CgroupNode, 'limits' | 'io' | 'pressure'>) & { tree: string }

function lookV1(mounts: ReadonlyMap<string, string>): Look {
  const at = (controller: string, group: string) => `${mounts.get(controller) ?? ''}/${group}`
  const everywhere = readValue(`${at('cpuset', '')}/cpuset.cpus`)
  const look = (group: string) => {
    const quota = readNumber(`${at('cpu', group)}/cpu.cfs_quota_us`) ?? -1
    const period = readNumber(`${at('cpu', group)}/cpu.cfs_period_us`) ?? 100_000
    const shares = readNumber(`${at('cpu', group)}/cpu.shares`)
    const cpuset = readValue(`${at('cpuset', group)}/cpuset.cpus`)
    const io = readValue(`${at('blkio', group)}/blkio.throttle.io_service_bytes_recursive`) ?? ''
    const limits = {
      memoryBytes: belowUnlimited(readNumber(`${at('memory', group)}/memory.limit_in_bytes`)),
      cpus: quota < 0 ? undefined : quota / period,
      cpuWeight: shares === undefined || shares === 1024 ? undefined : Math.max(1, Math.round((shares * 100) / 1024)),
      cpuset: cpuset === everywhere ? undefined : cpuset || undefined,
      pids: readNumber(`${at('pids', group)}/pids.max`),
    }
    return { limits: present(limits), io: { readBytes: sumOf(io, 'Read '), writeBytes: sumOf(io, 'Write ') } }
  }
  return Object.assign(look, { tree: mounts.get('memory') ?? '' })
}

function lookV2(mount: string): Look {
  const look = (group: string) => {
    const folder = `${mount}/${group}`
    const [quota = 'max', period = '100000'] = (readValue(`${folder}/cpu.max`) ?? 'max 100000').split(' ')
    const weight = readNumber(`${folder}/cpu.weight`)
    const io = readValue(`${folder}/io.stat`) ?? ''
    const limits = {
      memoryBytes: readNumber(`${folder}/memory.max`),
      cpus: quota === 'max' ? undefined : Number(quota) / Number(period),
      cpuWeight: weight === 100 ? undefined : weight,
      cpuset: readValue(`${folder}/cpuset.cpus`) || undefined,
      pids: readNumber(`${folder}/pids.max`),
    }
    const [cpu, memory, blocked] = ['cpu', 'memory', 'io'].map((name) =>
      pressureOf(readOffered(`${folder}/${name}.pressure`)),
    )
    return {
      limits: present(limits),
      io: { readBytes: sumOf(io, 'rbytes='), writeBytes: sumOf(io, 'wbytes=') },
      ...(cpu && memory && blocked ? { pressure: { cpu, memory, io: blocked } } : {}),
    }
  }
  return Object.assign(look, { tree: mount })
}

/** PSI that was compiled in and switched off answers EOPNOTSUPP. */
function readOffered(file: string): string | undefined {
  try {
    return readValue(file)
  } catch {
    return undefined
  }
}

/** `some avg10=0.12 avg60=… total=…` and the same for `full` (Documentation/accounting/psi.rst). */
export function pressureOf(text: string | undefined): Pressure | undefined {
  const of = (word: string) => Number(new RegExp(`^${word} avg10=([\\d.]+)`, 'm').exec(text ?? '')?.[1] ?? Number.NaN)
  const some = of('some')
  return Number.isNaN(some) ? undefined : { some, full: of('full') || 0 }
}

/** All numbers that stand right behind `word`, whatever the device, added up. */
export function sumOf(text: string, word: string): number {
  return text
    .split(word)
    .slice(1)
    .reduce((sum, rest) => sum + Number(/^\d+/.exec(rest)?.[0] ?? 0), 0)
}

function belowUnlimited(bytes: number | undefined): number | undefined {
  return bytes === undefined || bytes >= 2 ** 62 ? undefined : bytes
}

function present<T extends object>(values: T): { [K in keyof T]?: NonNullable<T[K]> } {
  const entries = Object.entries(values).filter(([, value]) => value !== undefined)
  return Object.fromEntries(entries) as { [K in keyof T]?: NonNullable<T[K]> }
}

function peakOf(memoryPeakBytes: number | undefined): { memoryPeakBytes?: number } {
  return memoryPeakBytes === undefined ? {} : { memoryPeakBytes }
}

function childrenOf(folder: string): string[] {
  try {
    return readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => entry.name)
      .sort()
  } catch {
    // It has gone since we looked.
    return []
  }
}

function processesOf(folder: string): CgroupNode['processes'] {
  const pids = (readValue(`${folder}/cgroup.procs`) ?? '').split('\n').filter(Boolean)
  return pids.flatMap((pid) => {
    const words = readOffered(`/proc/${pid}/cmdline`)
      ?.split(/[\0\s]+/)
      .filter(Boolean)
      .join(' ')
    const command = words || readOffered(`/proc/${pid}/comm`)
    return command === undefined ? [] : [{ pid: Number(pid), command }]
  })
}
