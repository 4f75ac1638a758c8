import { closeSync, constants, fchmodSync, fchownSync, ftruncateSync, writeSync } from 'node:fs'
import { errnoOf } from '../runtime/base/errors.ts'
import {
  chownAt,
  fsetxattr,
  futimes,
  linkAt,
  mkdirAt,
  mknodAt,
  O_CREAT,
  O_EXCL,
  O_NOFOLLOW,
  O_WRONLY,
  openBelow,
  setxattrAt,
  symlinkAt,
  utimesAt,
} from '../runtime/linux/at-files.ts'
import { imageError } from './errors.ts'
import { chmodSpecial, type Found, lookUp, makeOpaque, remove, withChild } from './layer-files.ts'
import { LayerFolders } from './layer-folders.ts'
import type { TarHeader, TarSink } from './tar-reader.ts'
import { isOpaqueMarker, splitPath, whiteoutTarget } from './whiteouts.ts'
import { plainXattr, translateXattr } from './xattr-policy.ts'

/** What was left out, for the log. */
export interface LayerReport {
  entries: number
  /** Of files, with the holes of sparse ones. */
  bytes: number
  skippedXattrs: string[]
  /** Folders that the layer does not name, but has files in: they look like those of the layers below. */
  implicitFolders: Buffer[]
}

const { S_IFBLK, S_IFCHR, S_IFIFO } = constants
/** A device 0:0 is how overlayfs says that a name of the layers below is gone. */
const whiteoutDevice = { mode: S_IFCHR, major: 0, minor: 0 }

/**
 * Writes the entries of a layer into a folder, in the form that overlayfs wants of a lower layer. The archive is
 * hostile: every folder is opened by `openat2` with RESOLVE_IN_ROOT, and every act takes an open folder and one name
 * that is not followed. Nobody else may write below the folder meanwhile. Image specification, layer.md; overlayfs.rst.
 */
export class LayerWriter implements TarSink {
  readonly #folders: LayerFolders
  readonly #report = { entries: 0, bytes: 0 }
  readonly #skippedXattrs = new Set<string>()
  /** Times of folders, by path in latin1, are set at the end: every file that is created in one changes them. */
  readonly #folderTimes = new Map<string, bigint>()
  readonly #form: 'layer' | 'plain'
  /** The file that is being written, and how far it has come. */
  #open: { fd: number; header: TarHeader; at: number } | undefined
  #holeBytes = 0

  /** `plain`: any tar archive, into a folder that has files already; names of whiteouts mean nothing then. */
  constructor(root: number, form: 'layer' | 'plain' = 'layer') {
    this.#folders = new LayerFolders(root)
    this.#form = form
  }

  entry(header: TarHeader): void {
    this.#report.entries++
    const path = splitPath(header.name)
    const name = path.pop()
    if (name === undefined) {
      this.#root(header)
      return
    }
    const folder = this.#folders.open(path)
    if (this.#form === 'plain') {
      this.#create(folder, name, { header, path })
      return
    }
    const hidden = isOpaqueMarker(name) ? undefined : whiteoutTarget(name)
    if (isOpaqueMarker(name)) makeOpaque(folder, Buffer.from('.'))
    else if (hidden) this.#whiteout(folder, hidden)
    else this.#create(folder, name, { header, path })
  }

  data(chunk: Buffer): void {
    this.#report.bytes += chunk.length
    const open = this.#open
    if (!open) return
    for (let used = 0; used < chunk.length; ) {
      const written = writeSync(open.fd, chunk, used, chunk.length - used, open.at)
      used += written
      open.at += written
    }
  }

  /** What is not written stays a hole of the file. */
  hole(bytes: number): void {
    this.#report.bytes += bytes
    this.#holeBytes += bytes
    if (!this.#open) return
    this.#open.at += bytes
    ftruncateSync(this.#open.fd, this.#open.at)
  }

  /** Bytes of files that were not in the archive, so far. */
  get holeBytes(): number {
    return this.#holeBytes
  }

  end(): void {
    const open = this.#open
    if (!open) return
    this.#open = undefined
    try {
      this.#finishOpenFile(open.fd, open.header)
    } finally {
      closeSync(open.fd)
    }
  }

  /** Sets the folders' times and says what was done. */
  finish(): LayerReport {
    for (const [path, mtime] of this.#folderTimes)
      this.#folders.withFolder(Buffer.from(path, 'latin1'), (fd) => futimes(fd, mtime))
    return {
      ...this.#report,
      skippedXattrs: [...this.#skippedXattrs],
      implicitFolders: this.#folders.implicit(),
    }
  }

  close(): void {
    if (this.#open) closeSync(this.#open.fd)
    this.#open = undefined
    this.#folders.close()
  }

  /** The entry `./` speaks of the root itself. */
  #root(header: TarHeader): void {
    if (header.type !== 'directory') throw invalid(header.name, 'the root is not a folder')
    this.#folders.withFolder(Buffer.from('.'), (fd) => this.#attributes(fd, header))
    this.#folders.named('')
    this.#folderTimes.set('.', header.mtime)
  }

  #whiteout(folder: number, name: Buffer): void {
    const there = lookUp(folder, name)
    // What this layer itself has put there stays; a folder then hides that of the layers below as a whole.
    if (there?.kind === 'directory') makeOpaque(folder, name)
    else if (!there) mknodAt(folder, name, whiteoutDevice)
  }

  /** Makes first and asks only when something is in the way: that is rare, and each question costs as much as the act. */
  #create(folder: number, name: Buffer, o: { header: TarHeader; path: Buffer[] }): void {
    const { header } = o
    if (header.type === 'directory') {
      this.#directory(folder, name, o)
      return
    }
    try {
      this.#make(folder, name, header)
    } catch (error) {
      const there = errnoOf(error) === 'EEXIST' ? lookUp(folder, name) : undefined
      if (!there) throw error
      if (header.type === 'link' && this.#isSameFile(folder, name, header)) return
      if (this.#form === 'plain' && there.kind === 'directory') throw invalid(header.name, 'a folder is in its place')
      remove(folder, name, there.kind)
      this.#make(folder, name, header)
    }
    if (header.type !== 'file' && header.type !== 'link') this.#finishSpecial(folder, name, header)
  }

  #make(folder: number, name: Buffer, header: TarHeader): void {
    const { type, major, minor } = header
    switch (type) {
      case 'file': {
        const flags = O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW
        this.#open = { fd: openBelow(folder, name, { flags, mode: 0o600 }), header, at: 0 }
        return
      }
      case 'link':
        this.#link(folder, name, header)
        return
      case 'symlink':
        symlinkAt(checkTarget(header), folder, name)
        return
      case 'fifo':
        mknodAt(folder, name, { mode: S_IFIFO, major: 0, minor: 0 })
        return
      case 'character-device':
        mknodAt(folder, name, { mode: S_IFCHR, major, minor })
        return
      case 'block-device':
        mknodAt(folder, name, { mode: S_IFBLK, major, minor })
        return
      case 'directory':
        mkdirAt(folder, name, 0o700)
    }
  }

  #directory(folder: number, name: Buffer, { header, path }: { header: TarHeader; path: Buffer[] }): void {
    let there: Found | undefined
    try {
      this.#make(folder, name, header)
    } catch (error) {
      there = errnoOf(error) === 'EEXIST' ? lookUp(folder, name) : undefined
      if (!there) throw error
      if (there.kind !== 'directory') {
        if (this.#form === 'plain') throw invalid(header.name, 'a file is in the place of the folder')
        remove(folder, name, there.kind)
        this.#make(folder, name, header)
      }
    }
    const whole = [...path, name].map((part) => part.toString('latin1')).join('/')
    withChild(folder, name, (fd) => this.#attributes(fd, header))
    if (there?.kind === 'whiteout') makeOpaque(folder, name)
    this.#folders.named(whole)
    this.#folderTimes.set(whole, header.mtime)
  }

  #isSameFile(folder: number, name: Buffer, header: TarHeader): boolean {
    const source = splitPath(header.link)
    const last = source.pop()
    if (!last) return false
    const from = this.#folders.openExisting(source)
    return from !== undefined && lookUp(from, last)?.inode === lookUp(folder, name)?.inode
  }

  /** The target must be in this layer already; the kernel refuses links to folders. */
  #link(folder: number, name: Buffer, header: TarHeader): void {
    const source = splitPath(header.link)
    const last = source.pop()
    const from = this.#folders.openExisting(source)
    if (!last || from === undefined || !lookUp(from, last)) {
      throw invalid(header.name, `its link target ${JSON.stringify(header.link.toString())} is not in this layer`)
    }
    linkAt({ folder: from, name: last }, { folder, name })
  }

  /** Owner before mode, because changing the owner clears set-user-id; capabilities last, for the same reason. */
  #attributes(fd: number, header: TarHeader): void {
    fchownSync(fd, header.uid, header.gid)
    fchmodSync(fd, header.mode)
    for (const [name, value] of this.#xattrs(header)) this.#tolerant(name, () => fsetxattr(fd, name, value))
  }

  #finishOpenFile(fd: number, header: TarHeader): void {
    this.#attributes(fd, header)
    futimes(fd, header.mtime)
  }

  #finishSpecial(folder: number, name: Buffer, header: TarHeader): void {
    chownAt(folder, name, header)
    if (header.type !== 'symlink') chmodSpecial(folder, name, header.mode)
    for (const [attribute, value] of this.#xattrs(header)) {
      this.#tolerant(attribute, () => setxattrAt(folder, name, { name: attribute, value }))
    }
    utimesAt(folder, name, header.mtime)
  }

  #xattrs(header: TarHeader): [string, Buffer][] {
    return [...header.xattrs].flatMap(([name, value]): [string, Buffer][] => {
      const translated = this.#form === 'plain' ? plainXattr(name) : translateXattr(name)
      if (translated === undefined) this.#skippedXattrs.add(name)
      return translated === undefined ? [] : [[translated, value]]
    })
  }

  /** A filesystem without such attributes is no reason to refuse the image, but the operator gets to know. */
  #tolerant(name: string, act: () => void): void {
    try {
      act()
    } catch (error) {
      if (!['EOPNOTSUPP', 'EPERM'].includes(errnoOf(error) ?? '')) throw error
      this.#skippedXattrs.add(name)
    }
  }
}

function checkTarget(header: TarHeader): Buffer {
  if (header.link.length === 0 || header.link.includes(0)) throw invalid(header.name, 'its target is empty')
  return header.link
}

function invalid(name: Buffer, reason: string) {
  return imageError('IMAGE_LAYER_INVALID', `unpack ${JSON.stringify(name.toString())}: ${reason}`)
}
