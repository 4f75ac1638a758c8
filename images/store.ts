import { randomUUID } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { type FileHandle, mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { CoracleError, errnoOf, hasCode } from '../runtime/base/errors.ts'
import { type Digest, digestOf, finish, hexOf, newHash } from './digest.ts'
import { imageError } from './errors.ts'
import { maximumDocumentBytes } from './manifest.ts'

/**
 * Bytes by their digest: `blobs/sha256/<hex>`, as in an OCI image layout. A blob appears whole and verified or not at
 * all: it is written in `ingest/`, flushed, compared with its digest and then renamed.
 */
export interface BlobStore {
  /** Path of the file of a blob, whether it is there or not. */
  pathOf(digest: Digest): string
  has(digest: Digest, size?: number): Promise<boolean>
  /** The bytes of a small document, verified again. Throws `IMAGE_NOT_FOUND`, `IMAGE_DIGEST_MISMATCH`. */
  readDocument(digest: Digest): Promise<Buffer>
  writeDocument(bytes: Uint8Array): Promise<Digest>
  /**
   * Stores what `source` yields if it has this digest; a function is told how many bytes are there of an earlier attempt
   * that broke off. Throws `IMAGE_DIGEST_MISMATCH`, and what `source` throws.
   */
  write(source: BlobSource, expected: { digest: Digest; size: number }): Promise<void>
  /** Stores what `source` yields, whatever it is. */
  add(source: AsyncIterable<Uint8Array>): Promise<{ digest: Digest; size: number }>
  list(): Promise<Digest[]>
  remove(digest: Digest): Promise<void>
}

export type BlobSource = AsyncIterable<Uint8Array> | ((have: number) => AsyncIterable<Uint8Array>)

/** Opens the store below `root`, which must exist. */
export async function openBlobStore(root: string): Promise<BlobStore> {
  const folder = join(root, 'blobs', 'sha256')
  const ingest = join(root, 'ingest')
  await mkdir(folder, { recursive: true })
  await mkdir(ingest, { recursive: true })
  const pathOf = (digest: Digest) => join(folder, hexOf(digest))

  const add = async (source: AsyncIterable<Uint8Array>) => {
    const temporary = join(ingest, randomUUID())
    try {
      const written = await writeFlushed(temporary, () => source, undefined)
      await rename(temporary, pathOf(written.digest))
      return written
    } catch (error) {
      await rm(temporary, { force: true })
      throw error
    }
  }
  return {
    pathOf,
    async has(digest, size) {
      const found = await stat(pathOf(digest)).catch(absent)
      return found !== undefined && (size === undefined || found.size === size)
    },
    readDocument: (digest) => readVerified(pathOf(digest), digest),
    async writeDocument(bytes) {
      const digest = digestOf(bytes)
      if ((await stat(pathOf(digest)).catch(absent))?.size === bytes.length) return digest
      return (await add(toSource(bytes))).digest
    },
    write: (source, expected) => writeVerified(source, { expected, root, target: pathOf(expected.digest) }),
    add: (source) => add(source),
    async list() {
      return (await readdir(folder)).filter((name) => /^[a-f0-9]{64}$/.test(name)).map((hex): Digest => `sha256:${hex}`)
    },
    remove: (digest) => rm(pathOf(digest), { force: true }),
  }
}

async function* toSource(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}

/** The bytes of a file, for `write` and `add`; `end` is the offset after the last byte. */
export function fileSource(path: string, range: { start: number; end: number } | undefined): AsyncIterable<Uint8Array> {
  if (range && range.start === range.end) return toSource(new Uint8Array())
  return createReadStream(path, {
    highWaterMark: 1 << 20,
    ...(range ? { start: range.start, end: range.end - 1 } : {}),
  })
}

interface Expected {
  expected: { digest: Digest; size: number }
  root: string
  target: string
}

/** Takes up what an earlier attempt has left, and leaves something itself when the failure may pass. */
async function writeVerified(source: BlobSource, o: Expected): Promise<void> {
  const { expected, root, target } = o
  const temporary = join(root, 'ingest', randomUUID())
  const partial = join(root, partialFolder, hexOf(expected.digest))
  const isResumable = typeof source === 'function'
  // The rename makes it ours: nobody else can take up the same bytes.
  const resumed = isResumable && (await rename(partial, temporary).then(() => true, absent))
  try {
    const written = await writeFlushed(temporary, isResumable ? source : () => source, expected)
    if (written.digest !== expected.digest) throw mismatch(expected.digest, written.digest)
    await rename(temporary, target)
  } catch (error) {
    const came = (await stat(temporary).catch(absent))?.size ?? 0
    if (isResumable && came > 0 && error instanceof CoracleError && error.retryable) {
      await mkdir(join(root, partialFolder), { recursive: true, mode: 0o700 })
      await rename(temporary, partial).catch(absent)
      throw error
    }
    await rm(temporary, { force: true })
    // Whose fault it is, that of the old bytes or of the new ones, shows when all of them are new.
    if (resumed && hasCode(error, 'IMAGE_DIGEST_MISMATCH')) return writeVerified(source, o)
    throw error
  }
}

const partialFolder = 'partial'
const partialLivesMs = 24 * 3_600_000

/** Removes what is left of downloads that nobody has taken up for a day; `now` in milliseconds. */
export async function sweepPartial(root: string, now: number): Promise<void> {
  const folder = join(root, partialFolder)
  for (const name of (await readdir(folder).catch(absent)) ?? []) {
    const found = await stat(join(folder, name)).catch(absent)
    if (found && now - found.mtimeMs > partialLivesMs) await rm(join(folder, name), { force: true })
  }
}

async function writeFlushed(
  path: string,
  source: (have: number) => AsyncIterable<Uint8Array>,
  expected: { digest: Digest; size: number } | undefined,
): Promise<{ digest: Digest; size: number }> {
  await using file: FileHandle = await open(path, 'a+', 0o600)
  const hash = newHash()
  let { size } = await file.stat()
  if (size > 0) for await (const chunk of fileSource(path, { start: 0, end: size })) hash.update(chunk)
  for await (const chunk of source(size)) {
    size += chunk.length
    // More than announced can only be wrong, and must not fill the disk before that is found out.
    if (expected && size > expected.size) break
    hash.update(chunk)
    await file.write(chunk)
  }
  if (expected && size !== expected.size) {
    const came = size > expected.size ? 'more came' : `${size} came`
    throw imageError('IMAGE_DIGEST_MISMATCH', `store blob ${expected.digest}: ${expected.size} bytes promised, ${came}`)
  }
  await file.sync()
  return { digest: finish(hash), size }
}

async function readVerified(path: string, digest: Digest): Promise<Buffer> {
  const found = await stat(path).catch(absent)
  if (!found) throw imageError('IMAGE_NOT_FOUND', `read blob ${digest}: it is not in the store`)
  if (found.size > maximumDocumentBytes) {
    throw imageError('IMAGE_MANIFEST_INVALID', `read blob ${digest}: ${found.size} bytes are no document`)
  }
  const bytes = await readFile(path)
  const actual = digestOf(bytes)
  if (actual !== digest) {
    throw imageError('IMAGE_DIGEST_MISMATCH', `read blob ${digest}: its file is damaged, it holds ${actual}`, {
      hint: 'remove the image and pull it again',
    })
  }
  return bytes
}

function mismatch(promised: Digest, came: Digest) {
  return imageError('IMAGE_DIGEST_MISMATCH', `store blob ${promised}: the bytes that came are ${came}`)
}

/** For `stat`: no such file is an answer, all else an error. */
function absent(error: unknown): undefined {
  if (errnoOf(error) === 'ENOENT') return undefined
  throw error
}
