import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs'
import { errnoOf } from '../../runtime/base/errors.ts'
import { O_DIRECTORY, O_PATH, O_RDONLY, openBelow } from '../../runtime/linux/at-files.ts'
import type { ReadImageFile } from './user.ts'

const maxBytes = 1024 * 1024

/**
 * Reads small text files of an image that is not mounted anywhere, from its layers, the topmost first. A path is
 * resolved inside its layer only (openat2), and never blocks on a fifo that an image may have put there.
 */
export function imageFileReader(lower: readonly string[]): ReadImageFile {
  return async (path) => {
    for (const layer of lower) {
      const found = readBelow(layer, path)
      if (found !== 'not here') return found
    }
    return undefined
  }
}

/** Undefined when the layer says that the file is gone (a whiteout), or when it is not a file. */
function readBelow(layer: string, path: string): string | undefined | 'not here' {
  const root = openSync(layer, O_PATH | O_DIRECTORY)
  try {
    const fd = openBelow(root, Buffer.from(path.replace(/^\/+/, '')), { flags: O_RDONLY | constants.O_NONBLOCK })
    try {
      const facts = fstatSync(fd)
      if (!facts.isFile()) return undefined
      const bytes = Buffer.alloc(Math.min(facts.size, maxBytes))
      return bytes.subarray(0, readSync(fd, bytes, 0, bytes.length, 0)).toString()
    } finally {
      closeSync(fd)
    }
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return 'not here'
    // Opening a whiteout (device 0:0) fails so: the file was deleted by this layer.
    if (errnoOf(error) === 'ENXIO') return undefined
    throw error
  } finally {
    closeSync(root)
  }
}
