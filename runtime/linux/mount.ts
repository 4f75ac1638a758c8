/** Mounts in this process's own mount namespace. Inside containers it is the tape that mounts. */
import { readFileSync } from 'node:fs'
import { errnoOf } from '../base/errors.ts'
import { bind } from './ffi.ts'

const mountCall = bind(
  'int mount(const char* source, const char* target, const char* type, unsigned long flags, const char* data)',
)
const umount2 = bind('int umount2(const char* target, int flags)')

const statx = bind('int statx(int dirfd, const char* path, int flags, unsigned int mask, void* facts)')

const AT_FDCWD = -100
const AT_SYMLINK_NOFOLLOW = 0x100
const STATX_ATTR_MOUNT_ROOT = 0x2000n
/** struct statx: its size, and where `stx_attributes` lies. */
const statxBytes = 256
const attributesAt = 8
const STATX_MNT_ID = 0x1000
const mountIdAt = 144

const flagBits = { ro: 1, nosuid: 2, nodev: 4, noexec: 8, bind: 4096, rec: 16_384, private: 1 << 18 } as const
const MNT_DETACH = 2
const UMOUNT_NOFOLLOW = 8

export type MountFlag = keyof typeof flagBits

export interface MountRequest {
  source: string
  target: string
  /** Empty for a bind mount. */
  type: string
  flags: readonly MountFlag[]
  /** Options of the filesystem itself, e.g. `size=64m`. */
  data?: string
}

/** mount(2). Throws `KERNEL`. */
export function mount({ source, target, type, flags, data }: MountRequest): void {
  const bits = flags.reduce((sum, flag) => sum | flagBits[flag], 0)
  mountCall(source, target, type === '' ? null : type, bits, data ?? null)
}

/** umount2(2), never through a symlink; `detach` also takes a mount away that is in use. Throws `KERNEL`. */
export function unmount(target: string, options: { detach: boolean }): void {
  umount2(target, UMOUNT_NOFOLLOW | (options.detach ? MNT_DETACH : 0))
}

/** The mount in which a path lies (statx(2), STATX_MNT_ID): of a mount point, the topmost there. Throws `KERNEL`. */
export function mountIdOf(path: string): bigint {
  const facts = Buffer.alloc(statxBytes)
  statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_MNT_ID, facts)
  return facts.readBigUInt64LE(mountIdAt)
}

/**
 * True if something is mounted exactly here; false when the path does not exist. Asks statx(2) and not mountinfo, which
 * takes the longer the more is mounted. Throws `KERNEL`.
 */
export function isMountPoint(path: string): boolean {
  const facts = Buffer.alloc(statxBytes)
  try {
    statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, 0, facts)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false
    throw error
  }
  return (facts.readBigUInt64LE(attributesAt) & STATX_ATTR_MOUNT_ROOT) !== 0n
}

/** For cleaning up: everything that is mounted below `directory` (or on it), in the order in which it was mounted. */
export function mountsBelow(directory: string): string[] {
  return mountPoints().filter((point) => point === directory || point.startsWith(`${directory}/`))
}

/** proc_pid_mountinfo(5): the fifth field, with space, tab, newline and backslash written in octal. */
function mountPoints(): string[] {
  const lines = readFileSync('/proc/self/mountinfo', 'utf8').split('\n')
  return lines.flatMap((line) => {
    const point = line.split(' ')[4]
    return point === undefined
      ? []
      : [point.replace(/\\(\d{3})/g, (_all, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)))]
  })
}
