import { AT_RECURSIVE, cloneFlags, MNT_DETACH, mountAttributes, mountFlags, openFlags } from '../linux/constants.ts'
import { EINVAL, ENOENT, ENOTDIR } from '../linux/errno-numbers.ts'
import type { HostFacts } from '../linux/host.ts'
import { parentMount, wholeMounts } from '../linux/mount-table.ts'
import { specInvalid } from '../spec/errors.ts'
import { hostIdOf } from '../spec/id-mappings.ts'
import type { OciSpec } from '../spec/types.ts'
import {
  configure,
  configureByDescriptor,
  flags,
  here,
  longestValue,
  mountFilesystem,
  mountSetattr,
  moveMount,
  open,
  openFilesystem,
  openInRoot,
  openTree,
} from '../tape/calls.ts'
import type { Arg, Result, SyscallTape } from '../tape/syscall-tape.ts'
import type { FromHost, IdMaps, UserNamespaces } from './user-namespace.ts'

/** The layers of a root that is mounted inside the container's own mount namespace; lowest layer last, as overlayfs has it. */
export interface Overlay {
  lower: readonly string[]
  upper: string
  work: string
}

export interface RootPlan {
  /** Absolute: the root itself, or, with an overlay, the folder where it is mounted. */
  path: string
  overlay?: Overlay
  propagation?: string
}

/** How the root's files are come by, and, inside a user namespace, the descriptor of the folder on which they are mounted. */
export interface RootFrom {
  fromHost: FromHost
  at: Arg | undefined
  maps: IdMaps | undefined
  spaces: UserNamespaces
}

const propagations: Readonly<Record<string, number>> = {
  shared: mountFlags.MS_SHARED,
  rshared: mountFlags.MS_SHARED | mountFlags.MS_REC,
  slave: mountFlags.MS_SLAVE,
  rslave: mountFlags.MS_SLAVE | mountFlags.MS_REC,
  private: mountFlags.MS_PRIVATE,
  rprivate: mountFlags.MS_PRIVATE | mountFlags.MS_REC,
  unbindable: mountFlags.MS_UNBINDABLE,
  runbindable: mountFlags.MS_UNBINDABLE | mountFlags.MS_REC,
}

/**
 * Cuts the new mount namespace off from the host and makes the root a mount of its own, as pivot_root wants it.
 * Returns a descriptor of that mount, on which everything else works.
 */
export function recordRoot(tape: SyscallTape, { path, overlay, propagation }: RootPlan, from: RootFrom): Result {
  const { fromHost, at } = from
  const mode = propagationOf(propagation)
  const shared = (mode & mountFlags.MS_SHARED) !== 0
  if (shared) {
    tape.because('mounts may pass to the host where a volume asks for it, but none of our own: their parent is private')
    tape.call('mount', [null, '/', null, flags(mode, mountFlags), null])
    tape.call('mount', [null, parentMount(path), null, flags(mountFlags.MS_PRIVATE, mountFlags), null])
  } else {
    tape.because('no mount of the container may reach the host; the host may still unmount its own')
    // Even for a `slave` that is not recursive nothing below may stay shared: it would carry our mounts to the host.
    tape.call('mount', [null, '/', null, flags(mountFlags.MS_SLAVE | mountFlags.MS_REC, mountFlags), null])
    if (mode & mountFlags.MS_PRIVATE) tape.call('mount', [null, '/', null, flags(mode, mountFlags), null])
    if (mode & mountFlags.MS_UNBINDABLE) {
      // Unbindable itself only at the end: until then its mounts are cloned.
      tape.call('mount', [null, '/', null, flags(mountFlags.MS_PRIVATE | mountFlags.MS_REC, mountFlags), null])
    }
  }
  tape.because('the root becomes a mount of its own: pivot_root demands it')
  const data = overlay && at === undefined ? overlayData(overlay) : undefined
  if (data !== undefined) {
    tape.call('mount', ['overlay', path, 'overlay', 0, data])
    return open(tape, path, openFlags.O_PATH | openFlags.O_DIRECTORY)
  }
  const copy = fromHost((host) =>
    overlay ? detachedOverlay(host, overlay, from) : openTree(host, here, path, AT_RECURSIVE),
  )
  if (shared) mountSetattr(tape, copy, { set: 0, clear: 0, propagation: mountFlags.MS_PRIVATE }, { recursive: true })
  moveMount(tape, copy, at ?? open(tape, path, openFlags.O_PATH | openFlags.O_DIRECTORY))
  return copy
}

/**
 * A copy of the host's mounts from which to clone: what is cloned from a shared mount of the host itself is its peer, and
 * would carry every mount of the container back to the host. Unless that is wanted.
 */
export function cloneFromSlaves(tape: SyscallTape, propagation?: string): void {
  if (isPeerOfHost(propagation)) return
  tape.because('what is cloned from the host must not carry mounts of the container back to it')
  tape.call('unshare', [flags(cloneFlags.CLONE_NEWNS, cloneFlags)])
  tape.call('mount', [null, '/', null, flags(mountFlags.MS_SLAVE | mountFlags.MS_REC, mountFlags), null])
}

/** True if the container's mounts shall be seen by the host: then all that is mounted on the way is. */
export function isPeerOfHost(propagation: string | undefined): boolean {
  return (propagationOf(propagation) & mountFlags.MS_SHARED) !== 0
}

function propagationOf(propagation: string | undefined): number {
  const mode = propagations[propagation || 'rslave']
  if (mode === undefined) throw specInvalid('linux.rootfsPropagation', `${propagation} is not a propagation`)
  return mode
}

/**
 * An overlay of any number of layers (`lowerdir+`, Linux 6.5). In a user namespace the layers, which belong to the ids of the
 * image, are id-mapped into it (Linux 6.13); what the container writes belongs to it anyway.
 */
function detachedOverlay(
  tape: SyscallTape,
  { lower, upper, work }: Overlay,
  { maps, spaces }: Pick<RootFrom, 'maps' | 'spaces'>,
): Result {
  const context = openFilesystem(tape, 'overlay')
  configure(tape, context, ['source=overlay'])
  const folder = (path: string) => open(tape, path, openFlags.O_PATH | openFlags.O_DIRECTORY)
  const set = (key: string, path: string) => {
    // In a string, a backslash would take the next character's meaning away.
    const asText = Buffer.byteLength(path) <= longestValue && !path.includes('\\')
    if (asText) configure(tape, context, [`${key}=${path}`])
    else configureByDescriptor(tape, context, key, folder(path))
  }
  const userNamespace = maps?.uid && maps.gid ? spaces.descriptorOf(maps.uid, maps.gid) : undefined
  for (const layer of lower) {
    if (userNamespace === undefined) set('lowerdir+', layer)
    else {
      const tree = openTree(tape, here, layer, 0)
      mountSetattr(tape, tree, { set: mountAttributes.MOUNT_ATTR_IDMAP, clear: 0, userNamespace })
      configureByDescriptor(tape, context, 'lowerdir+', tree)
    }
  }
  const owner = (mappings: IdMaps['uid']) => hostIdOf(mappings ?? [], 0) ?? 0
  if (userNamespace !== undefined) tape.call('fchownat', [here, upper, owner(maps?.uid), owner(maps?.gid), 0])
  set('upperdir', upper)
  set('workdir', work)
  return mountFilesystem(tape, context, 0)
}

const quoted = (path: string) => path.replaceAll('\\', '\\\\').replaceAll(',', '\\,').replaceAll(':', '\\:')

/** Options of overlayfs for mount(2), which takes fewer calls; undefined when they are longer than the page that it copies. */
function overlayData({ lower, upper, work }: Overlay): string | undefined {
  const data = `lowerdir=${lower.map(quoted).join(':')},upperdir=${quoted(upper)},workdir=${quoted(work)}`
  return Buffer.byteLength(data) > 4095 ? undefined : data
}

/**
 * pivot_root(2) into `root`. The old root lies on top of the new one for a moment; it is made a slave, so that its
 * going does not unmount anything on the host, and detached (the man page's `pivot_root(".", ".")`).
 */
export function enterRoot(tape: SyscallTape, root: Arg, propagation?: string, noPivot = false): void {
  tape.because('enter the root and leave the old one behind')
  if (noPivot) moveRoot(tape, root)
  else pivotRoot(tape, root)
  const mode = propagationOf(propagation)
  if (mode & (mountFlags.MS_SHARED | mountFlags.MS_UNBINDABLE))
    tape.call('mount', [null, '/', null, flags(mode & ~mountFlags.MS_REC, mountFlags), null])
}

/** The way of a ramdisk, whose root cannot be pivoted: it stays mounted below, out of reach without CAP_SYS_CHROOT. */
function moveRoot(tape: SyscallTape, root: Arg): void {
  tape.because(
    'the host’s whole /proc and /sys go first: while one is there, the kernel lets a user namespace mount it bare',
  )
  for (const point of wholeMounts(['proc', 'sysfs'])) {
    tape.call('umount2', [point, { value: MNT_DETACH, shown: 'MNT_DETACH' }], { tolerate: [EINVAL, ENOENT] })
    // In a user namespace the host's mounts are locked: what is covered does not count either.
    tape.call('mount', ['tmpfs', point, 'tmpfs', 0, null], { tolerate: [ENOENT] })
  }
  tape.call('fchdir', [root])
  tape.call('mount', ['.', '/', null, flags(mountFlags.MS_MOVE, mountFlags), null])
  tape.call('chroot', ['.'])
  tape.call('chdir', ['/'])
}

function pivotRoot(tape: SyscallTape, root: Arg): void {
  const old = open(tape, '/', openFlags.O_PATH | openFlags.O_DIRECTORY)
  tape.call('fchdir', [root])
  tape.call('pivot_root', ['.', '.'])
  tape.call('fchdir', [old])
  tape.call('mount', [null, '.', null, flags(mountFlags.MS_SLAVE | mountFlags.MS_REC, mountFlags), null])
  tape.call('umount2', ['.', { value: MNT_DETACH, shown: 'MNT_DETACH' }])
  tape.call('chdir', ['/'])
}

/** Read-only for the whole mount of the root, once nothing has to be made in it any more. */
export function makeRootReadonly(tape: SyscallTape, root: Arg): void {
  tape.because('root.readonly')
  mountSetattr(tape, root, { set: mountAttributes.MOUNT_ATTR_RDONLY, clear: 0 })
}

export interface HidePlan {
  spec: OciSpec
  emptyFolder: string
  host: Pick<HostFacts, 'kindOf'>
  fromHost: FromHost
}

/**
 * Masked and read-only paths. What hides a file is the host's own /dev/null, opened before the root is entered: the
 * image cannot have put anything in its place (CVE-2025-31133). What hides a folder is `emptyFolder`, read-only.
 */
export function hidePaths(tape: SyscallTape, root: Arg, { spec, emptyFolder, host, fromHost }: HidePlan): void {
  const { MOUNT_ATTR_RDONLY, MOUNT_ATTR_NOSUID, MOUNT_ATTR_NODEV, MOUNT_ATTR_NOEXEC } = mountAttributes
  const sealed = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC
  for (const path of new Set(spec.linux?.readonlyPaths)) {
    tape.because(`read-only: ${path}`)
    const target = openInRoot(tape, root, path, { tolerate: [ENOENT] })
    const copy = openTree(tape, target, '', AT_RECURSIVE)
    mountSetattr(tape, copy, { set: MOUNT_ATTR_RDONLY, clear: 0 }, { recursive: true })
    moveMount(tape, copy, target)
  }
  for (const path of new Set(spec.linux?.maskedPaths)) {
    tape.because(`masked: ${path}`)
    // What is in /proc and /sys is the kernel's, and the same here as in the container; an image may hold anything.
    const kind = /^\/(proc|sys)\//.test(path) ? host.kindOf(path) : 'unknown'
    if (kind === 'missing') continue
    if (kind !== 'file') {
      // Even what the host has: a container need not have mounted /sys.
      const folder = openInRoot(tape, root, path, { tolerate: [ENOENT, ENOTDIR] }, openFlags.O_DIRECTORY)
      const empty = fromHost((outside) => {
        const copy = openTree(outside, here, emptyFolder, 0)
        mountSetattr(outside, copy, { set: sealed, clear: 0 })
        return copy
      })
      moveMount(tape, empty, folder)
    }
    if (kind !== 'folder') {
      const file = openInRoot(tape, root, path, { tolerate: [ENOENT] })
      const nothing = fromHost((outside) => openTree(outside, here, '/dev/null', 0))
      // A folder is hidden by now, and to mount a file on it is EINVAL.
      moveMount(tape, nothing, file, kind === 'file' ? {} : { tolerate: [EINVAL] })
    }
  }
}
