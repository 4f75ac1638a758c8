import { closeSync, constants, fstatSync, openSync, readdirSync, readSync } from 'node:fs'
import { errnoOf } from '../runtime/base/errors.ts'
import { O_NOFOLLOW, O_PATH, O_RDONLY, openBelow, readOpenLink, xattrsAt } from '../runtime/linux/at-files.ts'
import type { TarHeader, TarType } from './tar-reader.ts'
import { encodeTarHeader, tarPadding } from './tar-writer.ts'

const { S_IFMT, S_IFREG, S_IFDIR, S_IFLNK, S_IFCHR, S_IFBLK, S_IFIFO } = constants
const chunkBytes = 1 << 18

const types: ReadonlyMap<number, TarType> = new Map([
  [S_IFREG, 'file'],
  [S_IFDIR, 'directory'],
  [S_IFLNK, 'symlink'],
  [S_IFCHR, 'character-device'],
  [S_IFBLK, 'block-device'],
  [S_IFIFO, 'fifo'],
])

/** How one thing of a tree is written: its entry, if any, and further ones without data behind it. */
export interface Translated {
  header: TarHeader | undefined
  markers: readonly TarHeader[]
}

export interface TreeOptions {
  /** Name of the entry in the archive for a path in the tree. */
  nameOf?: (path: Buffer) => Buffer
  translate?: (header: TarHeader) => Translated
}

interface Walk {
  options: TreeOptions
  /** Name in the archive of the first of several hard links, by inode. */
  seen: Map<string, Buffer>
}

/**
 * The bytes of a tar archive of what is called `name` in an open folder, a folder with all that is in it, in the order of
 * names. The tree may change meanwhile: every thing is opened once and read through that, never through a symbolic link;
 * a file that shrinks is filled up with zeros. Sockets are left out, as by every tar.
 */
export async function* tarOfTree(
  folder: number,
  o: { name: Buffer; path: Buffer } & TreeOptions,
): AsyncGenerator<Buffer> {
  yield* entry(folder, o, { options: o, seen: new Map() })
}

/** The same for all that is in a folder, without the folder itself. */
export async function* tarOfChildren(folder: number, options: TreeOptions = {}): AsyncGenerator<Buffer> {
  yield* children(folder, Buffer.alloc(0), { options, seen: new Map() })
}

function* children(folder: number, path: Buffer, walk: Walk): Generator<Buffer> {
  const names = readdirSync(`/proc/self/fd/${folder}`, { encoding: 'buffer' }).sort(Buffer.compare)
  const prefix = path.length === 0 ? path : Buffer.concat([path, Buffer.from('/')])
  for (const name of names) yield* entry(folder, { name, path: Buffer.concat([prefix, name]) }, walk)
}

function* entry(folder: number, at: { name: Buffer; path: Buffer }, walk: Walk): Generator<Buffer> {
  let fd: number
  try {
    fd = openBelow(folder, at.name, { flags: O_PATH | O_NOFOLLOW })
  } catch (error) {
    // Gone since the folder was read.
    if (errnoOf(error) === 'ENOENT') return
    throw error
  }
  try {
    const header = headerOf(fd, folder, at, walk)
    if (!header) return
    const { header: kept, markers } = walk.options.translate?.(header) ?? { header, markers: [] }
    if (kept) {
      const linked = asLink(kept, fd, walk)
      yield encodeTarHeader(linked)
      if (linked.type === 'file' && linked.size > 0) yield* dataOf(fd, linked.size)
    }
    for (const marker of markers) yield encodeTarHeader(marker)
    if (kept?.type !== 'directory') return
    const opened = openSync(`/proc/self/fd/${fd}`, O_RDONLY | constants.O_DIRECTORY)
    try {
      yield* children(opened, at.path, walk)
    } finally {
      closeSync(opened)
    }
  } finally {
    closeSync(fd)
  }
}

function headerOf(
  fd: number,
  folder: number,
  { name, path }: { name: Buffer; path: Buffer },
  { options }: Walk,
): TarHeader | undefined {
  const stat = fstatSync(fd, { bigint: true })
  const type = types.get(Number(stat.mode) & S_IFMT)
  if (!type) return undefined
  const named = options.nameOf?.(path) ?? path
  const isDevice = type === 'character-device' || type === 'block-device'
  return {
    name: type === 'directory' ? Buffer.concat([named, Buffer.from('/')]) : named,
    link: type === 'symlink' ? readOpenLink(fd) : none,
    type,
    mode: Number(stat.mode) & 0o7777,
    uid: Number(stat.uid),
    gid: Number(stat.gid),
    size: type === 'file' ? Number(stat.size) : 0,
    mtime: stat.mtimeNs,
    major: isDevice ? majorOf(stat.rdev) : 0,
    minor: isDevice ? minorOf(stat.rdev) : 0,
    xattrs: xattrsAt(folder, name),
  }
}

const none = Buffer.alloc(0)

/** The second and later names of a file are links to the first. */
function asLink(header: TarHeader, fd: number, { seen }: Walk): TarHeader {
  if (header.type === 'directory') return header
  const { dev, ino, nlink } = fstatSync(fd, { bigint: true })
  if (nlink < 2n) return header
  const key = `${dev}:${ino}`
  const first = seen.get(key)
  if (!first) {
    seen.set(key, header.name)
    return header
  }
  return { ...header, type: 'link', link: first, size: 0, xattrs: new Map() }
}

function* dataOf(fd: number, size: number): Generator<Buffer> {
  const opened = openSync(`/proc/self/fd/${fd}`, O_RDONLY)
  try {
    for (let at = 0; at < size; ) {
      const chunk = Buffer.allocUnsafe(Math.min(chunkBytes, size - at))
      const read = readSync(opened, chunk, 0, chunk.length, at)
      if (read === 0) chunk.fill(0)
      const piece = read === 0 ? chunk : chunk.subarray(0, read)
      at += piece.length
      yield piece
    }
    yield tarPadding(size)
  } finally {
    closeSync(opened)
  }
}

/** The parts of a device number, see makedev(3). */
const majorOf = (device: bigint) => Number(((device >> 32n) & 0xfffff000n) | ((device >> 8n) & 0xfffn))
const minorOf = (device: bigint) => Number(((device >> 12n) & 0xffffff00n) | (device & 0xffn))
