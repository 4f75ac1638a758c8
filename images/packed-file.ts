import { readSync } from 'node:fs'

/** How much of a file may be read: so many bytes for now, or all that is in it. */
export interface Have {
  bytes: number
  isWhole: boolean
}

/** A blob's file from its beginning to its end, also while it is still being written. */
export class PackedFile {
  readonly #fd: number
  #have: Have
  #at = 0
  #failure: Error | undefined
  /** Somebody waits for more. */
  #wake: PromiseWithResolvers<void> | undefined

  constructor(fd: number, have: Have) {
    this.#fd = fd
    this.#have = have
  }

  /** So many bytes have been read. */
  get bytesRead(): number {
    return this.#at
  }

  grown(have: Have): void {
    this.#have = have
    this.#wake?.resolve()
    this.#wake = undefined
  }

  /** Whoever waits for more, now or later, gets this error. */
  fail(error: Error): void {
    this.#failure = error
    this.#wake?.reject(error)
    this.#wake = undefined
  }

  /** The next bytes, as many as are there and fit; 0 at the end. Waits for those that are still to come. */
  async read(into: Uint8Array): Promise<number> {
    while (!this.#have.isWhole && this.#at >= this.#have.bytes) {
      if (this.#failure) throw this.#failure
      this.#wake ??= Promise.withResolvers<void>()
      await this.#wake.promise
    }
    const most = this.#have.isWhole ? into.length : Math.min(into.length, this.#have.bytes - this.#at)
    const count = readSync(this.#fd, into, 0, most, this.#at)
    this.#at += count
    return count
  }
}
