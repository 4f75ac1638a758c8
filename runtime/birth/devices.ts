import { type BigIntStats, statSync } from 'node:fs'
import { ioctls, openFlags, S_IFBLK, S_IFCHR, S_IFIFO } from '../linux/constants.ts'
import { EEXIST } from '../linux/errno-numbers.ts'
import { specInvalid } from '../spec/errors.ts'
import type { OciDevice, OciSpec } from '../spec/types.ts'
import { flags, here, makeFileInRoot, makeFolderInRoot, moveMount, openTree } from '../tape/calls.ts'
import type { Arg, SyscallTape } from '../tape/syscall-tape.ts'
import { mountOptions } from './mount-options.ts'
import type { FromHost } from './user-namespace.ts'

/** The devices that the runtime-spec gives every container ("Default Devices"). */
const defaultDevices: readonly OciDevice[] = [
  { type: 'c', path: '/dev/null', major: 1, minor: 3, fileMode: 0o666 },
  { type: 'c', path: '/dev/zero', major: 1, minor: 5, fileMode: 0o666 },
  { type: 'c', path: '/dev/full', major: 1, minor: 7, fileMode: 0o666 },
  { type: 'c', path: '/dev/random', major: 1, minor: 8, fileMode: 0o666 },
  { type: 'c', path: '/dev/urandom', major: 1, minor: 9, fileMode: 0o666 },
  { type: 'c', path: '/dev/tty', major: 5, minor: 0, fileMode: 0o666 },
]

const links: readonly (readonly [path: string, target: string])[] = [
  ['fd', '/proc/self/fd'],
  ['stdin', '/proc/self/fd/0'],
  ['stdout', '/proc/self/fd/1'],
  ['stderr', '/proc/self/fd/2'],
]

const kinds: Readonly<Record<string, number>> = { c: S_IFCHR, u: S_IFCHR, b: S_IFBLK, p: S_IFIFO }

export interface DevicePlan {
  spec: OciSpec
  fromHost: FromHost
  /** In a user namespace nobody makes devices: the host's own are bound. */
  bind: boolean
  /** What lies at a path of the root as it is now; undefined where nothing does, or nothing is known. */
  lookUp(path: string): BigIntStats | undefined
}

/** Device nodes and default links; nothing when config.json binds a ready /dev. The umask must be 0. */
export function recordDevices(tape: SyscallTape, root: Arg, plan: DevicePlan): void {
  const { spec, fromHost, bind } = plan
  const boundDev = spec.mounts?.some((mount) => mount.destination === '/dev' && mountOptions(mount).bind)
  if (boundDev) return
  const asked = distinct(spec.linux?.devices ?? [])
  const defaults = defaultDevices.filter(({ path }) => !asked.some((device) => device.path === path))
  const folders = new Map<string, Arg>()
  for (const device of [...defaults, ...asked]) {
    if (bind && device.type !== 'p') {
      bindDevice(tape, root, { device, fromHost })
      continue
    }
    const slash = device.path.lastIndexOf('/')
    const parent = device.path.slice(0, slash)
    const folder = folders.get(parent) ?? makeFolderInRoot(tape, root, parent)
    folders.set(parent, folder)
    // What is there already is somebody's choice, but not in place of a device that was asked for.
    const isThere = asked.includes(device) && isThereAlready(device, plan)
    if (!isThere) makeDevice(tape, folder, device, asked.includes(device) ? [] : [EEXIST])
  }
  const dev = folders.get('/dev') ?? makeFolderInRoot(tape, root, '/dev')
  for (const [name, target] of links) tape.call('symlinkat', [target, dev, name], { tolerate: [EEXIST] })
  const hasPts = spec.mounts?.some(({ destination }) => destination === '/dev/pts')
  if (hasPts) tape.call('symlinkat', ['pts/ptmx', dev, 'ptmx'], { tolerate: [EEXIST] })
}

function bindDevice(
  tape: SyscallTape,
  root: Arg,
  { device, fromHost }: { device: OciDevice; fromHost: FromHost },
): void {
  const path = hostDevicePath(device)
  const node = fromHost((host) => openTree(host, here, path, 0))
  moveMount(tape, node, makeFileInRoot(tape, root, device.path))
}

/** Where the host has the device: at the same path, or where udev lists devices by number. Throws SPEC_INVALID. */
function hostDevicePath({ path, type, major = 0, minor = 0 }: OciDevice): string {
  if (kinds[type] === undefined) throw noSuchType(path, type)
  const isIt = (candidate: string) => {
    const found = statSync(candidate, { throwIfNoEntry: false, bigint: true })
    return found !== undefined && (type === 'b') === found.isBlockDevice() && found.rdev === deviceNumber(major, minor)
  }
  const found = [path, `/dev/${type === 'b' ? 'block' : 'char'}/${major}:${minor}`].find(isIt)
  if (found) return found
  const reason = `the host has no such device ${major}:${minor}, and in a user namespace none can be made`
  throw specInvalid(`linux.devices ${path}`, reason)
}

function noSuchType(path: string, type: string) {
  return specInvalid(`linux.devices ${path}`, `type ${type} is none of c, u, b, p`)
}

/** The same device twice is one; two at one path are none. Throws SPEC_INVALID. */
function distinct(devices: readonly OciDevice[]): OciDevice[] {
  return devices.filter((device, at) => {
    const first = devices.findIndex(({ path }) => path === device.path)
    if (first === at) return true
    const [one, other] = [devices[first], device].map((each) => `${each?.type} ${each?.major}:${each?.minor}`)
    if (one === other) return false
    throw specInvalid(`linux.devices[${at}].path`, `${device.path} is ${one} already, and cannot be ${other}`)
  })
}

/**
 * True if the root has this very device. Throws SPEC_INVALID if it has something else there: the spec's rule. A mount that
 * covers the folder hides what the root has.
 */
function isThereAlready({ path, type, major = 0, minor = 0 }: OciDevice, { spec, lookUp }: DevicePlan): boolean {
  if (spec.mounts?.some(({ destination }) => path.startsWith(`${destination.replace(/\/+$/, '')}/`))) return false
  const found = lookUp(path)
  if (!found) return false
  const number = type === 'p' ? found.rdev : deviceNumber(major, minor)
  if ((found.mode & 0o170000n) === BigInt(kinds[type] ?? 0) && found.rdev === number) return true
  throw specInvalid(`linux.devices ${path}`, `the root has something else there than ${type} ${major}:${minor}`)
}

function makeDevice(tape: SyscallTape, folder: Arg, device: OciDevice, tolerate: readonly number[]): void {
  const { type, path, major = 0, minor = 0, fileMode = 0o666, uid = 0, gid = 0 } = device
  const kind = kinds[type]
  if (kind === undefined) throw noSuchType(path, type)
  const name = path.slice(path.lastIndexOf('/') + 1)
  const mode = { value: kind | (fileMode & 0o7777), shown: `0${(kind | (fileMode & 0o7777)).toString(8)}` }
  const number = { value: deviceNumber(major, minor), shown: `makedev(${major}, ${minor})` }
  tape.call('mknodat', [folder, name, mode, number], { tolerate })
  if (uid !== 0 || gid !== 0) {
    tape.call('fchownat', [folder, name, uid, gid, { value: 0x100, shown: 'AT_SYMLINK_NOFOLLOW' }])
  }
}

/** makedev(3): 12 bits of major, 20 bits of minor. */
function deviceNumber(major: number, minor: number): bigint {
  return (BigInt(major) << 8n) | BigInt(minor & 0xff) | (BigInt(minor & ~0xff) << 12n)
}

/**
 * A terminal of the container's own devpts. Opened by the container's own root and handed on by descriptor alone:
 * the peer comes from the master (TIOCGPTPEER), never from a path under /dev/pts (CVE-2025-52565). The master is
 * left at `masterDescriptor`, where it waits to be fetched.
 */
export function openTerminal(
  tape: SyscallTape,
  root: Arg,
  options: { masterDescriptor: number; size?: { width: number; height: number } | undefined; console: boolean },
): void {
  const { O_RDWR, O_NOCTTY } = openFlags
  const how = Buffer.alloc(24)
  how.writeBigUInt64LE(BigInt(O_RDWR | O_NOCTTY | openFlags.O_CLOEXEC))
  how.writeBigUInt64LE(16n | 4n, 16)
  const openHow = tape.struct(how, '{O_RDWR|O_NOCTTY|O_CLOEXEC, RESOLVE_IN_ROOT|RESOLVE_NO_SYMLINKS}')
  const master = tape.call('openat2', [root, 'dev/pts/ptmx', openHow, 24])
  const ioctl = (fd: Arg, name: keyof typeof ioctls, argument: Arg) =>
    tape.call('ioctl', [fd, { value: ioctls[name], shown: name }, argument])
  ioctl(master, 'TIOCSPTLCK', tape.struct(new Uint8Array(4), '[0]'))
  const peer = ioctl(master, 'TIOCGPTPEER', flags(O_RDWR | O_NOCTTY, openFlags))
  if (options.size) {
    const size = Buffer.alloc(8)
    size.writeUInt16LE(options.size.height, 0)
    size.writeUInt16LE(options.size.width, 2)
    ioctl(master, 'TIOCSWINSZ', tape.struct(size, `{${options.size.height} rows, ${options.size.width} columns}`))
  }
  if (options.console) {
    moveMount(tape, openTree(tape, peer, '', 0), makeFileInRoot(tape, root, '/dev/console'))
  }
  ioctl(peer, 'TIOCSCTTY', 0)
  for (const fd of [0, 1, 2]) tape.call('dup3', [peer, fd, 0])
  tape.call('dup3', [master, options.masterDescriptor, flags(openFlags.O_CLOEXEC, openFlags)])
}
