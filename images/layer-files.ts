import { chmodSync, closeSync, constants, fstatSync, readdirSync } from 'node:fs'
import { errnoOf } from '../runtime/base/errors.ts'
import { fsetxattr, O_DIRECTORY, O_NOFOLLOW, O_PATH, O_RDONLY, openBelow, unlinkAt } from '../runtime/linux/at-files.ts'

const { S_IFCHR, S_IFMT } = constants

/** What a name stands for. */
export interface Found {
  kind: 'directory' | 'whiteout' | 'other'
  inode: bigint
}

/** What is called that in the folder, not followed if it is a symbolic link. */
export function lookUp(folder: number, name: Buffer): Found | undefined {
  let fd: number
  try {
    fd = openBelow(folder, name, { flags: O_PATH | O_NOFOLLOW })
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw error
  }
  try {
    const stat = fstatSync(fd, { bigint: true })
    const isWhiteout = (Number(stat.mode) & S_IFMT) === S_IFCHR && stat.rdev === 0n
    return { kind: stat.isDirectory() ? 'directory' : isWhiteout ? 'whiteout' : 'other', inode: stat.ino }
  } finally {
    closeSync(fd)
  }
}

/** Opens a folder, not through a symbolic link, while `act` runs. */
export function withChild(folder: number, name: Buffer, act: (fd: number) => void): void {
  const fd = openBelow(folder, name, { flags: O_RDONLY | O_DIRECTORY | O_NOFOLLOW })
  try {
    act(fd)
  } finally {
    closeSync(fd)
  }
}

/** Hides everything of that name in the layers below. */
export function makeOpaque(folder: number, name: Buffer): void {
  withChild(folder, name, (fd) => fsetxattr(fd, 'trusted.overlay.opaque', Buffer.from('y')))
}

/** mknod(2) applies the umask, so the mode is set again. Opening a device could do things; its path is safe here. */
export function chmodSpecial(folder: number, name: Buffer, mode: number): void {
  const fd = openBelow(folder, name, { flags: O_PATH | O_NOFOLLOW })
  try {
    chmodSync(`/proc/self/fd/${fd}`, mode)
  } finally {
    closeSync(fd)
  }
}

/** Removes what is called that, a folder with everything in it. */
export function remove(folder: number, name: Buffer, kind: Found['kind']): void {
  if (kind === 'directory') removeTree(folder, name)
  else unlinkAt(folder, name)
}

function removeTree(folder: number, name: Buffer): void {
  withChild(folder, name, (fd) => {
    for (const child of readdirSync(`/proc/self/fd/${fd}`, { encoding: 'buffer' })) {
      if (lookUp(fd, child)?.kind === 'directory') removeTree(fd, child)
      else unlinkAt(fd, child)
    }
  })
  unlinkAt(folder, name, 'directory')
}
