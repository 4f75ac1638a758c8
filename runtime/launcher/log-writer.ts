import { closeSync, existsSync, fstatSync, mkdirSync, openSync, renameSync, rmSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Log } from '../base/log.ts'
import type { LogOptions } from './protocol.ts'

/** Longer lines are cut into entries of this size, tagged P but for the last (CRI log format). */
const chunkBytes = 16 * 1024

/**
 * A container's log as the kubelet reads it: `<RFC 3339 with nanoseconds> stdout F line`. A line that ends without a
 * newline, at the end of output, is tagged P: its newline was never there.
 */
export class LogWriter {
  readonly #options: LogOptions
  readonly #log: Log
  readonly #rest = { stdout: Buffer.alloc(0) as Buffer, stderr: Buffer.alloc(0) as Buffer }
  #fd: number | undefined
  #bytes = 0
  #failing = false

  constructor(options: LogOptions, log: Log) {
    this.#options = options
    this.#log = log
  }

  /**
   * Takes output as it comes; what comes together has the same time. Never throws: a full disk must not stop a container; it
   * is reported once.
   */
  write(stream: 'stdout' | 'stderr', chunk: Buffer): void {
    const rest = this.#rest[stream]
    // A character for each byte, whatever they mean: texts are cut and joined much faster than buffers.
    const data = (rest.length === 0 ? chunk : Buffer.concat([rest, chunk])).toString('latin1')
    const begin = `${timestamp()} ${stream} `
    let entries = ''
    let from = 0
    for (;;) {
      const end = data.indexOf('\n', from)
      const stop = end < 0 ? data.length : end
      for (; stop - from > chunkBytes; from += chunkBytes) {
        entries += `${begin}P ${data.slice(from, from + chunkBytes)}\n`
      }
      if (end < 0) break
      entries += `${begin}F ${data.slice(from, end)}\n`
      from = end + 1
    }
    this.#rest[stream] = Buffer.from(data.slice(from), 'latin1')
    if (entries !== '') this.#append(Buffer.from(entries, 'latin1'))
  }

  /** Opens the file anew under its name: somebody has renamed it. */
  reopen(): void {
    this.#closeFile()
  }

  close(): void {
    for (const stream of ['stdout', 'stderr'] as const) {
      const rest = this.#rest[stream].toString('latin1')
      if (rest !== '') this.#append(Buffer.from(`${timestamp()} ${stream} P ${rest}\n`, 'latin1'))
      this.#rest[stream] = Buffer.alloc(0)
    }
    this.#closeFile()
  }

  #append(bytes: Buffer): void {
    try {
      const { maxBytes } = this.#options
      if (
        maxBytes !== undefined &&
        this.#fd !== undefined &&
        this.#bytes > 0 &&
        this.#bytes + bytes.length > maxBytes
      ) {
        this.#rotate()
      }
      this.#fd ??= this.#open()
      for (let at = 0; at < bytes.length; ) at += writeSync(this.#fd, bytes, at)
      this.#bytes += bytes.length
      this.#failing = false
    } catch (error) {
      if (!this.#failing)
        this.#log.error('container log cannot be written; output is lost', { path: this.#options.path, error })
      this.#failing = true
    }
  }

  #open(): number {
    const { path } = this.#options
    // One level: mkdir with `recursive` never returns where the kernel refuses folders with ENOENT, such as in /proc.
    if (!existsSync(dirname(path))) mkdirSync(dirname(path), { mode: 0o755 })
    const fd = openSync(path, 'a', 0o640)
    this.#bytes = fstatSync(fd).size
    return fd
  }

  /** `0.log` → `0.log.1` → `0.log.2` …; the oldest goes. */
  #rotate(): void {
    this.#closeFile()
    const { path, maxFiles = 2 } = this.#options
    rmSync(`${path}.${maxFiles - 1}`, { force: true })
    for (let at = maxFiles - 2; at >= 1; at--) renameIfThere(`${path}.${at}`, `${path}.${at + 1}`)
    if (maxFiles > 1) renameIfThere(path, `${path}.1`)
    else rmSync(path, { force: true })
  }

  #closeFile(): void {
    if (this.#fd !== undefined) closeSync(this.#fd)
    this.#fd = undefined
  }
}

function renameIfThere(from: string, to: string): void {
  try {
    renameSync(from, to)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
}

const nanosecondsPerMillisecond = 1_000_000n
/** The clock of the machine is at this when the one that never goes back is at 0. */
let offset = 0n
/** Further apart than this, somebody has set the clock of the machine, or it has slept. */
const largestDrift = 10n * nanosecondsPerMillisecond

/** Now, with nanoseconds: lines of one millisecond keep their order. */
export function timestamp(): string {
  const [wall, steady] = [BigInt(Date.now()) * nanosecondsPerMillisecond, process.hrtime.bigint()]
  const drift = wall - offset - steady
  if (drift > largestDrift || drift < -largestDrift) offset = wall - steady
  const now = offset + steady
  const seconds = new Date(Number(now / nanosecondsPerMillisecond)).toISOString().slice(0, 19)
  return `${seconds}.${String(now % 1_000_000_000n).padStart(9, '0')}Z`
}
