import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_RECURSIVE,
  AT_SYMLINK_NOFOLLOW,
  cloneFlags,
  FSCONFIG_CMD_CREATE,
  FSCONFIG_CMD_RECONFIGURE,
  FSCONFIG_SET_FD,
  FSCONFIG_SET_FLAG,
  FSCONFIG_SET_STRING,
  FSMOUNT_CLOEXEC,
  FSOPEN_CLOEXEC,
  FSPICK_CLOEXEC,
  FSPICK_EMPTY_PATH,
  flagNames,
  MOVE_MOUNT_F_EMPTY_PATH,
  MOVE_MOUNT_T_EMPTY_PATH,
  mountAttributes,
  mountFlags,
  OPEN_TREE_CLONE,
  openFlags,
  resolveFlags,
} from '../linux/constants.ts'
import { EEXIST, EINVAL } from '../linux/errno-numbers.ts'
import type { Arg, CallOptions, Result, Shown, SyscallTape } from './syscall-tape.ts'

/** System calls in the words of their man pages. Each records one entry, or a few that belong together. */

const { O_PATH, O_CLOEXEC, O_NOFOLLOW, O_DIRECTORY, O_WRONLY } = openFlags
export const here: Shown = { value: AT_FDCWD, shown: 'AT_FDCWD' }
const cloexecNames = { OPEN_TREE_CLONE, OPEN_TREE_CLOEXEC: O_CLOEXEC, AT_EMPTY_PATH, AT_RECURSIVE, AT_SYMLINK_NOFOLLOW }

/** A number with the names of its flags. */
export function flags(value: number, table: Readonly<Record<string, number>>): Shown {
  return { value, shown: () => flagNames(value, table) }
}

const octal = (mode: number): Shown => ({ value: mode, shown: () => `0${mode.toString(8)}` })

/** openat(2) by an ordinary path, close-on-exec. */
export function open(tape: SyscallTape, path: string, openWith: number, options: CallOptions = {}): Result {
  return tape.call('openat', [here, path, flags(openWith | O_CLOEXEC, openFlags), 0], options)
}

/** Writes a whole small file: open, write, close. The tolerated errors are those of all three. */
export function writeFile(tape: SyscallTape, path: string, text: string, options: CallOptions = {}): void {
  const fd = open(tape, path, O_WRONLY, options)
  tape.call('write', [fd, text, Buffer.byteLength(text)], options)
  tape.call('close', [fd])
}

/**
 * openat2(2) with RESOLVE_IN_ROOT: `path` as the container will see it, so that a symbolic link of the image, even an
 * absolute one, cannot lead out of `root`. An O_PATH descriptor.
 */
export function openInRoot(tape: SyscallTape, root: Arg, path: string, options: CallOptions = {}, more = 0): Result {
  const openWith = O_PATH | O_CLOEXEC | more
  const how = Buffer.alloc(24)
  how.writeBigUInt64LE(BigInt(openWith))
  how.writeBigUInt64LE(BigInt(resolveFlags.RESOLVE_IN_ROOT | resolveFlags.RESOLVE_NO_MAGICLINKS), 16)
  const shown = () => `{${flagNames(openWith, openFlags)}, RESOLVE_IN_ROOT|RESOLVE_NO_MAGICLINKS}`
  return tape.call('openat2', [root, path || '.', tape.struct(how, shown), 24], options)
}

/**
 * The folder `path` inside `root`, made with all its parents where it is missing (mode 0755, owned by root). Every
 * component is resolved in the root again: mkdirat would follow links of the image in the middle of a path. `last` are
 * more flags for opening the last one, such as O_NOFOLLOW.
 */
export function makeFolderInRoot(tape: SyscallTape, root: Arg, path: string, last = 0): Result | Arg {
  const parts = path.split('/').filter((part) => part !== '' && part !== '.')
  let folder: Arg = root
  parts.forEach((name, at) => {
    tape.call('mkdirat', [folder, name, octal(0o755)], { tolerate: [EEXIST] })
    const more = at === parts.length - 1 ? last : 0
    folder = openInRoot(tape, root, parts.slice(0, at + 1).join('/'), {}, O_DIRECTORY | more)
  })
  return folder
}

/** The file `path` inside `root`, made empty where it is missing: what a file is bind-mounted on. */
export function makeFileInRoot(tape: SyscallTape, root: Arg, path: string, last = 0): Result {
  const slash = path.lastIndexOf('/')
  const parent = makeFolderInRoot(tape, root, path.slice(0, Math.max(slash, 0)))
  const openWith = openFlags.O_CREAT | openFlags.O_EXCL | O_NOFOLLOW | O_CLOEXEC
  tape.call('openat', [parent, path.slice(slash + 1), flags(openWith, openFlags), octal(0o644)], { tolerate: [EEXIST] })
  return openInRoot(tape, root, path, {}, last)
}

/** A detached copy of the mount at `path`, or of what `from` refers to when `path` is empty (open_tree(2)). */
export function openTree(tape: SyscallTape, from: Arg, path: string, more: number, options: CallOptions = {}): Result {
  const value = OPEN_TREE_CLONE | O_CLOEXEC | more | (path === '' ? AT_EMPTY_PATH : 0)
  return tape.call('open_tree', [from, path, flags(value, cloexecNames)], options)
}

/** Attaches a detached mount at a descriptor (move_mount(2)). */
export function moveMount(tape: SyscallTape, mount: Arg, target: Arg, options: CallOptions = {}): void {
  const value = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH
  tape.call(
    'move_mount',
    [mount, '', target, '', flags(value, { MOVE_MOUNT_F_EMPTY_PATH, MOVE_MOUNT_T_EMPTY_PATH })],
    options,
  )
}

export interface MountAttributes {
  set: number
  clear: number
  /** MS_SHARED, MS_SLAVE, MS_PRIVATE or MS_UNBINDABLE. */
  propagation?: number
  /** For MOUNT_ATTR_IDMAP: the number of a descriptor of the user namespace that maps. */
  userNamespace?: number
}

/** mount_setattr(2) on a descriptor. */
export function mountSetattr(
  tape: SyscallTape,
  mount: Arg,
  attributes: MountAttributes,
  how: CallOptions & { recursive?: boolean } = {},
): void {
  const { recursive = false, ...options } = how
  const { set, clear, propagation = 0, userNamespace = 0 } = attributes
  const bytes = Buffer.alloc(32)
  for (const [at, value] of [set, clear, propagation, userNamespace].entries())
    bytes.writeBigUInt64LE(BigInt(value), at * 8)
  const words = () => [
    ...(set ? [`set ${flagNames(set, mountAttributes)}`] : []),
    ...(clear ? [`clear ${flagNames(clear, mountAttributes)}`] : []),
    ...(propagation ? [flagNames(propagation, mountFlags)] : []),
    ...(userNamespace ? [`as user namespace ${userNamespace} maps`] : []),
  ]
  const value = AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0)
  const shown = tape.struct(bytes, () => `{${words().join(', ')}}`)
  tape.call('mount_setattr', [mount, '', flags(value, { AT_EMPTY_PATH, AT_RECURSIVE }), shown, 32], options)
}

export interface NewFilesystem {
  type: string
  source: string
  /** `key` or `key=value`, for the filesystem itself. */
  data: readonly string[]
  /** MOUNT_ATTR_* for the mount. */
  attributes: number
}

/** A new, detached mount of a filesystem (fsopen(2), fsconfig(2), fsmount(2)). */
export function newMount(tape: SyscallTape, { type, source, data, attributes }: NewFilesystem): Result {
  const context = openFilesystem(tape, type)
  configure(tape, context, [`source=${source || type}`, ...data])
  return mountFilesystem(tape, context, attributes)
}

/** fsopen(2): a filesystem that is being configured. */
export function openFilesystem(tape: SyscallTape, type: string): Result {
  return tape.call('fsopen', [type, flags(FSOPEN_CLOEXEC, { FSOPEN_CLOEXEC })])
}

/** Longer strings fsconfig(2) does not take. */
export const longestValue = 255

/** fsconfig(2): `key` or `key=value`, one call for each. */
export function configure(tape: SyscallTape, context: Arg, data: readonly string[]): void {
  for (const option of data) {
    const [key = '', ...rest] = option.split('=')
    if (rest.length === 0) tape.call('fsconfig', [context, commands.flag, key, null, 0], toleranceOf(key))
    else tape.call('fsconfig', [context, commands.string, key, rest.join('='), 0])
  }
}

/**
 * Flags of mount(2) that fsconfig(2) does not have for all filesystems: who has an option of that name takes it, and with the
 * others the flag has never changed anything.
 */
export const halfKnownFlags: readonly string[] = ['acl', 'noacl', 'iversion']

function toleranceOf(key: string): { tolerate?: readonly number[] } {
  return halfKnownFlags.includes(key) ? { tolerate: [EINVAL] } : {}
}

/** fsconfig(2) with a descriptor as value. */
export function configureByDescriptor(tape: SyscallTape, context: Arg, key: string, value: Arg): void {
  tape.call('fsconfig', [context, commands.descriptor, key, null, value])
}

const commands = {
  flag: { value: FSCONFIG_SET_FLAG, shown: 'FSCONFIG_SET_FLAG' },
  string: { value: FSCONFIG_SET_STRING, shown: 'FSCONFIG_SET_STRING' },
  descriptor: { value: FSCONFIG_SET_FD, shown: 'FSCONFIG_SET_FD' },
  create: { value: FSCONFIG_CMD_CREATE, shown: 'FSCONFIG_CMD_CREATE' },
  reconfigure: { value: FSCONFIG_CMD_RECONFIGURE, shown: 'FSCONFIG_CMD_RECONFIGURE' },
} as const

/** fspick(2): other options for the filesystem of the mount at `mount`. */
export function remount(tape: SyscallTape, mount: Arg, data: readonly string[]): void {
  const how = flags(FSPICK_CLOEXEC | FSPICK_EMPTY_PATH, { FSPICK_CLOEXEC, FSPICK_EMPTY_PATH })
  const context = tape.call('fspick', [mount, '', how])
  configure(tape, context, data)
  tape.call('fsconfig', [context, commands.reconfigure, null, null, 0])
}

/** Makes the configured filesystem and a detached mount of it (fsmount(2)). */
export function mountFilesystem(tape: SyscallTape, context: Arg, attributes: number): Result {
  tape.call('fsconfig', [context, commands.create, null, null, 0])
  return tape.call('fsmount', [
    context,
    flags(FSMOUNT_CLOEXEC, { FSMOUNT_CLOEXEC }),
    flags(attributes, mountAttributes),
  ])
}

/**
 * clone3(2): from here on the new process goes on; the old half reports its pid and leaves. CLONE_PARENT makes it a
 * child of whoever started the player, who can wait for it.
 */
export function clone(tape: SyscallTape, namespaces: number, intoCgroup?: Result): Result {
  const value = namespaces | cloneFlags.CLONE_PARENT
  const all = BigInt(value >>> 0) | (intoCgroup ? BigInt(cloneFlags.CLONE_INTO_CGROUP) : 0n)
  const bytes = Buffer.alloc(88)
  bytes.writeBigUInt64LE(all)
  const names = flagNames(Number(all), cloneFlags)
  const args = tape.struct(bytes, intoCgroup ? `{${names}, #${intoCgroup.entry + 1}}` : `{${names}}`)
  if (intoCgroup) {
    // The descriptor is a field of the struct, so its number is put there by a call that returns it.
    tape.call('fcntl', [intoCgroup, { value: 1030, shown: 'F_DUPFD_CLOEXEC' }, 0], {
      storeAt: { at: args.at + 80, shown: 'clone_args.cgroup' },
    })
  }
  return tape.call('clone3', [args, 88], { policy: 'parent-leaves' })
}
