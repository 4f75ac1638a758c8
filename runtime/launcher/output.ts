import { readSync } from 'node:fs'
import { Socket } from 'node:net'
import { ReadStream } from 'node:tty'
import { errnoOf } from '../base/errors.ts'

/** At most this much is read after the process has ended; a descendant that writes for ever must not hold us. */
const drainBytes = 4 * 1024 * 1024

/** One for all: what is drained is copied out of it at once. */
const drained = Buffer.alloc(65536)

/** Reads one output of a process, a pipe or the master of a terminal, and owns the descriptor. */
export class Output {
  readonly fd: number
  readonly #stream: Socket
  readonly #onData: (chunk: Buffer) => void
  #open = true

  constructor(fd: number, kind: 'pipe' | 'terminal', onData: (chunk: Buffer) => void) {
    this.fd = fd
    this.#onData = onData
    this.#stream = kind === 'pipe' ? new Socket({ fd, readable: true, writable: false }) : new ReadStream(fd)
    this.#stream.on('data', (chunk: Buffer) => onData(chunk))
    // A terminal whose other side is gone answers EIO: that is its end of file.
    this.#stream.on('error', () => this.close())
    this.#stream.on('close', () => {
      this.#open = false
    })
  }

  /** For a reader that is slower than the process. */
  pause(): void {
    this.#stream.pause()
  }

  resume(): void {
    this.#stream.resume()
  }

  /** Everything that was written before now, at once: the process has ended and nothing may be lost. */
  drain(): void {
    // A stream that was paused has a chunk that it has read and not yet told; read() tells it, by a `data` event.
    while (this.#stream.read() !== null);
    // A stream that has met its end has closed the descriptor before it says so: by now that may be another container's.
    for (let total = 0; this.#open && !this.#stream.destroyed && total < drainBytes; ) {
      const got = readNow(this.fd, drained)
      if (got === 0) break
      total += got
      this.#onData(Buffer.from(drained.subarray(0, got)))
    }
  }

  close(): void {
    this.#open = false
    this.#stream.destroy()
  }
}

function readNow(fd: number, buffer: Buffer): number {
  try {
    return readSync(fd, buffer)
  } catch (error) {
    const errno = errnoOf(error)
    if (errno === 'EAGAIN' || errno === 'EIO' || errno === 'EBADF') return 0
    throw error
  }
}
