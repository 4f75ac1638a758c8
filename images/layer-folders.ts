import { closeSync, fchmodSync } from 'node:fs'
import { errnoOf } from '../runtime/base/errors.ts'
import { mkdirAt, O_DIRECTORY, O_NOFOLLOW, O_PATH, O_RDONLY, openBelow } from '../runtime/linux/at-files.ts'
import { imageError } from './errors.ts'
import { withChild } from './layer-files.ts'

/**
 * The folders of a layer that is being written, by path from its root. Symbolic links in a path are followed inside the
 * root, because the layer has made them itself. Archives go through a tree in order, so the last folder is kept open.
 */
export class LayerFolders {
  readonly #root: number
  /** Paths of folders that were made because something lies in them; latin1 keeps all bytes. */
  readonly #implicit = new Set<string>([''])
  #last: { path: string; fd: number } | undefined
  /** The folder of the last link's target. */
  #source: number | undefined

  constructor(root: number) {
    this.#root = root
  }

  /** The folder, created with its parents where they are missing. The descriptor is valid until the next call. */
  open(path: readonly Buffer[]): number {
    const joined = join(path)
    if (this.#last?.path === joined) return this.#last.fd
    const fd = this.#openOrUndefined(path) ?? this.#make(path)
    if (this.#last) closeSync(this.#last.fd)
    this.#last = { path: joined, fd }
    return fd
  }

  /** As `open`, without creating anything; undefined when it is not there. Keeps the folder of `open` valid. */
  openExisting(path: readonly Buffer[]): number | undefined {
    // Not kept from one link to the next: what is at its path may be another folder by then.
    if (this.#source !== undefined) closeSync(this.#source)
    this.#source = this.#openOrUndefined(path)
    return this.#source
  }

  /** Opens a folder for reading, not through a symbolic link at its end, while `act` runs. */
  withFolder(path: Buffer, act: (fd: number) => void): void {
    let fd: number
    try {
      fd = openBelow(this.#root, path, { flags: O_RDONLY | O_DIRECTORY | O_NOFOLLOW })
    } catch (error) {
      // A later entry of the same layer has put something else in its place.
      if (['ENOENT', 'ENOTDIR', 'ELOOP'].includes(errnoOf(error) ?? '')) return
      throw error
    }
    try {
      act(fd)
    } finally {
      closeSync(fd)
    }
  }

  /** The layer names this folder itself; the path is in latin1. */
  named(path: string): void {
    this.#implicit.delete(path)
  }

  /** Folders that the layer never named, parents first. */
  implicit(): Buffer[] {
    return [...this.#implicit].sort().map((path) => Buffer.from(path, 'latin1'))
  }

  close(): void {
    if (this.#last) closeSync(this.#last.fd)
    if (this.#source !== undefined) closeSync(this.#source)
    this.#last = undefined
    this.#source = undefined
  }

  #openOrUndefined(path: readonly Buffer[]): number | undefined {
    try {
      return openBelow(this.#root, Buffer.from(join(path) || '.', 'latin1'), { flags: O_PATH | O_DIRECTORY })
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return undefined
      throw blocked(path, error)
    }
  }

  #make(path: readonly Buffer[]): number {
    for (let depth = 1; depth <= path.length; depth++) {
      const here = path.slice(0, depth)
      const there = this.#openOrUndefined(here)
      if (there !== undefined) {
        closeSync(there)
        continue
      }
      const parent = this.#openOrUndefined(here.slice(0, -1))
      const name = here.at(-1)
      if (parent === undefined || name === undefined) throw blocked(path, undefined)
      try {
        mkdirAt(parent, name, 0o755)
        // Whatever the umask of this process is.
        withChild(parent, name, (fd) => fchmodSync(fd, 0o755))
      } catch (error) {
        // EEXIST: a symbolic link that leads nowhere.
        throw blocked(here, error)
      } finally {
        closeSync(parent)
      }
      this.#implicit.add(join(here))
    }
    const made = this.#openOrUndefined(path)
    if (made === undefined) throw blocked(path, undefined)
    return made
  }
}

function join(path: readonly Buffer[]): string {
  return path.map((part) => part.toString('latin1')).join('/')
}

function blocked(path: readonly Buffer[], cause: unknown) {
  const shown = Buffer.from(join(path), 'latin1').toString()
  const reason = errnoOf(cause) === 'EEXIST' ? 'a link that leads nowhere is in the way' : 'a file is in the way'
  return imageError('IMAGE_LAYER_INVALID', `open folder ${JSON.stringify(shown)} of a layer: ${reason}`, { cause })
}
