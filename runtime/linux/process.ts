import { closeSync, constants, openSync, readFileSync, readlinkSync, writeSync } from 'node:fs'
import { hasCode } from '../base/errors.ts'
import { ioctls, prctlOptions } from './constants.ts'
import { ECHILD } from './errno-numbers.ts'
import { bind, kernelError } from './ffi.ts'
import { type Architecture, syscallNumber } from './syscall-numbers.ts'

const architecture: Architecture = process.arch === 'arm64' ? 'arm64' : 'x64'

const posixSpawn = bind(
  'int posix_spawn(void *pid, const char *path, void *actions, void *attributes, const char **argv, const char **envp)',
)
const actionsInit = bind('int posix_spawn_file_actions_init(void *actions)')
const actionsDup2 = bind('int posix_spawn_file_actions_adddup2(void *actions, int fd, int newfd)')
const actionsDestroy = bind('int posix_spawn_file_actions_destroy(void *actions)')
const attributesInit = bind('int posix_spawnattr_init(void *attributes)')
const setFlags = bind('int posix_spawnattr_setflags(void *attributes, short flags)')
const setDefault = bind('int posix_spawnattr_setsigdefault(void *attributes, void *set)')
const setMask = bind('int posix_spawnattr_setsigmask(void *attributes, void *set)')
const memfdCreate = bind('int memfd_create(const char *name, unsigned int flags)')
const fcntl = bind('int fcntl(int fd, int command, int argument)')
const pipe2 = bind('int pipe2(void *pair, int flags)')
const flock = bind('int flock(int fd, int operation)')
const mkfifoC = bind('int mkfifo(const char *path, unsigned int mode)')
const waitidC = bind('int waitid(int type, unsigned int id, void *info, int options)')
const pollC = bind('int poll(void *fds, unsigned long count, int timeout)')
const prctlC = bind('int prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)')
const ioctlC = bind('int ioctl(int fd, unsigned long request, void *argument)')
const syscall3 = (name: 'pidfd_open' | 'pidfd_getfd') => {
  const call = bind('long syscall(long number, long a, long b, long c)', name)
  return (a: number, b: number, c: number) => call(syscallNumber(name, architecture) ?? -1, a, b, c)
}
const pidfdOpenC = syscall3('pidfd_open')
const pidfdGetfdC = syscall3('pidfd_getfd')
const sendSignal = bind(
  'long syscall(long number, int fd, int signal, void *info, unsigned int flags)',
  'pidfd_send_signal',
)

/** Bytes as a descriptor that can be read, mapped privately and executed, and never changed again (memfd_create(2)). */
export function sealedMemfd(name: string, bytes: Uint8Array): number {
  const fd = memfdCreate(name, 0x1 | 0x2) // MFD_CLOEXEC | MFD_ALLOW_SEALING
  try {
    for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at)
    fcntl(fd, 1033, 0x1 | 0x2 | 0x4 | 0x8) // F_ADD_SEALS: SEAL SHRINK GROW WRITE
    return fd
  } catch (error) {
    closeSync(fd)
    throw error
  }
}

let spawnAttributes: Buffer | undefined

/**
 * Starts the program in descriptor `program` with the descriptors of `inherit` (child's number → ours; Node marks even
 * its own 0, 1 and 2 close-on-exec), an empty environment, default signal dispositions (Node ignores SIGPIPE,
 * which would be inherited) and no blocked signals. Returns the pid. Throws `KERNEL`.
 */
export function spawn(program: number, argv0: string, inherit: ReadonlyMap<number, number>): number {
  const actions = Buffer.alloc(128)
  actionsInit(actions)
  try {
    // A source that is also another entry's target would be overwritten before its turn: lift all sources first.
    const lifted = [...inherit].map(([target, source], at) => [target, source, 1000 + at] as const)
    const clash = lifted.some(([target, source]) => source !== target && inherit.has(source))
    if (clash) for (const [, source, high] of lifted) actionsDup2(actions, source, high)
    for (const [target, source, high] of lifted) actionsDup2(actions, clash ? high : source, target)
    if (!spawnAttributes) {
      spawnAttributes = Buffer.alloc(512)
      attributesInit(spawnAttributes)
      const ignoredByNode = Buffer.alloc(128)
      // SIGPIPE and SIGXFSZ, which Node ignores, and 32 and 33, which glibc would set to be ignored.
      ignoredByNode.writeBigUInt64LE((1n << 12n) | (1n << 24n) | (1n << 31n) | (1n << 32n))
      setDefault(spawnAttributes, ignoredByNode)
      setMask(spawnAttributes, Buffer.alloc(128))
      setFlags(spawnAttributes, 0x4 | 0x8) // SETSIGDEF | SETSIGMASK
    }
    const pid = Buffer.alloc(4)
    const errno = posixSpawn(pid, `/proc/self/fd/${program}`, actions, spawnAttributes, [argv0, null], [null])
    if (errno !== 0) throw kernelError('posix_spawn', [argv0], errno)
    return pid.readInt32LE()
  } finally {
    actionsDestroy(actions)
  }
}

/** A pipe, close-on-exec. `nonblocking` concerns only the reading end's owner: both ends get O_NONBLOCK. */
export function makePipe(nonblocking = false): { read: number; write: number } {
  const pair = Buffer.alloc(8)
  pipe2(pair, (constants.O_NONBLOCK * (nonblocking ? 1 : 0)) | 0o2000000)
  return { read: pair.readInt32LE(0), write: pair.readInt32LE(4) }
}

/** Makes reads and writes of the open file behind `fd` return EAGAIN instead of waiting. */
export function setNonblocking(fd: number): void {
  fcntl(fd, 4, constants.O_RDWR | constants.O_NONBLOCK) // F_SETFL
}

/** mkfifo(3) with mode 0600. */
export function makeFifo(path: string): void {
  mkfifoC(path, 0o600)
}

/** Takes an exclusive lock that lives as long as the returned descriptor; undefined when somebody else holds it. */
export function tryLock(path: string): number | undefined {
  const fd = openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600)
  try {
    flock(fd, 2 | 4) // LOCK_EX | LOCK_NB
    return fd
  } catch (error) {
    closeSync(fd)
    if (hasCode(error, 'KERNEL') && error.facts.errno === 'EAGAIN') return undefined
    throw error
  }
}

/** How a process ended: `exitCode` as a shell shows it, 128 + signal when it was killed. */
export interface Exit {
  pid: number
  exitCode: number
  signal?: number
}

/** The next child that has ended, reaped; undefined when none has (waitid(2), P_ALL, WNOHANG | __WALL). Never blocks. */
export function reapOne(): Exit | undefined {
  const info = Buffer.alloc(128)
  const failed = waitidC.probe(0, 0, info, 0x1 | 0x4 | 0x40000000)
  if (failed === -ECHILD) return undefined
  if (failed < 0) throw kernelError('waitid', ['P_ALL'], -failed)
  return exitFrom(info)
}

/** From a siginfo_t of waitid; undefined when it speaks of nobody. */
function exitFrom(info: Buffer): Exit | undefined {
  const pid = info.readInt32LE(16)
  if (pid === 0) return undefined
  const status = info.readInt32LE(24)
  return info.readInt32LE(8) === 1 ? { pid, exitCode: status } : { pid, exitCode: 128 + status, signal: status }
}

/** From now on orphans among our descendants become our children (PR_SET_CHILD_SUBREAPER(2const)). Throws `KERNEL`. */
export function becomeSubreaper(): void {
  prctlC(prctlOptions.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
}

/** How a child of ours ended, reaped; `gone` when somebody else in this process has reaped it. Never blocks. */
export function reapChild(pid: number): Exit | 'running' | 'gone' {
  const info = Buffer.alloc(128)
  const failed = waitidC.probe(1, pid, info, 0x1 | 0x4 | 0x40000000)
  if (failed === -ECHILD) return 'gone'
  if (failed < 0) throw kernelError('waitid', ['P_PID', pid], -failed)
  return exitFrom(info) ?? 'running'
}

/** A descriptor for a process that cannot come to mean another one. Throws `KERNEL` (ESRCH when there is none). */
export function pidfdOpen(pid: number): number {
  return pidfdOpenC(pid, 0, 0)
}

/** Our own copy of a descriptor of another process (pidfd_getfd(2)). */
export function descriptorOf(pidfd: number, descriptor: number): number {
  return pidfdGetfdC(pidfd, descriptor, 0)
}

/** Our own copy of a descriptor of the process `pid`, which is a child of ours or waits for us. Throws `KERNEL`. */
export function descriptorIn(pid: number, descriptor: number): number {
  const pidfd = pidfdOpen(pid)
  try {
    return descriptorOf(pidfd, descriptor)
  } finally {
    closeSync(pidfd)
  }
}

/** Sends a signal to the process behind `pidfd`. Throws `KERNEL` (ESRCH when it is gone). */
export function pidfdSignal(pidfd: number, signal: number): void {
  sendSignal(syscallNumber('pidfd_send_signal', architecture) ?? -1, pidfd, signal, null, 0)
}

/** Waits on a thread of its own until one of `descriptors` is readable or `milliseconds` have passed; returns those that are. */
export async function pollReadable(descriptors: readonly number[], milliseconds: number): Promise<number[]> {
  const fds = Buffer.alloc(8 * descriptors.length)
  descriptors.forEach((descriptor, at) => {
    fds.writeInt32LE(descriptor, at * 8)
    fds.writeInt16LE(1, at * 8 + 4)
  })
  await pollC.async(fds, descriptors.length, milliseconds)
  return descriptors.filter((_, at) => fds.readInt16LE(at * 8 + 6) !== 0)
}

/**
 * The exit of somebody else's child, by a pidfd that was opened while it lived: from its zombie as long as nobody has
 * reaped it (proc_pid_stat(5), field 52), afterwards from the pidfd (PIDFD_GET_INFO, Linux 6.15). Undefined where
 * neither tells.
 */
export function exitBehind(pidfd: number, pid: number): Exit | undefined {
  const zombie = statFields(pid)
  if (zombie?.[0] === 'Z') return exitOfStatus(pid, Number(zombie[49]))
  const info = Buffer.alloc(64)
  info.writeBigUInt64LE(8n) // PIDFD_INFO_EXIT
  try {
    ioctlC(pidfd, ioctls.PIDFD_GET_INFO, info)
  } catch {
    return undefined
  }
  return (info.readBigUInt64LE() & 8n) === 0n ? undefined : exitOfStatus(pid, info.readInt32LE(60))
}

function exitOfStatus(pid: number, status: number): Exit {
  const signal = status & 0x7f
  return signal === 0 ? { pid, exitCode: (status >> 8) & 0xff } : { pid, exitCode: 128 + signal, signal }
}

/** Sets the size of a terminal (TIOCSWINSZ). */
export function setWindowSize(terminal: number, columns: number, rows: number): void {
  const size = Buffer.alloc(8)
  size.writeUInt16LE(rows, 0)
  size.writeUInt16LE(columns, 2)
  ioctlC(terminal, ioctls.TIOCSWINSZ, size)
}

/** Lets a terminal pass on newlines as they are, without a carriage return before each (ONLCR of termios(3)). */
export function keepNewlines(terminal: number): void {
  const settings = Buffer.alloc(64)
  ioctlC(terminal, ioctls.TCGETS, settings)
  const outputFlags = 4
  settings.writeUInt32LE((settings.readUInt32LE(outputFlags) & ~ONLCR) >>> 0, outputFlags)
  ioctlC(terminal, ioctls.TCSETS, settings)
}

const ONLCR = 0x4

/**
 * When a process started, in clock ticks since boot (proc_pid_stat(5), field 22): together with the pid it names one
 * process for ever. Undefined when there is no such process, or only its zombie.
 */
export function startTimeOf(pid: number): number | undefined {
  const fields = statFields(pid)
  return fields === undefined || fields[0] === 'Z' || fields[0] === 'X' ? undefined : Number(fields[19])
}

/** The file that a process executes (proc_pid_exe(5)); undefined when it is gone or hidden from us. */
export function programOf(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/exe`)
  } catch {
    return undefined
  }
}

/** /proc/PID/stat from the third field on: the second, the name, may hold anything. */
function statFields(pid: number): string[] | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  } catch {
    return undefined
  }
}
