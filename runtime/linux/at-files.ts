import { constants } from 'node:fs'
import { bind } from './ffi.ts'

/**
 * Files by an open folder and a name, as bytes: names in Linux are not text. A name given here is one component or, for
 * `openBelow`, a path that cannot leave its root. See openat2(2), path_resolution(7).
 */
const openat2Call = bind(
  'long syscall(long number, int folder, const void *path, const void *how, size_t size)',
  'openat2',
)
const mkdiratCall = bind('int mkdirat(int folder, const void *name, uint32_t mode)')
const symlinkatCall = bind('int symlinkat(const void *target, int folder, const void *name)')
const linkatCall = bind('int linkat(int oldFolder, const void *oldName, int folder, const void *name, int flags)')
const mknodatCall = bind('int mknodat(int folder, const void *name, uint32_t mode, uint64_t device)')
const unlinkatCall = bind('int unlinkat(int folder, const void *name, int flags)')
const fchownatCall = bind('int fchownat(int folder, const void *name, uint32_t uid, uint32_t gid, int flags)')
const utimensatCall = bind('int utimensat(int folder, const void *name, const void *times, int flags)')
const futimensCall = bind('int futimens(int fd, const void *times)')
const fsetxattrCall = bind('int fsetxattr(int fd, const char *name, const void *value, size_t size, int flags)')
const lsetxattrCall = bind(
  'int lsetxattr(const void *path, const char *name, const void *value, size_t size, int flags)',
)
const readlinkatCall = bind('int64_t readlinkat(int fd, const void *name, void *target, size_t size)')
const llistxattrCall = bind('int64_t llistxattr(const void *path, void *list, size_t size)')
const lgetxattrCall = bind('int64_t lgetxattr(const void *path, const char *name, void *value, size_t size)')
const syncfsCall = bind('int syncfs(int fd)')

const SYS_openat2 = 437
const RESOLVE_NO_MAGICLINKS = 0x02
const RESOLVE_NO_SYMLINKS = 0x04
const RESOLVE_IN_ROOT = 0x10
const AT_SYMLINK_NOFOLLOW = 0x100
const AT_REMOVEDIR = 0x200

export const O_PATH = 0o10000000
export const O_CLOEXEC = 0o2000000
export const { O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_RDONLY, O_WRONLY } = constants

/** XATTR_LIST_MAX and XATTR_SIZE_MAX, linux/limits.h. */
const xattrListMaximum = 65_536
const xattrValueMaximum = 65_536

const zero = Buffer.alloc(1)
const terminated = (name: Uint8Array) => Buffer.concat([name, zero])

/** `struct open_how`; the calls are synchronous, so one does for all. */
const how = Buffer.alloc(24)

/**
 * Opens `path` with `root` as the root of everything: symbolic links, absolute ones too, and `..` stay inside.
 * `symlinks: 'refuse'` follows none at all (ELOOP). Throws `KERNEL`.
 */
export function openBelow(
  root: number,
  path: Uint8Array,
  o: { flags: number; mode?: number; symlinks?: 'follow' | 'refuse' },
): number {
  const refuse = o.symlinks === 'refuse' ? RESOLVE_NO_SYMLINKS : 0
  how.writeBigUInt64LE(BigInt(o.flags | O_CLOEXEC), 0)
  how.writeBigUInt64LE(BigInt(o.mode ?? 0), 8)
  how.writeBigUInt64LE(BigInt(RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | refuse), 16)
  return openat2Call(SYS_openat2, root, terminated(path), how, how.length)
}

export function mkdirAt(folder: number, name: Uint8Array, mode: number): void {
  mkdiratCall(folder, terminated(name), mode)
}

export function symlinkAt(target: Uint8Array, folder: number, name: Uint8Array): void {
  symlinkatCall(terminated(target), folder, terminated(name))
}

/** A hard link; a symbolic link at the old name is linked itself, not followed. */
export function linkAt(from: { folder: number; name: Uint8Array }, to: { folder: number; name: Uint8Array }): void {
  linkatCall(from.folder, terminated(from.name), to.folder, terminated(to.name), 0)
}

/** A device, fifo or socket; `mode` holds the type too (S_IFCHR …). The process's umask applies. */
export function mknodAt(folder: number, name: Uint8Array, o: { mode: number; major: number; minor: number }): void {
  mknodatCall(folder, terminated(name), o.mode, deviceNumber(o.major, o.minor))
}

/** The kernel's number of a device. See makedev(3). */
export function deviceNumber(major: number, minor: number): bigint {
  const [high, low] = [BigInt(major), BigInt(minor)]
  return ((high & 0xfffff000n) << 32n) | ((high & 0xfffn) << 8n) | ((low & 0xffffff00n) << 12n) | (low & 0xffn)
}

/** Removes a file, or with `kind: 'directory'` an empty folder. */
export function unlinkAt(folder: number, name: Uint8Array, kind: 'file' | 'directory' = 'file'): void {
  unlinkatCall(folder, terminated(name), kind === 'directory' ? AT_REMOVEDIR : 0)
}

/** Owner of the thing itself, also when it is a symbolic link. */
export function chownAt(folder: number, name: Uint8Array, o: { uid: number; gid: number }): void {
  fchownatCall(folder, terminated(name), o.uid, o.gid, AT_SYMLINK_NOFOLLOW)
}

/** Time of last access and change of the thing itself, in nanoseconds since the epoch. */
export function utimesAt(folder: number, name: Uint8Array, nanoseconds: bigint): void {
  utimensatCall(folder, terminated(name), timespecs(nanoseconds), AT_SYMLINK_NOFOLLOW)
}

export function futimes(fd: number, nanoseconds: bigint): void {
  futimensCall(fd, timespecs(nanoseconds))
}

/** Two `struct timespec`; the calls are synchronous, so one pair does for all. */
const times = new BigInt64Array(4)
const timesBytes = Buffer.from(times.buffer)
const billion = 1_000_000_000n

function timespecs(nanoseconds: bigint): Buffer {
  const fraction = ((nanoseconds % billion) + billion) % billion
  times[0] = times[2] = (nanoseconds - fraction) / billion
  times[1] = times[3] = fraction
  return timesBytes
}

/** An extended attribute of an open file that is no O_PATH descriptor. See xattr(7). */
export function fsetxattr(fd: number, name: string, value: Uint8Array): void {
  fsetxattrCall(fd, name, value, value.length, 0)
}

/** An extended attribute of the thing itself, also when it is a symbolic link or a device. */
export function setxattrAt(folder: number, name: Uint8Array, attribute: { name: string; value: Uint8Array }): void {
  const path = Buffer.concat([Buffer.from(`/proc/self/fd/${folder}/`), name, zero])
  lsetxattrCall(path, attribute.name, attribute.value, attribute.value.length, 0)
}

/** The target of a symbolic link that is open with O_PATH and O_NOFOLLOW. See readlink(2). */
export function readOpenLink(fd: number): Buffer {
  // PATH_MAX: longer ones cannot be made.
  const target = Buffer.alloc(4096)
  return Buffer.from(target.subarray(0, readlinkatCall(fd, zero, target, target.length)))
}

/** The extended attributes of the thing itself, by name; none on a filesystem that knows none. See listxattr(2). */
export function xattrsAt(folder: number, name: Uint8Array): Map<string, Buffer> {
  const path = Buffer.concat([Buffer.from(`/proc/self/fd/${folder}/`), name, zero])
  const found = new Map<string, Buffer>()
  const needed = llistxattrCall.probe(path, null, 0)
  // Most files have none, and other answers than a length mean that there can be none.
  if (needed <= 0) return found
  const list = Buffer.alloc(xattrListMaximum)
  const names = list.toString('utf8', 0, llistxattrCall(path, list, list.length)).split('\0')
  for (const key of names.filter((each) => each !== '')) {
    const value = Buffer.alloc(xattrValueMaximum)
    const length = lgetxattrCall.probe(path, key, value, value.length)
    if (length >= 0) found.set(key, Buffer.from(value.subarray(0, length)))
  }
  return found
}

/** Writes everything that is cached for the filesystem of `fd` to its disk, on a thread of the pool. */
export async function syncFilesystem(fd: number): Promise<void> {
  await syncfsCall.async(fd)
}
