import { closeSync, fstatSync } from 'node:fs'
import { basename } from 'node:path'
import { errnoOf } from '../runtime/base/errors.ts'
import { O_DIRECTORY, O_NOFOLLOW, O_PATH, O_RDONLY, openBelow, readOpenLink } from '../runtime/linux/at-files.ts'
import { LayerWriter } from './apply-layer.ts'
import { imageError } from './errors.ts'
import { type TarHeader, TarReader, type TarSink } from './tar-reader.ts'
import { tarEnd } from './tar-writer.ts'
import { tarOfChildren, tarOfTree } from './tree-tar.ts'

/** A place below an open root: a container's, or that of this host. Symbolic links, absolute ones too, stay inside. */
export interface Place {
  root: number
  path: string
  /** How the user has called it, for errors. */
  shownAs: string
}

export interface CopyOptions {
  /** Copies what a symbolic link at the end of the source leads to, not the link. */
  followLink?: boolean
  /** Keeps owners and special mode bits; without it all belongs to root, and set-user-id is lost as with cp(1). */
  archive?: boolean
}

/**
 * Copies a file or folder with what is in it by the rules of `docker cp`: a source that ends in `/.` gives only what is in
 * the folder; a folder as destination takes the source under its own name; a missing one is the new name. Throws
 * `IMAGE_PATH`.
 */
export async function copyBetween(source: Place, destination: Place, o: CopyOptions = {}): Promise<void> {
  const from = openSource(source, o)
  try {
    const target = targetOf(destination, from)
    const writer = openSync(destination, target.folder)
    try {
      await extract(tarOf(from, target.name), writer, o)
    } finally {
      closeSync(writer)
    }
  } finally {
    closeSync(from.folder)
  }
}

/** What `docker cp CONTAINER:PATH -` writes: a tar archive of the source under its own name. */
export async function* tarOfSource(source: Place, o: CopyOptions = {}): AsyncGenerator<Buffer> {
  const from = openSource(source, o)
  try {
    yield* tarOf(from, from.contentsOnly ? '.' : from.shown)
  } finally {
    closeSync(from.folder)
  }
}

/** What `docker cp - CONTAINER:PATH` does: unpacks a tar archive into a folder that must be there. */
export async function extractInto(
  archive: AsyncIterable<Uint8Array>,
  destination: Place,
  o: CopyOptions = {},
): Promise<void> {
  const folder = openSync(destination, destination.path)
  try {
    await extract(archive, folder, o)
  } finally {
    closeSync(folder)
  }
}

interface Source {
  /** The folder that has it, and its name there; `.` for the folder itself. */
  folder: number
  name: string
  kind: 'directory' | 'other'
  contentsOnly: boolean
  /** Its own name, for the destination. */
  shown: string
}

function openSource({ root, path, shownAs }: Place, { followLink = false }: CopyOptions): Source {
  const contentsOnly = /(^|\/)\.\/?$/.test(path)
  const plain = path.replace(/\/+$/, '') || '/'
  const follow = followLink || plain !== path
  const fd = openPlace({ root, path: plain, shownAs }, O_PATH | (follow || contentsOnly ? 0 : O_NOFOLLOW))
  try {
    if (fstatSync(fd).isDirectory()) {
      const folder = openBelow(fd, Buffer.from('.'), { flags: O_RDONLY | O_DIRECTORY })
      return { folder, name: '.', kind: 'directory', contentsOnly, shown: basename(plain) || '.' }
    }
  } finally {
    closeSync(fd)
  }
  if (contentsOnly || plain !== path) throw refused(shownAs, 'it is no folder')
  const place = { root, path: follow ? realPath({ root, path: plain, shownAs }) : plain, shownAs }
  const folder = openSync(place, parentOf(place.path))
  return { folder, name: basename(place.path), kind: 'other', contentsOnly, shown: basename(plain) }
}

/** Where a path leads to, step by step inside the root. */
function realPath(place: Place): string {
  let { path } = place
  for (let count = 0; count < 40; count++) {
    const fd = openPlace({ ...place, path }, O_PATH | O_NOFOLLOW)
    try {
      if (!fstatSync(fd).isSymbolicLink()) return path
      const target = readOpenLink(fd).toString()
      path = target.startsWith('/') ? target : `${parentOf(path)}/${target}`
    } finally {
      closeSync(fd)
    }
  }
  throw refused(place.shownAs, 'it is a link to itself')
}

/** Where the source goes: the folder to write in, and the name there. */
function targetOf({ root, path, shownAs }: Place, source: Source): { folder: string; name: string } {
  const there = kindOf({ root, path, shownAs })
  if (there === 'directory') return { folder: path, name: source.contentsOnly ? '.' : source.shown }
  if (there === 'other' && source.kind === 'directory')
    throw refused(shownAs, 'a folder cannot take the place of a file')
  if (source.kind === 'other' && path.endsWith('/')) throw refused(shownAs, 'there is no such folder')
  const plain = path.replace(/\/+$/, '')
  return { folder: parentOf(plain), name: basename(plain) }
}

function kindOf(place: Place): 'directory' | 'other' | undefined {
  try {
    const fd = openBelow(place.root, Buffer.from(place.path), { flags: O_PATH })
    try {
      return fstatSync(fd).isDirectory() ? 'directory' : 'other'
    } finally {
      closeSync(fd)
    }
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw refused(place.shownAs, errnoOf(error) ?? 'it cannot be opened', error)
  }
}

async function* tarOf(source: Source, name: string): AsyncGenerator<Buffer> {
  const prefix = Buffer.from(name)
  if (name === '.') yield* tarOfChildren(source.folder)
  else if (source.kind === 'other') {
    yield* tarOfTree(source.folder, { name: Buffer.from(source.name), path: prefix })
  } else {
    const nameOf = (path: Buffer) => (path.equals(dot) ? prefix : Buffer.concat([prefix, path.subarray(1)]))
    yield* tarOfTree(source.folder, { name: dot, path: dot, nameOf })
  }
  yield tarEnd
}

const dot = Buffer.from('.')

async function extract(archive: AsyncIterable<Uint8Array>, folder: number, o: CopyOptions): Promise<void> {
  const writer = new LayerWriter(folder, 'plain')
  const reader = new TarReader(o.archive ? writer : ownedByRoot(writer))
  try {
    for await (const chunk of archive) reader.write(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength))
    reader.end()
    writer.finish()
  } finally {
    writer.close()
  }
}

/** Nothing that a container has made gets rights on the host, and nothing of the host's users gets into a container. */
function ownedByRoot(writer: LayerWriter): TarSink {
  return {
    entry: (header: TarHeader) => {
      const mode = header.type === 'directory' ? header.mode & 0o1777 : header.mode & 0o777
      const xattrs = new Map([...header.xattrs].filter(([name]) => name.startsWith('user.')))
      writer.entry({ ...header, uid: 0, gid: 0, mode, xattrs })
    },
    data: (chunk) => writer.data(chunk),
    hole: (bytes) => writer.hole(bytes),
    end: () => writer.end(),
  }
}

const parentOf = (path: string) => path.replace(/\/*[^/]*$/, '') || (path.startsWith('/') ? '/' : '.')

const openSync = (place: Place, path: string) => openPlace({ ...place, path }, O_RDONLY | O_DIRECTORY)

function openPlace({ root, path, shownAs }: Place, flags: number): number {
  try {
    return openBelow(root, Buffer.from(path === '' ? '.' : path), { flags })
  } catch (error) {
    const reasons: Readonly<Record<string, string>> = {
      ENOENT: 'there is no such file or folder',
      ENOTDIR: 'it is no folder',
      ELOOP: 'it is a link to itself',
    }
    const errno = errnoOf(error) ?? ''
    throw refused(shownAs, reasons[errno] ?? errno, error)
  }
}

function refused(shownAs: string, reason: string, cause?: unknown) {
  return imageError('IMAGE_PATH', `copy ${shownAs}: ${reason}`, { cause })
}
