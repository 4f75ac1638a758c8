import { readFileSync } from 'node:fs'
import {
  bootTime,
  type ProcessFacts,
  pageBytes,
  pidWidth,
  totalMemoryBytes,
  uptimeSeconds,
  waitChannel,
} from '../linux/process-table.ts'

/*
 * The columns of ps(1), as procps prints them, from /proc: `runc ps` runs that program and keeps the lines of the container.
 * NOT IMPLEMENTED: those that nobody asks of a container, such as signals, NUMA, seats. Values are never cut to the terminal.
 */

/** One column: title, width in characters, and what stands in it. */
export interface PsColumn {
  title: string
  width: number
  right?: boolean
  /** Cut to the width where another column follows: it may be long. */
  cut?: boolean
  cell(process: ProcessFacts, host: PsHost): string
}

/** What cells are reckoned with, read once for a table. */
export interface PsHost {
  now: Date
  bootTime: number
  uptimeSeconds: number
  memoryBytes: number
  users: ReadonlyMap<number, string>
  groups: ReadonlyMap<number, string>
}

/** The machine as it is now. */
export function psHost(now = new Date()): PsHost {
  const names = { users: namesOf('/etc/passwd'), groups: namesOf('/etc/group') }
  return { now, bootTime: bootTime(), uptimeSeconds: uptimeSeconds(), memoryBytes: totalMemoryBytes(), ...names }
}

type Cell = PsColumn['cell']
const left = (title: string, width: number, cell: Cell): PsColumn => ({ title, width, cell })
const right = (title: string, width: number, cell: Cell): PsColumn => ({ title, width, right: true, cell })
const text = (title: string, width: number, cell: Cell): PsColumn => ({ title, width, cut: true, cell })
const number = (title: string, width: number, pick: (process: ProcessFacts) => number) =>
  right(title, width, (process) => String(Math.floor(pick(process))))
const anId = (title: string, pick: (process: ProcessFacts) => number) => number(title, pidWidth(), pick)
const aName = (title: string, from: 'users' | 'groups', pick: (process: ProcessFacts) => number) =>
  left(title, nameWidth, (process, host) => fitted(host[from].get(pick(process)) ?? String(pick(process))))

const nameWidth = 8
const fitted = (name: string) => (name.length > nameWidth ? `${name.slice(0, nameWidth - 1)}+` : name)

const columns: Readonly<Record<string, () => PsColumn>> = {
  pid: () => anId('PID', ({ pid }) => pid),
  ppid: () => anId('PPID', ({ parent }) => parent),
  pgid: () => anId('PGID', ({ group }) => group),
  pgrp: () => anId('PGRP', ({ group }) => group),
  sess: () => anId('SESS', ({ session }) => session),
  sid: () => anId('SID', ({ session }) => session),
  tpgid: () => anId('TPGID', ({ terminalGroup }) => terminalGroup),
  user: () => aName('USER', 'users', ({ uid }) => uid),
  euser: () => aName('EUSER', 'users', ({ uid }) => uid),
  ruser: () => aName('RUSER', 'users', ({ realUid }) => realUid),
  group: () => aName('GROUP', 'groups', ({ gid }) => gid),
  egroup: () => aName('EGROUP', 'groups', ({ gid }) => gid),
  rgroup: () => aName('RGROUP', 'groups', ({ realGid }) => realGid),
  uid: () => number('UID', 5, ({ uid }) => uid),
  euid: () => number('EUID', 5, ({ uid }) => uid),
  ruid: () => number('RUID', 5, ({ realUid }) => realUid),
  gid: () => number('GID', 5, ({ gid }) => gid),
  egid: () => number('EGID', 5, ({ gid }) => gid),
  rgid: () => number('RGID', 5, ({ realGid }) => realGid),
  tty: () => left('TT', 8, ({ terminal }) => terminalName(terminal)),
  tname: () => left('TTY', 8, ({ terminal }) => terminalName(terminal)),
  stat: () => left('STAT', 4, stateWords),
  state: () => left('S', 1, ({ state }) => state),
  flags: () => right('F', 1, ({ flags }) => ((flags >> 6) & 7).toString(8)),
  time: () => right('TIME', 8, ({ usedSeconds }) => clockText(usedSeconds)),
  bsdtime: () =>
    right('TIME', 6, ({ usedSeconds }) => `${Math.floor(usedSeconds / 60)}:${two(Math.floor(usedSeconds % 60))}`),
  etime: () => right('ELAPSED', 11, (process, host) => clockText(ageSeconds(process, host)).replace(/^00:/, '')),
  etimes: () => right('ELAPSED', 7, (process, host) => String(Math.floor(ageSeconds(process, host)))),
  stime: () => left('STIME', 5, startDay),
  start_time: () => left('START', 5, startDay),
  bsdstart: () => right('START', 6, (process, host) => startHour(process, host, 5)),
  start: () => right('STARTED', 8, (process, host) => startHour(process, host, 8)),
  lstart: () => right('STARTED', 24, (process, host) => longDate(startOf(process, host))),
  '%cpu': () => right('%CPU', 4, (process, host) => percent(busyPercent(process, host))),
  c: () => right('C', 2, (process, host) => String(Math.min(99, Math.floor(busyPercent(process, host))))),
  '%mem': () => right('%MEM', 4, ({ residentBytes }, { memoryBytes }) => tenths((residentBytes / memoryBytes) * 100)),
  vsz: () => number('VSZ', 6, ({ virtualBytes }) => virtualBytes / 1024),
  rss: () => number('RSS', 5, ({ residentBytes }) => residentBytes / 1024),
  sz: () => number('SZ', 5, ({ virtualBytes }) => virtualBytes / pageBytes),
  ni: () => right('NI', 3, ({ nice, policy }) => (isFair(policy) ? String(nice) : '-')),
  pri: () => number('PRI', 3, ({ priority }) => 39 - priority),
  priority: () => number('PRI', 3, ({ priority }) => priority),
  opri: () => number('PRI', 3, ({ priority }) => 60 + priority),
  nlwp: () => number('NLWP', 4, ({ threads }) => threads),
  thcount: () => number('THCNT', 5, ({ threads }) => threads),
  psr: () => number('PSR', 3, ({ processor }) => processor),
  wchan: () => text('WCHAN', 6, ({ pid }) => waitChannel(pid)),
  addr: () => right('ADDR', 4, () => '-'),
  addr_1: () => left('ADDR', 1, () => '-'),
  comm: () => text('COMMAND', 15, (process) => plain(process.name) + defunct(process)),
  ucmd: () => text('CMD', 15, (process) => plain(process.name) + defunct(process)),
  args: () => text('COMMAND', 27, commandLine),
  cmd: () => text('CMD', 27, commandLine),
}

/** Other names of the same: `command` is `args`. */
const aliases: Readonly<Record<string, string>> = {
  session: 'sess',
  uname: 'user',
  tt: 'tty',
  s: 'state',
  f: 'flags',
  flag: 'flags',
  cputime: 'time',
  pcpu: '%cpu',
  pmem: '%mem',
  vsize: 'vsz',
  rssize: 'rss',
  nice: 'ni',
  ucomm: 'comm',
  command: 'args',
}

/** Every name that `-o` may ask for. */
export const psColumnNames = [...Object.keys(columns), ...Object.keys(aliases)]

/** The column of this name; undefined where there is none. */
export function psColumn(name: string): PsColumn | undefined {
  const known = Object.hasOwn(aliases, name) ? aliases[name] : name
  return known !== undefined && Object.hasOwn(columns, known) ? columns[known]?.() : undefined
}

const isFair = (policy: number) => policy === 0 || policy === 3
const two = (value: number) => String(value).padStart(2, '0')

/** Time's share is rounded, memory's is cut off; over 99.9 there is no room for a digit after the point. */
const percent = (value: number) => value.toFixed(value > 99.9 ? 0 : 1)
const tenths = (value: number) => (Math.floor(value * 10) / 10).toFixed(1)

const ageSeconds = ({ startedSecondsAfterBoot }: ProcessFacts, { uptimeSeconds: up }: PsHost) =>
  Math.max(0, up - startedSecondsAfterBoot)

function busyPercent(process: ProcessFacts, host: PsHost): number {
  const age = ageSeconds(process, host)
  return age === 0 ? 0 : (process.usedSeconds / age) * 100
}

/** `[dd-]hh:mm:ss`. */
function clockText(seconds: number): string {
  const whole = Math.floor(seconds)
  const days = Math.floor(whole / 86_400)
  const clock = [Math.floor(whole / 3600) % 24, Math.floor(whole / 60) % 60, whole % 60].map(two).join(':')
  return days > 0 ? `${two(days)}-${clock}` : clock
}

const startOf = ({ startedSecondsAfterBoot }: ProcessFacts, host: PsHost) =>
  new Date((host.bootTime + Math.floor(startedSecondsAfterBoot)) * 1000)

/** `Mon Nov 30 08:45:39 2026`, as ctime(3). */
function longDate(date: Date): string {
  const [day = '', month = ''] = date.toString().split(' ')
  const clock = [date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(':')
  return `${day} ${month} ${String(date.getDate()).padStart(2)} ${clock} ${date.getFullYear()}`
}

/** The hour for today, the day for this year, else the year. */
const startDay: Cell = (process, host) => {
  const start = startOf(process, host)
  if (start.getFullYear() !== host.now.getFullYear()) return String(start.getFullYear())
  const isToday = start.toDateString() === host.now.toDateString()
  return isToday ? longDate(start).slice(11, 16) : `${longDate(start).slice(4, 7)}${two(start.getDate())}`
}

/** The hour for a day, then `Nov 30`. */
function startHour(process: ProcessFacts, host: PsHost, digits: number): string {
  const start = startOf(process, host)
  if (ageSeconds(process, host) < 86_400) return longDate(start).slice(11, 11 + digits)
  return `${longDate(start).slice(4, 7)} ${two(start.getDate())}`
}

const stateWords: Cell = ({ state, nice, policy, lockedKb, session, pid, threads, group, terminalGroup }) =>
  [
    state,
    isFair(policy) && nice < 0 ? '<' : '',
    isFair(policy) && nice > 0 ? 'N' : '',
    lockedKb > 0 ? 'L' : '',
    session === pid ? 's' : '',
    threads > 1 ? 'l' : '',
    group === terminalGroup ? '+' : '',
  ].join('')

/** The number of proc_pid_stat(5), field 7: pseudo terminals are majors 136 to 143, and the console's 4. */
function terminalName(device: number): string {
  if (device === 0) return '?'
  const major = (device >> 8) & 0xfff
  const minor = (device & 0xff) | ((device >> 12) & 0xfff00)
  if (major >= 136 && major <= 143) return `pts/${(major - 136) * 256 + minor}`
  return major === 4 ? `tty${minor}` : '?'
}

/** A name may hold what moves the reader's cursor: it is the container's own. */
const plain = (text: string) => text.replace(/\p{Cc}/gu, '?')

const defunct = ({ state }: ProcessFacts) => (state === 'Z' ? ' <defunct>' : '')

const commandLine: Cell = (process) => {
  const command = plain(process.args.join(' '))
  return command === '' ? `[${plain(process.name)}]${defunct(process)}` : command
}

/** Names by number of /etc/passwd or /etc/group of the host; the first line of a number counts. */
function namesOf(file: string): Map<number, string> {
  try {
    const rows = readFileSync(file, 'utf8')
      .split('\n')
      .map((line) => line.split(':'))
    return new Map(rows.toReversed().flatMap(([name = '', , id]) => (id ? [[Number(id), name] as const] : [])))
  } catch {
    return new Map()
  }
}
