import { readFileSync, statSync } from 'node:fs'

/** One row of `ps -ef` (ps(1)): every cell as text. */
export interface ProcessRow {
  UID: string
  PID: string
  PPID: string
  C: string
  STIME: string
  TTY: string
  TIME: string
  CMD: string
}

const ticksPerSecond = 100
const dayMilliseconds = 86_400_000

/** Rows for those of `pids` that are there, as ps(1) would print them; what ends while we look is left out. */
export function processTable(pids: readonly number[], now = new Date()): ProcessRow[] {
  const uptimeSeconds = Number(readFileSync('/proc/uptime', 'latin1').split(' ')[0])
  const users = userNames()
  return pids.flatMap((pid) => {
    try {
      return [rowOf(pid, { now, uptimeSeconds, users })]
    } catch {
      return []
    }
  })
}

/** How many digits a pid can have here: what ps(1) makes its columns of. */
export function pidWidth(): number {
  return String(Number(readFileSync('/proc/sys/kernel/pid_max', 'latin1')) - 1).length
}

interface Moment {
  now: Date
  uptimeSeconds: number
  users: ReadonlyMap<number, string>
}

function rowOf(pid: number, { now, uptimeSeconds, users }: Moment): ProcessRow {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
  const name = stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')'))
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const field = (at: number) => Number(fields[at])
  const usedSeconds = (field(11) + field(12)) / ticksPerSecond
  const agoSeconds = Math.max(0, uptimeSeconds - field(19) / ticksPerSecond)
  const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').join(' ').trim()
  const { uid } = statSync(`/proc/${pid}`)
  return {
    UID: users.get(uid) ?? String(uid),
    PID: String(pid),
    PPID: String(field(1)),
    C: String(Math.min(99, Math.floor(agoSeconds < 1 ? 0 : (usedSeconds * 100) / agoSeconds))),
    STIME: startText(new Date(now.getTime() - agoSeconds * 1000), now),
    TTY: terminalOf(field(4)),
    TIME: [usedSeconds / 3600, (usedSeconds / 60) % 60, usedSeconds % 60]
      .map((part) => String(Math.floor(part)).padStart(2, '0'))
      .join(':'),
    CMD: command === '' ? `[${name}]` : command,
  }
}

/** The hour for today, the day for this year, else the year. */
function startText(start: Date, now: Date): string {
  const two = (value: number) => String(value).padStart(2, '0')
  if (now.getTime() - start.getTime() < dayMilliseconds && start.getDate() === now.getDate()) {
    return `${two(start.getHours())}:${two(start.getMinutes())}`
  }
  if (start.getFullYear() !== now.getFullYear()) return String(start.getFullYear())
  return `${start.toLocaleString('en', { month: 'short' })}${two(start.getDate())}`
}

/** The number of proc_pid_stat(5), field 7: pseudo terminals are majors 136 to 143, and the console's 4. */
function terminalOf(number: number): string {
  if (number === 0) return '?'
  const major = (number >> 8) & 0xfff
  const minor = (number & 0xff) | ((number >> 12) & 0xfff00)
  if (major >= 136 && major <= 143) return `pts/${(major - 136) * 256 + minor}`
  return major === 4 ? `tty${minor}` : '?'
}

/** Names of the host's /etc/passwd, which ps(1) prints for ids. */
function userNames(): Map<number, string> {
  try {
    const lines = readFileSync('/etc/passwd', 'utf8').split('\n')
    const rows = lines.map((line) => line.split(':'))
    return new Map(rows.toReversed().flatMap(([name = '', , uid]) => (uid ? [[Number(uid), name] as const] : [])))
  } catch {
    return new Map()
  }
}
