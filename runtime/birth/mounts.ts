import { lstatSync, readlinkSync, type Stats, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { errnoOf } from '../base/errors.ts'
import { AT_RECURSIVE, AT_SYMLINK_NOFOLLOW, mountAttributes, openFlags } from '../linux/constants.ts'
import { EEXIST } from '../linux/errno-numbers.ts'
import { specInvalid } from '../spec/errors.ts'
import { checkMappings, hostIdOf } from '../spec/id-mappings.ts'
import type { OciMount, OciSpec } from '../spec/types.ts'
import {
  here,
  longestValue,
  makeFileInRoot,
  makeFolderInRoot,
  mountSetattr,
  moveMount,
  newMount,
  openInRoot,
  openTree,
  remount,
} from '../tape/calls.ts'
import type { Arg, Result, SyscallTape } from '../tape/syscall-tape.ts'
import { idMapOf, type MountOptions, mountOptions } from './mount-options.ts'
import { labelOption } from './security-labels.ts'
import type { FromHost, IdMaps, UserNamespaces } from './user-namespace.ts'

/** One cgroup hierarchy as a container shall see it below /sys/fs/cgroup. */
export interface CgroupView {
  /** Folder name below the destination; empty for cgroup v2, which is the destination itself. */
  name: string
  /** The container's own group on the host. */
  folder: string
}

/** Everything that mounts are made from; `root` is a descriptor of the container's root. */
export interface MountPlan {
  root: Arg
  spec: OciSpec
  /** Against which a relative source counts. */
  bundle: string | undefined
  cgroups: readonly CgroupView[]
  fromHost: FromHost
  /** Of the container's user namespace, if it has one. */
  maps: IdMaps | undefined
  spaces: UserNamespaces
  warnings: string[]
  /** Permission bits of a folder in the root as it is now, where that can be known. */
  modeOf(path: string): number | undefined
  /** A destination with the links of the image followed, as far as that can be known. */
  throughLinks(destination: string): string
  /** Lets the player copy what is in a folder into a new filesystem, which is not there yet. */
  copyUp(from: Arg, to: Arg, keep: { mode: boolean; owner: boolean }): void
}

const { MOUNT_ATTR_NOSUID, MOUNT_ATTR_NODEV, MOUNT_ATTR_NOEXEC, MOUNT_ATTR_RDONLY, MOUNT_ATTR_IDMAP } = mountAttributes

/** Filesystems of the kernel that must lie where they belong: a link of the image there is refused (CVE-2025-52881). */
const ofTheKernel: ReadonlySet<string> = new Set(['proc', 'sysfs'])

/**
 * The mounts of config.json in their order. Targets are resolved inside the root by openat2, made where they are
 * missing, and mounted on by descriptor, so that no link of the image is ever followed out of it (CVE-2026-41579).
 * Returns those that must become read-only once nothing has to be made in them any more.
 */
export function recordMounts(tape: SyscallTape, plan: MountPlan): Result[] {
  const late: Result[] = []
  for (const mount of plan.spec.mounts ?? []) {
    const options = mountOptions(mount)
    tape.because(`mount ${mount.type ?? (options.bind ? 'bind' : 'none')} on ${mount.destination}`)
    if (options.remount) changeMount(tape, plan, mount, options)
    else if (isHostsSysfs(mount, plan)) bindMount(tape, plan, { ...mount, source: '/sys' }, ownPlace(options))
    else if (options.bind) bindMount(tape, plan, mount, options)
    else if (mount.type === 'cgroup' || mount.type === 'cgroup2') late.push(...mountCgroups(tape, plan, mount))
    else {
      checkFilesystem(mount, options, plan.maps)
      late.push(...mountFilesystem(tape, plan, mount, options))
    }
  }
  return late
}

/**
 * A sysfs shows a network, and only who owns that may mount it. In a user namespace with a network of others the host's own is
 * shown instead, without what is mounted in it, as with crun.
 */
function isHostsSysfs({ type }: OciMount, { maps, spec }: MountPlan): boolean {
  return type === 'sysfs' && maps !== undefined && !spec.linux?.namespaces?.some((one) => one.type === 'network')
}

function ownPlace(options: MountOptions): MountOptions {
  return { ...options, destinationNofollow: true, data: [] }
}

function checkFilesystem(mount: OciMount, options: MountOptions, maps: IdMaps | undefined): void {
  const field = `mounts ${mount.destination}`
  const { type = '' } = mount
  if (type === '' || type === 'none') throw specInvalid(field, 'neither a type of filesystem nor a bind mount')
  if (options.idmap || mount.uidMappings || mount.gidMappings)
    throw specInvalid(field, 'only a bind mount can be id-mapped')
  if (options.tmpcopyup && type !== 'tmpfs') throw specInvalid(field, 'tmpcopyup is for tmpfs alone')
  // A devpts is the container's own, so its group must be too: the kernel says only EINVAL.
  const gid = type === 'devpts' ? options.data.find((option) => option.startsWith('gid='))?.slice(4) : undefined
  if (gid === undefined || !maps?.gid || hostIdOf(maps.gid, Number(gid)) !== undefined) return
  throw specInvalid(field, `gid=${gid} is in no range of linux.gidMappings`)
}

function bindMount(tape: SyscallTape, plan: MountPlan, mount: OciMount, options: MountOptions): void {
  const { root, fromHost, warnings } = plan
  const source = sourceOf(mount, plan.bundle)
  const found = lookAt(mount, source, { follow: !(options.sourceNofollow || options.copySymlink) })
  if (options.copySymlink && found.isSymbolicLink()) {
    copyLink(tape, root, { target: readlinkSync(source), at: mount.destination })
    return
  }
  if (options.sourceNofollow && found.isSymbolicLink() && /^\/+proc\/+./.test(mount.destination)) {
    throw specInvalid(`mounts ${mount.destination}`, 'a link cannot be mounted in /proc')
  }
  const useless = [...options.data, ...options.filesystemFlags]
  if (useless.length > 0) {
    warnings.push(
      `mounts ${mount.destination}: ${useless.join(',')} concern a filesystem, and change nothing on a bind mount`,
    )
  }
  const copy = fromHost((host) => {
    const recursive = options.recursiveBind ? AT_RECURSIVE : 0
    const tree = openTree(host, here, source, recursive | (options.sourceNofollow ? AT_SYMLINK_NOFOLLOW : 0))
    mapIds(host, tree, { mount, options, plan })
    change(host, tree, options)
    return tree
  })
  const isFolder = found.isDirectory()
  const nofollow = options.destinationNofollow
  const at = nofollow ? mount.destination : plan.throughLinks(mount.destination)
  moveMount(tape, copy, targetOf(tape, root, at, { isFolder, nofollow }))
}

/** Absolute, or relative to the bundle. Throws SPEC_INVALID. */
function sourceOf({ source, destination }: OciMount, bundle: string | undefined): string {
  if (!source) throw specInvalid(`mounts ${destination}`, 'a bind mount without a source')
  if (source.startsWith('/')) return source
  if (bundle === undefined)
    throw specInvalid(`mounts ${destination}`, `source ${source} is relative, and there is no bundle`)
  return resolve(bundle, source)
}

function lookAt({ destination }: OciMount, source: string, { follow }: { follow: boolean }): Stats {
  try {
    return follow ? statSync(source) : lstatSync(source)
  } catch (error) {
    const errno = errnoOf(error)
    const reason = errno === 'ENOENT' ? 'does not exist' : `cannot be looked at: ${errno}`
    throw specInvalid(`mounts ${destination}`, `source ${source} ${reason}`)
  }
}

function copyLink(tape: SyscallTape, root: Arg, { target, at }: { target: string; at: string }): void {
  const folder = makeFolderInRoot(tape, root, dirname(at))
  tape.call('symlinkat', [target, folder, at.slice(at.lastIndexOf('/') + 1)], { tolerate: [EEXIST] })
}

/** Before the mount is attached anywhere, and by the host's root: the kernel lets nobody else. */
function mapIds(
  tape: SyscallTape,
  tree: Result,
  { mount, options, plan }: { mount: OciMount; options: MountOptions; plan: MountPlan },
): void {
  const asked = options.idmap ?? (mount.uidMappings || mount.gidMappings ? { recursive: false, text: '' } : undefined)
  if (!asked) return
  const { uid, gid } = idMapOf(mount, asked, plan.maps)
  checkMappings(`mounts ${mount.destination} uidMappings`, uid)
  checkMappings(`mounts ${mount.destination} gidMappings`, gid)
  const userNamespace = plan.spaces.descriptorOf(uid, gid)
  const { recursive } = asked
  mountSetattr(tape, tree, { set: MOUNT_ATTR_IDMAP, clear: 0, userNamespace }, { recursive })
}

/** Returns the mount if it must become read-only later: a tmpfs in which targets of other mounts are made. */
function mountFilesystem(tape: SyscallTape, plan: MountPlan, mount: OciMount, options: MountOptions): Result[] {
  const { type = '', source = '', destination } = mount
  const { root, fromHost } = plan
  let set = options.attributes.set | options.recursive.set
  const isReadonly = (set & MOUNT_ATTR_RDONLY) !== 0
  const isLate = isReadonly && type === 'tmpfs'
  if (isLate) set &= ~MOUNT_ATTR_RDONLY
  // A device must not be written to at all, not even to replay its journal.
  const device = isReadonly && source.startsWith('/') ? ['ro'] : []
  const own = type === 'overlay' ? oneByOne(options.data) : options.data
  const data = [...device, ...options.filesystemFlags, ...own, ...labelOption(mount, plan.spec)]
  if (type === 'tmpfs' && !options.data.some((option) => option.startsWith('mode='))) {
    const mode = plan.modeOf(destination)
    if (mode !== undefined) data.push(`mode=${mode.toString(8)}`)
  }
  const nofollow = options.destinationNofollow || ofTheKernel.has(type)
  const target = targetOf(tape, root, destination, { isFolder: true, nofollow })
  const make = (on: SyscallTape) => newMount(on, { type, source, data, attributes: set })
  // What the player fills with files of the host's ids must be a filesystem of the host.
  const made = options.tmpcopyup ? fromHost(make) : make(tape)
  spread(tape, made, options)
  if (options.tmpcopyup) {
    const says = (...keys: string[]) => options.data.some((option) => keys.some((key) => option.startsWith(`${key}=`)))
    plan.copyUp(target, made, { mode: says('mode'), owner: says('uid', 'gid') })
  }
  moveMount(tape, made, target)
  return isLate ? [made] : []
}

/** Layers that are too long together for one value of fsconfig(2), each by itself (`lowerdir+`, Linux 6.5). */
function oneByOne(data: readonly string[]): string[] {
  return data.flatMap((option) => {
    if (!option.startsWith('lowerdir=') || Buffer.byteLength(option) <= longestValue) return [option]
    const layers = option.slice('lowerdir='.length).match(/(?:\\.|[^:\\])+/g) ?? []
    return layers.map((layer) => `lowerdir+=${layer.replaceAll('\\:', ':')}`)
  })
}

/** mount(8)'s `remount`: flags and options of what is mounted there already; with `bind` the flags of the mount alone. */
function changeMount(tape: SyscallTape, { root }: MountPlan, mount: OciMount, options: MountOptions): void {
  const target = openInRoot(tape, root, mount.destination)
  const { attributes } = options
  if (!options.bind) {
    const isReadonly = (attributes.set & MOUNT_ATTR_RDONLY) !== 0
    const isWritable = (attributes.clear & MOUNT_ATTR_RDONLY) !== 0
    remount(tape, target, [
      ...(isReadonly ? ['ro'] : isWritable ? ['rw'] : []),
      ...options.filesystemFlags,
      ...options.data,
    ])
  }
  change(tape, target, options)
}

/** What cgroup2 takes; outside of the host's cgroup namespace it changes nothing (cgroups(7), kernel's cgroup-v2.rst). */
const ofCgroup2: ReadonlySet<string> = new Set([
  'nsdelegate',
  'favordynmods',
  'memory_localevents',
  'memory_recursiveprot',
  'memory_hugetlb_accounting',
  'pids_localevents',
])

/** Each hierarchy by a bind of the container's own group: the same view with and without a cgroup namespace. */
function mountCgroups(tape: SyscallTape, { root, cgroups, fromHost }: MountPlan, mount: OciMount): Result[] {
  const { attributes, data } = mountOptions(mount)
  const target = targetOf(tape, root, mount.destination, { isFolder: true, nofollow: false })
  const unified = cgroups.length === 1 && cgroups[0]?.name === '' ? cgroups[0] : undefined
  const bind = (folder: string, on: Arg) => {
    const copy = fromHost((host) => {
      const tree = openTree(host, here, folder, 0)
      if (attributes.set) mountSetattr(host, tree, { set: attributes.set, clear: 0 })
      return tree
    })
    moveMount(tape, copy, on)
  }
  if (unified) {
    const unknown = data.find((option) => !ofCgroup2.has(option))
    if (unknown !== undefined)
      throw specInvalid(`mounts ${mount.destination}`, `Invalid argument: ${unknown} is no option of cgroup2`)
    bind(unified.folder, target)
    return []
  }
  const safe = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC
  const top = newMount(tape, { type: 'tmpfs', source: 'cgroup', data: ['mode=755', 'size=64k'], attributes: safe })
  moveMount(tape, top, target)
  for (const { name, folder } of cgroups) {
    bind(folder, makeFolderInRoot(tape, root, `${mount.destination}/${name}`))
  }
  // Engines mount hierarchies of their own beside these.
  return attributes.set & MOUNT_ATTR_RDONLY ? [top] : []
}

function targetOf(
  tape: SyscallTape,
  root: Arg,
  destination: string,
  { isFolder, nofollow }: { isFolder: boolean; nofollow: boolean },
): Arg {
  const last = nofollow ? openFlags.O_NOFOLLOW : 0
  return isFolder ? makeFolderInRoot(tape, root, destination, last) : makeFileInRoot(tape, root, destination, last)
}

function change(tape: SyscallTape, mount: Arg, options: MountOptions): void {
  const { attributes, recursive } = options
  if (attributes.set | attributes.clear) mountSetattr(tape, mount, attributes)
  if (recursive.set | recursive.clear) mountSetattr(tape, mount, recursive, { recursive: true })
  spread(tape, mount, options)
}

function spread(tape: SyscallTape, mount: Arg, { propagations }: MountOptions): void {
  for (const { flag, recursive } of propagations) {
    mountSetattr(tape, mount, { set: 0, clear: 0, propagation: flag }, { recursive })
  }
}
