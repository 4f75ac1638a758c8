import { randomUUID } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { type FileHandle, mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { CoracleError, errnoOf, hasCode } from '../runtime/base/errors.ts'
import { type Arrival, Arrivals } from './arrivals.ts'
import { type Digest, digestOf, finish, hexOf, newHash } from './digest.ts'
import { imageError } from './errors.ts'
import { maximumDocumentBytes } from './manifest.ts'

/**
 * Bytes by their digest: `blobs/sha256/<hex>`, as in an OCI image layout. A blob appears whole and verified or not at
 * all: it is written in `ingest/`, flushed, compared with its digest and then renamed.
 */
export interface BlobStore {
  /** Blobs that `write` is storing now. */
  arrivals: Arrivals
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
  const arrivals = new Arrivals()

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
    arrivals,
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
    write: (source, expected) => writeVerified(source, { expected, root, target: pathOf(expected.digest), arrivals }),
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
  arrivals: Arrivals
}

/** Takes up what an earlier attempt has left, and leaves something itself when the failure may pass. */
async function writeVerified(source: BlobSource, o: Expected): Promise<void> {
  const { expected, root, target, arrivals } = o
  const temporary = join(root, 'ingest', randomUUID())
  const partial = join(root, partialFolder, hexOf(expected.digest))
  const isResumable = typeof source === 'function'
  // The rename makes it ours: nobody else can take up the same bytes.
  const resumed = isResumable && (await rename(partial, temporary).then(() => true, absent))
  const arrival = arrivals.begin(expected.digest, temporary)
  try {
    await writeFlushed(temporary, isResumable ? source : () => source, { ...expected, arrival })
    await rename(temporary, target)
  } catch (error) {
    arrival.settle('broken')
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
  } finally {
    arrivals.end(expected.digest, arrival)
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

/** Throws `IMAGE_DIGEST_MISMATCH` if the bytes are not those that are `promised`. */
async function writeFlushed(
  path: string,
  source: (have: number) => AsyncIterable<Uint8Array>,
  promised: { digest: Digest; size: number; arrival: Arrival } | undefined,
): Promise<{ digest: Digest; size: number }> {
  await using file: FileHandle = await open(path, 'a+', 0o600)
  const hash = newHash()
  let { size } = await file.stat()
  if (size > 0) for await (const chunk of fileSource(path, { start: 0, end: size })) hash.update(chunk)
  promised?.arrival.grow(size)
  const gathered = new GatheredWrites(file)
  try {
    for await (const chunk of source(size)) {
      size += chunk.length
      // More than announced can only be wrong, and must not fill the disk before that is found out.
      if (promised && size > promised.size) break
      hash.update(chunk)
      if (await gathered.add(chunk)) promised?.arrival.grow(size)
    }
  } finally {
    // Also what came before the source broke off: the next attempt goes on behind it.
    await gathered.flush()
  }
  if (promised && size !== promised.size) {
    const came = size > promised.size ? 'more came' : `${size} came`
    throw imageError('IMAGE_DIGEST_MISMATCH', `store blob ${promised.digest}: ${promised.size} bytes promised, ${came}`)
  }
  const digest = finish(hash)
  if (promised && digest !== promised.digest) throw mismatch(promised.digest, digest)
  // Before they are flushed, which takes its time: whoever reads along has all of them now.
  promised?.arrival.settle('verified')
  await file.sync()
  return { digest, size }
}

/** Network pieces are small, and each write goes to a thread and back. */
class GatheredWrites {
  readonly #file: FileHandle
  #kept: Uint8Array[] = []
  #bytes = 0

  constructor(file: FileHandle) {
    this.#file = file
  }

  /** True when all that was added is in the file now. */
  async add(chunk: Uint8Array): Promise<boolean> {
    this.#kept.push(chunk)
    this.#bytes += chunk.length
    if (this.#bytes < gatherBytes) return false
    await this.flush()
    return true
  }

  async flush(): Promise<void> {
    const [kept, bytes] = [this.#kept, this.#bytes]
    this.#kept = []
    this.#bytes = 0
    if (bytes === 0) return
    const { bytesWritten } = await this.#file.writev(kept)
    if (bytesWritten === bytes) return
    // write(2) may take less than all, without an error, when the disk is about to be full.
    const left = Buffer.concat(kept).subarray(bytesWritten)
    for (let at = 0; at < left.length; ) at += (await this.#file.write(left, at)).bytesWritten
  }
}

const gatherBytes = 1 << 19

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
