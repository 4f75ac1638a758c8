import type { BigIntStats } from 'node:fs'
import { ioctls, openFlags } from '../linux/constants.ts'
import { EEXIST } from '../linux/errno-numbers.ts'
import { specInvalid } from '../spec/errors.ts'
import type { OciDevice, OciSpec } from '../spec/types.ts'
import { flags, makeFileInRoot, makeFolderInRoot, moveMount, openTree } from '../tape/calls.ts'
import type { Arg, SyscallTape } from '../tape/syscall-tape.ts'
import { deviceNumber, kindOf, makeNode } from './device-node.ts'
import { deviceFromHost, type Workshop } from './host-device.ts'
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

export interface DevicePlan {
  spec: OciSpec
  fromHost: FromHost
  /** In a user namespace nobody makes devices: they come from the host. */
  bind: Workshop | undefined
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
      const node = fromHost((host) => deviceFromHost(host, device, bind))
      moveMount(tape, node, makeFileInRoot(tape, root, device.path))
      continue
    }
    const slash = device.path.lastIndexOf('/')
    const parent = device.path.slice(0, slash)
    const folder = folders.get(parent) ?? makeFolderInRoot(tape, root, parent)
    folders.set(parent, folder)
    // What is there already is somebody's choice, but not in place of a device that was asked for.
    const isThere = asked.includes(device) && isThereAlready(device, plan)
    if (!isThere) makeNode(tape, folder, device, asked.includes(device) ? [] : [EEXIST])
  }
  const dev = folders.get('/dev') ?? makeFolderInRoot(tape, root, '/dev')
  for (const [name, target] of links) tape.call('symlinkat', [target, dev, name], { tolerate: [EEXIST] })
  const hasPts = spec.mounts?.some(({ destination }) => destination === '/dev/pts')
  if (hasPts) tape.call('symlinkat', ['pts/ptmx', dev, 'ptmx'], { tolerate: [EEXIST] })
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
  if ((found.mode & 0o170000n) === BigInt(kindOf({ path, type })) && found.rdev === number) return true
  throw specInvalid(`linux.devices ${path}`, `the root has something else there than ${type} ${major}:${minor}`)
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
