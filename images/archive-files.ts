import { randomUUID } from 'node:crypto'
import { closeSync, constants, createWriteStream, fstatSync, openSync, statSync } from 'node:fs'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { CoracleError, errnoOf, messageOf } from '../runtime/base/errors.ts'
import { O_DIRECTORY, O_RDONLY, openBelow } from '../runtime/linux/at-files.ts'
import { compressionIn, uncompressedFile } from './compression.ts'
import { imageError } from './errors.ts'
import type { Compression } from './manifest.ts'
import { fileSource } from './store.ts'
import { unsupportedTar } from './tar-fields.ts'
import { type TarHeader, TarReader } from './tar-reader.ts'
import { splitPath } from './whiteouts.ts'

/** The files of an archive, wherever they are. */
export interface ArchiveFiles {
  has(name: string): boolean
  /** A small file. Throws `IMAGE_ARCHIVE_INVALID` when it is missing or large. */
  read(name: string): Promise<Buffer>
  /** The bytes of a file of any size. Throws `IMAGE_ARCHIVE_INVALID` when it is missing. */
  stream(name: string): AsyncIterable<Uint8Array>
  /** By its first bytes. */
  compressionOf(name: string): Promise<Compression>
}

interface Range {
  start: number
  end: number
}

const { O_NONBLOCK } = constants
const maximumDocumentBytes = 8 * 1024 * 1024
const maximumLinks = 8

/**
 * Runs `act` with the files of a folder or of a tar archive, which may be packed with gzip or zstd; then it is unpacked
 * into `scratch` meanwhile. Nothing of the archive becomes a path of this host. Throws `IMAGE_ARCHIVE_INVALID`.
 */
export async function withArchive<Result>(
  file: string,
  scratch: string,
  act: (files: ArchiveFiles) => Promise<Result>,
): Promise<Result> {
  if (isFolder(file)) return withFolder(file, act)
  const compression = await compressionIn(file, 0)
  if (compression === 'none') return act(await filesOf(file))
  const plain = join(scratch, randomUUID())
  try {
    await mkdir(scratch, { recursive: true })
    await unpackTo(plain, uncompressedFile(file, compression), file)
    return await act(await filesOf(plain))
  } finally {
    await rm(plain, { force: true })
  }
}

async function unpackTo(plain: string, source: AsyncIterable<Uint8Array>, shownAs: string): Promise<void> {
  try {
    await pipeline(source, createWriteStream(plain, { flags: 'wx', mode: 0o600 }))
  } catch (error) {
    // Our own disk being full is no fault of the archive.
    if (error instanceof CoracleError || errnoOf(error) !== undefined) throw error
    throw imageError('IMAGE_ARCHIVE_INVALID', `read ${shownAs}: ${messageOf(error)}`, { cause: error })
  }
}

const isFolder = (file: string) => statSync(file, { throwIfNoEntry: false })?.isDirectory() ?? false

/** Files are opened below the folder, whatever links somebody has put into it. */
async function withFolder<Result>(folder: string, act: (files: ArchiveFiles) => Promise<Result>): Promise<Result> {
  const root = openSync(folder, O_RDONLY | O_DIRECTORY)
  const opened = new Map<string, number>()
  const find = (name: string): string | undefined => {
    const known = opened.get(name)
    if (known !== undefined) return `/proc/self/fd/${known}`
    try {
      const fd = openBelow(root, Buffer.from(name), { flags: O_RDONLY | O_NONBLOCK })
      opened.set(name, fd)
      return fstatSync(fd).isFile() ? `/proc/self/fd/${fd}` : undefined
    } catch (error) {
      if (['ENOENT', 'ENOTDIR', 'ELOOP'].includes(errnoOf(error) ?? '')) return undefined
      throw error
    }
  }
  const need = (name: string) => find(name) ?? missing(folder, name)
  try {
    return await act({
      has: (name) => find(name) !== undefined,
      read: (name) => readSmall(folder, name, { path: need(name), size: statSync(need(name)).size }),
      stream: (name) => fileSource(need(name), undefined),
      compressionOf: (name) => compressionIn(need(name), 0),
    })
  } finally {
    for (const fd of [root, ...opened.values()]) closeSync(fd)
  }
}

async function readSmall(
  archive: string,
  name: string,
  o: { path: string; size: number; range?: Range },
): Promise<Buffer> {
  if (o.size > maximumDocumentBytes) {
    throw imageError('IMAGE_ARCHIVE_INVALID', `read ${archive}: ${name} has ${o.size} bytes`)
  }
  const chunks: Uint8Array[] = []
  for await (const chunk of fileSource(o.path, o.range)) chunks.push(chunk)
  return Buffer.concat(chunks)
}

function missing(archive: string, name: string): never {
  throw imageError('IMAGE_ARCHIVE_INVALID', `read ${archive}: ${JSON.stringify(name)} is missing in it`)
}

async function filesOf(archive: string): Promise<ArchiveFiles> {
  const { files, links } = await contentsOf(archive)
  const find = (name: string): Range | undefined => {
    let target = clean(Buffer.from(name))
    // Docker's archives name a layer that several images share by symbolic links.
    for (let count = 0; count < maximumLinks; count++) {
      const range = files.get(target)
      if (range) return range
      const link = links.get(target)
      if (link === undefined) return undefined
      target = link
    }
    return undefined
  }
  const need = (name: string): Range => find(name) ?? missing(archive, name)
  return {
    has: (name) => find(name) !== undefined,
    read: async (name) => {
      const range = need(name)
      return readSmall(archive, name, { path: archive, size: range.end - range.start, range })
    },
    stream: (name) => fileSource(archive, need(name)),
    compressionOf: (name) => compressionIn(archive, need(name).start),
  }
}

async function contentsOf(archive: string): Promise<{ files: Map<string, Range>; links: Map<string, string> }> {
  const files = new Map<string, Range>()
  const links = new Map<string, string>()
  const note = (header: TarHeader, offset: number) => {
    const name = clean(header.name)
    if (header.type === 'file') files.set(name, { start: offset, end: offset + header.size })
    if (header.type === 'link') links.set(name, clean(header.link))
    if (header.type === 'symlink')
      links.set(name, clean(Buffer.from(`${name}/../${header.link.toString('latin1')}`, 'latin1')))
  }
  const hole = () => {
    throw unsupportedTar('sparse files in an archive of images')
  }
  const reader = new TarReader({ entry: note, data() {}, hole, end() {} })
  try {
    for await (const chunk of fileSource(archive, undefined))
      reader.write(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength))
    reader.end()
  } catch (error) {
    const reason = error instanceof CoracleError ? error.message : messageOf(error)
    throw imageError('IMAGE_ARCHIVE_INVALID', `read ${archive}: ${reason}`, { cause: error })
  }
  return { files, links }
}

const clean = (name: Buffer) =>
  splitPath(name)
    .map((part) => part.toString('latin1'))
    .join('/')
