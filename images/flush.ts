import { closeSync, openSync } from 'node:fs'
import { syncFilesystem } from '../runtime/linux/at-files.ts'

/** Of packed layers; unpacked it is two or three times as much, which a disk writes in a fraction of a second. */
const betweenBytes = 32 << 20

/**
 * Has the disk write while layers are still being unpacked, so that the flush before they get their names finds little left:
 * syncfs(2) on a thread of the pool, never two at a time.
 */
export class Flush {
  readonly #folder: number
  #waiting = 0
  #running: Promise<void> | undefined
  #failed: unknown

  /** `path` is a folder of the filesystem. */
  constructor(path: string) {
    this.#folder = openSync(path, 'r')
  }

  /** Something has been written that came from so many more packed bytes. */
  wrote(bytes: number): void {
    this.#waiting += bytes
    if (this.#running || this.#waiting < betweenBytes) return
    this.#waiting = 0
    this.#running = this.#flushNow()
  }

  async #flushNow(): Promise<void> {
    try {
      await syncFilesystem(this.#folder)
      this.#running = undefined
    } catch (error) {
      // Told once to each open file (syncfs(2)): the last flush would not hear of it, so that one is not tried.
      this.#failed = error
    }
  }

  /** Everything is on the disk when this returns. Throws KERNEL, also for what went wrong earlier. */
  async finish(): Promise<void> {
    await this.#running
    if (this.#failed !== undefined) throw this.#failed
    await syncFilesystem(this.#folder)
  }

  /** Once nothing runs any more. */
  async close(): Promise<void> {
    await this.#running
    closeSync(this.#folder)
  }
}
