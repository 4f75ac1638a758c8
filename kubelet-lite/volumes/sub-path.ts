/**
 * `subPath`: one file or directory of a volume. What the path means is decided by whoever writes into the volume, that
 * is, by a container: so it is resolved below the volume by openat2, and bound by descriptor to a place of our own that
 * no container can change (CVE-2017-1002101, CVE-2021-25741).
 */
import { closeSync, fchmodSync, fstatSync, mkdirSync, openSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { errnoOf } from '../../runtime/base/errors.ts'
import { mkdirAt, O_DIRECTORY, O_PATH, O_RDONLY, openBelow } from '../../runtime/linux/at-files.ts'
import { isMountPoint, mount, unmount } from '../../runtime/linux/mount.ts'
import { stepFailed } from '../errors.ts'
import { podDirectory } from '../pod-directory.ts'

export interface SubPathInput {
  root: string
  podUid: string
  container: string
  /** The mount's place in the container's list: a volume may be mounted in parts. */
  index: number
  volume: string
  path: string
}

/** Where the part of the volume is bound. Directories that are missing are made. Throws `CreateContainerConfigError`. */
export function bindSubPath(input: SubPathInput): string {
  const parts = input.path.split('/').filter((part) => part !== '' && part !== '.')
  if (input.path.startsWith('/') || parts.includes('..')) {
    throw stepFailed('CreateContainerConfigError', `subPath "${input.path}" must stay inside its volume`)
  }
  const root = openSync(input.volume, O_PATH | O_DIRECTORY)
  try {
    const inner = openOrMake(root, parts)
    try {
      return bindTo(input, inner)
    } finally {
      closeSync(inner)
    }
  } catch (error) {
    throw stepFailed('CreateContainerConfigError', error, `failed to prepare subPath "${input.path}"`)
  } finally {
    closeSync(root)
  }
}

function openOrMake(root: number, parts: readonly string[]): number {
  const path = Buffer.from(parts.join('/') || '.')
  try {
    return openBelow(root, path, { flags: O_PATH })
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error
  }
  const folder = openOrMake(root, parts.slice(0, -1))
  try {
    makeFolder(folder, Buffer.from(parts.at(-1) ?? ''), fstatSync(root).mode & 0o7777)
  } finally {
    closeSync(folder)
  }
  return openBelow(root, path, { flags: O_PATH })
}

/** A new folder may be used by whoever may use the volume. The mode is set past the umask, and never through a link. */
function makeFolder(folder: number, name: Buffer, mode: number): void {
  mkdirAt(folder, name, mode)
  const made = openBelow(folder, name, { flags: O_DIRECTORY | O_RDONLY, symlinks: 'refuse' })
  try {
    fchmodSync(made, mode)
  } finally {
    closeSync(made)
  }
}

function bindTo(input: SubPathInput, inner: number): string {
  const { root, podUid, container, index } = input
  const place = join(podDirectory(root, podUid), 'volume-subpaths', container, String(index))
  if (isMountPoint(place)) unmount(place, { detach: true })
  mkdirSync(dirname(place), { recursive: true, mode: 0o750 })
  if (fstatSync(inner).isDirectory()) mkdirSync(place, { recursive: true })
  else writeFileSync(place, '', { flag: 'a' })
  mount({ source: `/proc/self/fd/${inner}`, target: place, type: '', flags: ['bind', 'rec'] })
  return place
}
