import { readFileSync } from 'node:fs'

/** What the kernel tells of a process (proc_pid_stat(5), proc_pid_status(5)): what ps(1) makes its columns of. */
export interface ProcessFacts {
  pid: number
  parent: number
  group: number
  session: number
  /** Number of the terminal's device, 0 without one. */
  terminal: number
  /** The terminal's foreground group, -1 without a terminal. */
  terminalGroup: number
  flags: number
  /** `R`, `S`, `D`, `Z` … */
  state: string
  name: string
  /** Empty for a zombie. */
  args: readonly string[]
  usedSeconds: number
  startedSecondsAfterBoot: number
  priority: number
  nice: number
  threads: number
  virtualBytes: number
  residentBytes: number
  lockedKb: number
  processor: number
  /** SCHED_OTHER is 0 (sched(7)). */
  policy: number
  realUid: number
  uid: number
  realGid: number
  gid: number
}

const ticksPerSecond = 100
export const pageBytes = 4096

/** Facts of those of `pids` that are there; what ends while we look is left out. */
export function processTable(pids: readonly number[]): ProcessFacts[] {
  return pids.flatMap((pid) => {
    try {
      return [factsOf(pid)]
    } catch {
      return []
    }
  })
}

/** How many digits a pid can have here: what ps(1) makes its columns of. */
export function pidWidth(): number {
  return String(Number(readFileSync('/proc/sys/kernel/pid_max', 'latin1')) - 1).length
}

/** Seconds since boot, with hundredths. */
export function uptimeSeconds(): number {
  return Number(readFileSync('/proc/uptime', 'latin1').split(' ')[0])
}

/** When the machine was started, in seconds since 1970. */
export function bootTime(): number {
  return Number(/^btime (\d+)/m.exec(readFileSync('/proc/stat', 'latin1'))?.[1])
}

/** All of the machine's memory (proc_meminfo(5)). */
export function totalMemoryBytes(): number {
  return Number(/^MemTotal:\s+(\d+)/m.exec(readFileSync('/proc/meminfo', 'latin1'))?.[1]) * 1024
}

/** What all processes hold in memory that is no file's (proc_meminfo(5)). */
export function anonymousMemoryBytes(): number {
  return Number(/^AnonPages:\s+(\d+)/m.exec(readFileSync('/proc/meminfo', 'latin1'))?.[1]) * 1024
}

/** Where in the kernel it waits; `-` while it runs, and where we may not know. */
export function waitChannel(pid: number): string {
  try {
    const name = readFileSync(`/proc/${pid}/wchan`, 'latin1')
    return name === '0' || name === '' ? '-' : name
  } catch {
    return '-'
  }
}

function factsOf(pid: number): ProcessFacts {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const status = readFileSync(`/proc/${pid}/status`, 'latin1')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const field = (at: number) => Number(fields[at])
  const line = (key: string) => (new RegExp(`^${key}:\\s*(.*)$`, 'm').exec(status)?.[1] ?? '').split(/\s+/).map(Number)
  const [realUid = 0, uid = 0] = line('Uid')
  const [realGid = 0, gid = 0] = line('Gid')
  return {
    pid,
    parent: field(1),
    group: field(2),
    session: field(3),
    terminal: field(4),
    terminalGroup: field(5),
    flags: field(6),
    state: fields[0] ?? '?',
    name: stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')')),
    args: readFileSync(`/proc/${pid}/cmdline`, 'utf8').replace(/\0+$/, '').split('\0'),
    usedSeconds: (field(11) + field(12)) / ticksPerSecond,
    startedSecondsAfterBoot: field(19) / ticksPerSecond,
    priority: field(15),
    nice: field(16),
    threads: field(17),
    virtualBytes: field(20),
    // stat's own count lags behind.
    residentBytes: (line('VmRSS')[0] ?? 0) * 1024,
    lockedKb: line('VmLck')[0] ?? 0,
    processor: field(36),
    policy: field(38),
    realUid,
    uid,
    realGid,
    gid,
  }
}
