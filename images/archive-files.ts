import { randomUUID } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { mkdir, open, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { createGunzip } from 'node:zlib'
import { CoracleError, errnoOf, messageOf } from '../runtime/base/errors.ts'
import { imageError } from './errors.ts'
import type { Compression } from './manifest.ts'
import { fileSource } from './store.ts'
import { type TarHeader, TarReader } from './tar-reader.ts'
import { splitPath } from './whiteouts.ts'
import { unpackZstd } from './zstd.ts'

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

const maximumDocumentBytes = 8 * 1024 * 1024
const maximumLinks = 8

/**
 * Runs `act` with the files of a tar archive, which may be packed with gzip or zstd; then it is unpacked into `scratch`
 * meanwhile. Nothing of the archive becomes a path of this host. Throws `IMAGE_ARCHIVE_INVALID`.
 */
export async function withArchive<Result>(
  file: string,
  scratch: string,
  act: (files: ArchiveFiles) => Promise<Result>,
): Promise<Result> {
  const compression = await compressionIn(file, 0)
  if (compression === 'none') return act(await filesOf(file))
  const plain = join(scratch, randomUUID())
  try {
    await mkdir(scratch, { recursive: true })
    const source = createReadStream(file)
    const unpacked = compression === 'gzip' ? source.pipe(createGunzip()) : unpackZstd(source)
    await pipeline(unpacked, createWriteStream(plain, { flags: 'wx', mode: 0o600 }))
    return await act(await filesOf(plain))
  } finally {
    await rm(plain, { force: true })
  }
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
  const need = (name: string): Range => {
    const range = find(name)
    if (range) return range
    throw imageError('IMAGE_ARCHIVE_INVALID', `read ${archive}: ${JSON.stringify(name)} is missing in it`)
  }
  return {
    has: (name) => find(name) !== undefined,
    async read(name) {
      const range = need(name)
      const size = range.end - range.start
      if (size > maximumDocumentBytes) {
        throw imageError('IMAGE_ARCHIVE_INVALID', `read ${archive}: ${name} has ${size} bytes`)
      }
      const chunks: Uint8Array[] = []
      for await (const chunk of fileSource(archive, range)) chunks.push(chunk)
      return Buffer.concat(chunks)
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
  const reader = new TarReader({ entry: note, data() {}, end() {} })
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

async function compressionIn(file: string, offset: number): Promise<Compression> {
  const magic = Buffer.alloc(4)
  try {
    if ((await stat(file)).isDirectory()) throw imageError('IMAGE_ARCHIVE_INVALID', `read ${file}: it is a folder`)
    await using handle = await open(file)
    await handle.read(magic, 0, 4, offset)
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error
    throw imageError('IMAGE_ARCHIVE_INVALID', `read ${file}: there is no such file`, { cause: error })
  }
  if (magic.readUInt16BE(0) === 0x1f8b) return 'gzip'
  const isZstd = magic.readUInt32LE(0) === 0xfd2fb528 || (magic.readUInt32LE(0) & 0xfffffff0) >>> 0 === 0x184d2a50
  return isZstd ? 'zstd' : 'none'
}
