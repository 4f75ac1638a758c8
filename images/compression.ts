import { open, stat } from 'node:fs/promises'
import { errnoOf, hasCode } from '../runtime/base/errors.ts'
import { imageError } from './errors.ts'
import type { Compression } from './manifest.ts'
import { PackedFile } from './packed-file.ts'
import { uncompressed } from './uncompress.ts'

/**
 * How the bytes of a file at an offset are packed, by the first of them. Throws `IMAGE_ARCHIVE_INVALID` for what is no
 * file, `IMAGE_UNSUPPORTED` for xz and bzip2, which nothing here unpacks.
 */
export async function compressionIn(file: string, offset: number): Promise<Compression> {
  const magic = Buffer.alloc(6)
  try {
    if ((await stat(file)).isDirectory()) throw imageError('IMAGE_ARCHIVE_INVALID', `read ${file}: it is a folder`)
    await using handle = await open(file)
    await handle.read(magic, 0, magic.length, offset)
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error
    throw imageError('IMAGE_ARCHIVE_INVALID', `read ${file}: there is no such file`, { cause: error })
  }
  if (magic.readUInt16BE(0) === 0x1f8b) return 'gzip'
  if (magic.equals(Buffer.from('\xfd7zXZ\0', 'latin1'))) throw foreign(file, 'xz')
  if (magic.toString('latin1', 0, 3) === 'BZh') throw foreign(file, 'bzip2')
  const number = magic.readUInt32LE(0)
  const isZstd = number === 0xfd2fb528 || (number & 0xfffffff0) >>> 0 === 0x184d2a50
  return isZstd ? 'zstd' : 'none'
}

/** The bytes of a file without their packing. Throws `IMAGE_ARCHIVE_INVALID` for damaged ones. */
export async function* uncompressedFile(file: string, compression: Compression): AsyncGenerator<Uint8Array> {
  await using handle = await open(file)
  const packed = new PackedFile(handle.fd, { bytes: 0, isWhole: true })
  // Streams keep what they are given for longer than a piece lasts.
  try {
    for await (const piece of uncompressed(packed, compression)) yield Buffer.from(piece)
  } catch (error) {
    if (!hasCode(error, 'IMAGE_LAYER_INVALID')) throw error
    throw imageError('IMAGE_ARCHIVE_INVALID', error.message, { cause: error })
  }
}

function foreign(file: string, program: string) {
  return imageError('IMAGE_UNSUPPORTED', `read ${file}: it is packed with ${program}`, {
    hint: `unpack it first: ${program} -dc ${file} | coracle images … -`,
  })
}
