import { closeSync, fchmodSync, fchownSync, fstatSync, openSync } from 'node:fs'
import { CoracleError, errnoOf, messageOf } from '../runtime/base/errors.ts'
import { futimes, O_DIRECTORY, O_NOFOLLOW, O_RDONLY, openBelow } from '../runtime/linux/at-files.ts'
import { sha256 } from '../runtime/linux/hash.ts'
import { type LayerReport, LayerWriter } from './apply-layer.ts'
import type { Digest } from './digest.ts'
import { imageError, isHostFault } from './errors.ts'
import type { Compression } from './manifest.ts'
import type { Have, PackedFile } from './packed-file.ts'
import { TarReader } from './tar-reader.ts'
import { uncompressed } from './uncompress.ts'

/** One layer to unpack. */
export interface UnpackJob {
  /** Descriptor of the blob's file, and how much of it is there; its own digest is another's business. */
  blob: number
  have: Have
  compression: Compression
  /** Digest of the layer without compression. */
  diffId: Digest
  /** An empty folder that nobody else writes to. */
  directory: string
  /** Most bytes that the layer may have without compression. */
  maximumBytes: number
}

export interface UnpackOptions {
  signal?: AbortSignal
  /** Told now and then how many bytes of the blob have been read. */
  onProgress?: (bytes: number) => void
}

const tellEveryMs = 100

/**
 * Unpacks a layer; the folder is good only if this returns. Throws `IMAGE_LAYER_INVALID`, `IMAGE_DIGEST_MISMATCH`,
 * `IMAGE_TOO_LARGE`, `IMAGE_UNSUPPORTED`, `IMAGE_STORE`.
 */
export async function unpackLayer(file: PackedFile, job: UnpackJob, o: UnpackOptions = {}): Promise<LayerReport> {
  const root = openSync(job.directory, O_RDONLY | O_DIRECTORY)
  const writer = new LayerWriter(root)
  const hash = sha256()
  let hashing = Promise.resolve()
  try {
    const reader = new TarReader(writer)
    let bytes = 0
    let toldAt = performance.now()
    for await (const chunk of uncompressed(file, job.compression)) {
      o.signal?.throwIfAborted()
      bytes += chunk.length
      if (bytes > job.maximumBytes) throw tooLarge(job)
      hashing = hash.update(chunk)
      reader.write(chunk)
      await hashing
      // Holes cost nothing here, but whoever reads the file gets all of its zeros.
      if (bytes + writer.holeBytes > job.maximumBytes) throw tooLarge(job)
      if (performance.now() - toldAt < tellEveryMs) continue
      toldAt = performance.now()
      o.onProgress?.(file.bytesRead)
    }
    reader.end()
    const actual: Digest = `sha256:${hash.digest().toString('hex')}`
    if (actual !== job.diffId) {
      throw imageError(
        'IMAGE_DIGEST_MISMATCH',
        `unpack layer: the configuration promises ${job.diffId}, it is ${actual}`,
      )
    }
    const report = writer.finish()
    o.onProgress?.(file.bytesRead)
    return report
  } catch (error) {
    if (error instanceof CoracleError && error.code !== 'KERNEL') throw error
    const facts = errnoOf(error) === undefined ? {} : { errno: errnoOf(error) ?? '' }
    const code = isHostFault(error) ? 'IMAGE_STORE' : 'IMAGE_LAYER_INVALID'
    throw imageError(code, `unpack layer ${job.diffId}: ${messageOf(error)}`, { cause: error, facts })
  } finally {
    // It reads the piece that something else has failed on.
    await hashing.catch(() => {})
    hash.close()
    writer.close()
    closeSync(root)
  }
}

/** Folders of one layer to complete, and the layers below it. */
export interface InheritStep {
  directory: string
  /** Those that the layer does not name itself. */
  folders: readonly Uint8Array[]
  /** Paths of the layers below, the topmost first. */
  lower: readonly string[]
}

/**
 * Gives folders that a layer has only made on the way the looks of the topmost layer below that has them: overlayfs shows
 * those of the uppermost, and a layer with `tmp/x` must not take the sticky bit from /tmp.
 */
export function inheritFolders({ directory, folders, lower }: InheritStep): void {
  const roots = [directory, ...lower].map((path) => openSync(path, O_RDONLY | O_DIRECTORY))
  const [own = -1, ...below] = roots
  try {
    for (const folder of folders) {
      const path = folder.length === 0 ? Buffer.from('.') : folder
      const found = below.map((root) => openFolder(root, path)).find((fd) => fd !== undefined)
      const target = openFolder(own, path)
      try {
        if (found !== undefined && target !== undefined) copyLooks(found, target)
        // The same image always makes the same folders, whenever it is unpacked.
        else if (target !== undefined) futimes(target, 0n)
      } finally {
        for (const fd of [found, target]) if (fd !== undefined) closeSync(fd)
      }
    }
  } finally {
    for (const fd of roots) closeSync(fd)
  }
}

function openFolder(root: number, path: Uint8Array): number | undefined {
  try {
    return openBelow(root, path, { flags: O_RDONLY | O_DIRECTORY | O_NOFOLLOW, symlinks: 'refuse' })
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'ELOOP'].includes(errnoOf(error) ?? '')) return undefined
    throw error
  }
}

function copyLooks(from: number, to: number): void {
  const stat = fstatSync(from, { bigint: true })
  fchownSync(to, Number(stat.uid), Number(stat.gid))
  fchmodSync(to, Number(stat.mode) & 0o7777)
  futimes(to, stat.mtimeNs)
}

function tooLarge({ diffId, maximumBytes }: UnpackJob) {
  return imageError('IMAGE_TOO_LARGE', `unpack layer ${diffId}: it has more than ${maximumBytes} bytes`, {
    hint: 'raise the limit for layers if the image is trusted',
  })
}
