import { statSync } from 'node:fs'
import { AT_RECURSIVE, mountAttributes } from '../linux/constants.ts'
import { specInvalid } from '../spec/errors.ts'
import { hostIdOf } from '../spec/id-mappings.ts'
import type { OciMount } from '../spec/types.ts'
import { here, makeFileInRoot, makeFolderInRoot, mountSetattr, moveMount, newMount, openTree } from '../tape/calls.ts'
import type { Arg, SyscallTape } from '../tape/syscall-tape.ts'
import { type MountOptions, mountOptions } from './mount-options.ts'
import type { FromHost, IdMaps } from './user-namespace.ts'

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
  mounts: readonly OciMount[]
  cgroups: readonly CgroupView[]
  fromHost: FromHost
  /** Of the container's user namespace, if it has one. */
  maps: IdMaps | undefined
}

/**
 * The mounts of config.json in their order. Targets are resolved inside the root by openat2, made where they are
 * missing, and mounted on by descriptor, so that no link of the image is ever followed out of it (CVE-2026-41579).
 */
export function recordMounts(tape: SyscallTape, plan: MountPlan): void {
  const { root } = plan
  for (const mount of plan.mounts) {
    const options = mountOptions(mount)
    tape.because(`mount ${mount.type ?? (options.bind ? 'bind' : 'none')} on ${mount.destination}`)
    if (options.bind) bindMount(tape, plan, mount, options)
    else if (mount.type === 'cgroup' || mount.type === 'cgroup2') mountCgroups(tape, plan, mount)
    else {
      checkData(mount, options, plan.maps)
      mountFilesystem(tape, root, mount, options)
    }
  }
}

/** A devpts is the container's own, so its group must be too: the kernel says only EINVAL. */
function checkData({ type, destination }: OciMount, { data }: MountOptions, maps: IdMaps | undefined): void {
  const gid = type === 'devpts' ? data.find((option) => option.startsWith('gid='))?.slice(4) : undefined
  if (gid === undefined || !maps?.gid || hostIdOf(maps.gid, Number(gid)) !== undefined) return
  throw specInvalid(`mounts ${destination}`, `gid=${gid} is in no range of linux.gidMappings`)
}

function bindMount(tape: SyscallTape, { root, fromHost }: MountPlan, mount: OciMount, options: MountOptions): void {
  const source = mount.source
  if (!source) throw specInvalid(`mounts ${mount.destination}`, 'a bind mount without a source')
  const isFolder = statSync(source, { throwIfNoEntry: false })?.isDirectory()
  if (isFolder === undefined) throw specInvalid(`mounts ${mount.destination}`, `source ${source} does not exist`)
  const copy = fromHost((host) => {
    const tree = openTree(host, here, source, options.recursiveBind ? AT_RECURSIVE : 0)
    change(host, tree, options)
    return tree
  })
  moveMount(tape, copy, targetOf(tape, root, mount.destination, isFolder))
}

function mountFilesystem(tape: SyscallTape, root: Arg, mount: OciMount, options: MountOptions): void {
  const { type = 'none', source = '', destination } = mount
  if (options.recursive.set | options.recursive.clear) {
    options.attributes.set |= options.recursive.set
    options.recursive = { set: 0, clear: 0 }
  }
  const { attributes } = options
  const target = targetOf(tape, root, destination, true)
  const made = newMount(tape, { type, source, data: options.data, attributes: attributes.set })
  if (options.propagation) mountSetattr(tape, made, { set: 0, clear: 0, propagation: options.propagation })
  moveMount(tape, made, target)
}

/** Each hierarchy by a bind of the container's own group: the same view with and without a cgroup namespace. */
function mountCgroups(tape: SyscallTape, { root, cgroups, fromHost }: MountPlan, mount: OciMount): void {
  const { attributes } = mountOptions(mount)
  const target = targetOf(tape, root, mount.destination, true)
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
    bind(unified.folder, target)
    return
  }
  const { MOUNT_ATTR_NOSUID, MOUNT_ATTR_NODEV, MOUNT_ATTR_NOEXEC, MOUNT_ATTR_RDONLY } = mountAttributes
  const safe = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC
  const top = newMount(tape, { type: 'tmpfs', source: 'cgroup', data: ['mode=755', 'size=64k'], attributes: safe })
  moveMount(tape, top, target)
  for (const { name, folder } of cgroups) {
    bind(folder, makeFolderInRoot(tape, root, `${mount.destination}/${name}`))
  }
  if (attributes.set & MOUNT_ATTR_RDONLY) mountSetattr(tape, top, { set: MOUNT_ATTR_RDONLY, clear: 0 })
}

function targetOf(tape: SyscallTape, root: Arg, destination: string, isFolder: boolean): Arg {
  return isFolder ? makeFolderInRoot(tape, root, destination) : makeFileInRoot(tape, root, destination)
}

function change(tape: SyscallTape, mount: Arg, options: MountOptions): void {
  const { attributes, recursive, propagation, recursivePropagation } = options
  if (attributes.set | attributes.clear) mountSetattr(tape, mount, attributes)
  if (recursive.set | recursive.clear) mountSetattr(tape, mount, recursive, { recursive: true })
  if (propagation) {
    mountSetattr(tape, mount, { set: 0, clear: 0, propagation }, { recursive: recursivePropagation })
  }
}
