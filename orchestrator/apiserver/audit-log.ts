/** Lines in a file, off the path of requests: they are gathered and written together; a file that is full is put aside. */
import { mkdirSync } from 'node:fs'
import { type FileHandle, open, readdir, rename, rm } from 'node:fs/promises'
import { basename, dirname, extname, join } from 'node:path'
import type { Clock } from '../../runtime/base/clock.ts'
import { messageOf } from '../../runtime/base/errors.ts'
import type { Log } from '../../runtime/base/log.ts'
import type { AuditSink } from './audit.ts'

export interface AuditLogOptions {
  /** As kube-apiserver's `--audit-log-path`. */
  readonly path: string
  /** As `--audit-log-maxsize`, in bytes. */
  readonly largestBytes: number
  /** As `--audit-log-maxbackup`: so many full files are kept; 0: all. */
  readonly backups: number
  readonly clock: Clock
  readonly log: Log
}

const gatherMs = 50
/** More than this that a slow disk has not taken is dropped, and said so. */
const largestBacklogBytes = 64 * 1024 * 1024

export class AuditLog implements AuditSink {
  readonly #options: AuditLogOptions
  #file: FileHandle | undefined
  #size = 0
  #lines: string[] = []
  #waitingBytes = 0
  #dropped = 0
  #aside = 0
  #timer: NodeJS.Timeout | undefined
  #writing: Promise<void> = Promise.resolve()

  constructor(options: AuditLogOptions) {
    this.#options = options
  }

  write(line: string): void {
    if (this.#waitingBytes > largestBacklogBytes) {
      this.#dropped++
      return
    }
    this.#waitingBytes += line.length
    this.#lines.push(line)
    this.#timer ??= setTimeout(() => this.#flush(), gatherMs)
  }

  /** Resolves when every line is in the file. */
  async close(): Promise<void> {
    this.#flush()
    await this.#writing
    await this.#file?.close()
  }

  #flush(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#writing = this.#writing
      .then(() => this.#writeAll())
      .catch((error: unknown) => {
        this.#options.log.error('the audit log cannot be written', {
          path: this.#options.path,
          error: messageOf(error),
        })
      })
  }

  async #writeAll(): Promise<void> {
    if (this.#lines.length === 0) return
    const lines = this.#lines
    this.#lines = []
    this.#waitingBytes = 0
    if (this.#dropped > 0)
      this.#options.log.error('audit events were lost: the disk is too slow', { lost: this.#dropped })
    this.#dropped = 0
    for (const piece of this.#piecesOf(lines)) {
      const bytes = Buffer.from(piece)
      await this.#opened()
      if (this.#size > 0 && this.#size + bytes.length > this.#options.largestBytes) await this.#putAside()
      await (await this.#opened()).appendFile(bytes)
      this.#size += bytes.length
    }
  }

  /** Lines together, each piece no larger than a file may be, unless one line is. */
  #piecesOf(lines: readonly string[]): string[] {
    const pieces: string[] = []
    let piece = ''
    for (const line of lines) {
      if (piece !== '' && piece.length + line.length > this.#options.largestBytes) {
        pieces.push(piece)
        piece = ''
      }
      piece += line
    }
    return [...pieces, piece]
  }

  async #opened(): Promise<FileHandle> {
    if (this.#file) return this.#file
    mkdirSync(dirname(this.#options.path), { recursive: true, mode: 0o700 })
    this.#file = await open(this.#options.path, 'a', 0o600)
    this.#size = (await this.#file.stat()).size
    return this.#file
  }

  async #putAside(): Promise<void> {
    const { path, backups, clock } = this.#options
    await this.#file?.close()
    this.#file = undefined
    this.#size = 0
    const extension = extname(path)
    const stem = basename(path, extension)
    const time = new Date(clock.now()).toISOString().replaceAll(':', '-').replace('Z', '')
    const folder = dirname(path)
    // Within one millisecond the number tells which came first.
    const number = String(this.#aside++).padStart(6, '0')
    await rename(path, join(folder, `${stem}-${time}-${number}${extension}`))
    if (backups === 0) return
    const older = (await readdir(folder))
      .filter((name) => name.startsWith(`${stem}-`) && name.endsWith(extension))
      .sort()
    for (const name of older.slice(0, -backups)) await rm(join(folder, name))
  }
}
