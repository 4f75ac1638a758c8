import { statSync } from 'node:fs'
import { cloneFlags, flagNames, ioctls, openFlags } from '../linux/constants.ts'
import { specUnsupported } from '../spec/errors.ts'
import type { NamespaceType, OciSpec } from '../spec/types.ts'
import { flags, open, writeFile } from '../tape/calls.ts'
import type { SyscallTape } from '../tape/syscall-tape.ts'

const flagOf: Readonly<Record<NamespaceType, number>> = {
  mount: cloneFlags.CLONE_NEWNS,
  pid: cloneFlags.CLONE_NEWPID,
  network: cloneFlags.CLONE_NEWNET,
  ipc: cloneFlags.CLONE_NEWIPC,
  uts: cloneFlags.CLONE_NEWUTS,
  user: cloneFlags.CLONE_NEWUSER,
  cgroup: cloneFlags.CLONE_NEWCGROUP,
  time: cloneFlags.CLONE_NEWTIME,
}

/** setns(2) into every namespace but user that is given by a path: before clone3, because pid and time concern only children. */
export function joinNamespaces(tape: SyscallTape, spec: OciSpec): void {
  for (const { type, path } of spec.linux?.namespaces ?? []) {
    if (path === undefined || type === 'user') continue
    if (type === 'mount' && isOurs(path)) {
      throw specUnsupported(
        'linux.namespaces',
        `${path} is the host’s own mount namespace, and its root would be replaced`,
      )
    }
    const fd = open(tape, path, openFlags.O_RDONLY)
    tape.call('setns', [fd, flags(flagOf[type], cloneFlags)])
    tape.call('close', [fd])
  }
}

/** In a mount namespace that is joined the container's root becomes the root of all: let nobody ask for that of the host. */
function isOurs(path: string): boolean {
  try {
    const [theirs, ours] = [statSync(path), statSync('/proc/self/ns/mnt')]
    return theirs.ino === ours.ino && theirs.dev === ours.dev
  } catch {
    // What cannot be looked at cannot be opened by the tape either, and there it is named.
    return false
  }
}

/** A new time namespace gets its offsets before the first process is in it (time_namespaces(7)). */
export function newTimeNamespace(tape: SyscallTape, spec: OciSpec): void {
  if (!isNew(spec, 'time')) return
  tape.call('unshare', [flags(cloneFlags.CLONE_NEWTIME, cloneFlags)])
  for (const [clock, offset] of Object.entries(spec.linux?.timeOffsets ?? {})) {
    writeFile(tape, '/proc/self/timens_offsets', `${clock} ${offset.secs ?? 0} ${offset.nanosecs ?? 0}`)
  }
}

/** CLONE_* of the namespaces that clone3 makes. cgroup, time and user have their own moments; so has ipc in a user namespace. */
export function namespacesToClone(spec: OciSpec): number {
  const later: NamespaceType[] = ['cgroup', 'time', 'user', ...(hasUser(spec) ? (['ipc'] as const) : [])]
  const made = (spec.linux?.namespaces ?? []).filter(({ type, path }) => path === undefined && !later.includes(type))
  return made.reduce((all, { type }) => all | flagOf[type], 0)
}

/** The files of its message queues belong to who makes it: so it is made once we are root of the user namespace. */
export function newIpcNamespace(tape: SyscallTape, spec: OciSpec): void {
  if (!hasUser(spec) || !isNew(spec, 'ipc')) return
  tape.call('unshare', [flags(cloneFlags.CLONE_NEWIPC, cloneFlags)])
}

function hasUser({ linux }: OciSpec): boolean {
  return linux?.namespaces?.some(({ type }) => type === 'user') ?? false
}

/** The cgroup namespace's root is the cgroup that we are in: so it is made once we are in the right one. */
export function newCgroupNamespace(tape: SyscallTape, spec: OciSpec): void {
  if (isNew(spec, 'cgroup')) {
    const value = cloneFlags.CLONE_NEWCGROUP
    tape.call('unshare', [{ value, shown: flagNames(value, cloneFlags) }])
  }
}

/** True if the container gets its own namespace of this type, rather than an existing one or the host's. */
export function isNew(spec: OciSpec, type: NamespaceType): boolean {
  return spec.linux?.namespaces?.some((namespace) => namespace.type === type && namespace.path === undefined) ?? false
}

/** lo comes up by itself only in the first network namespace of a machine. */
export function loopbackUp(tape: SyscallTape): void {
  const request = Buffer.alloc(40)
  request.write('lo')
  request.writeInt16LE(0x1 | 0x40, 16) // IFF_UP | IFF_RUNNING
  const socket = tape.call('socket', [{ value: 2, shown: 'AF_INET' }, { value: 0o2000002, shown: 'SOCK_DGRAM' }, 0])
  const up = tape.struct(request, '{"lo", IFF_UP|IFF_RUNNING}')
  tape.call('ioctl', [socket, { value: ioctls.SIOCSIFFLAGS, shown: 'SIOCSIFFLAGS' }, up])
  tape.call('close', [socket])
}

/** Host name, domain name and sysctls: by the kernel's rule, those of the namespaces that the writer is in. */
export function nameAndTune(tape: SyscallTape, spec: Pick<OciSpec, 'hostname' | 'domainname' | 'linux'>): void {
  if (spec.hostname) tape.call('sethostname', [spec.hostname, Buffer.byteLength(spec.hostname)])
  if (spec.domainname) tape.call('setdomainname', [spec.domainname, Buffer.byteLength(spec.domainname)])
  for (const [key, value] of Object.entries(spec.linux?.sysctl ?? {})) {
    // A key with slashes is a path already; its dots belong to the names, such as those of VLAN links.
    const path = key.includes('/') ? key : key.replaceAll('.', '/')
    writeFile(tape, `/proc/sys/${path}`, value)
  }
}
