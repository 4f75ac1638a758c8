/** A container's log file (CRI log format: `<RFC 3339 time> <stream> <F|P> <text>`) as `kubectl logs` wants to see it. */
import { createReadStream } from 'node:fs'
import { open, readdir, rm, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { type Clock, systemClock } from '../runtime/base/clock.ts'
import { logsDirectory, type PodIdentity } from './pod-directory.ts'

/** PodLogOptions, parsed (API reference). */
export interface LogOptions {
  follow: boolean
  timestamps: boolean
  tailLines?: number
  limitBytes?: number
  /** Only lines from this time on; milliseconds since the epoch. */
  since?: number
  /** Only this stream; both when left out. */
  stream?: 'stdout' | 'stderr'
}

export interface LogReader {
  path: string
  options: LogOptions
  clock: Clock
  signal: AbortSignal
  /** While true, `follow` waits for more at the end of the file. */
  running: () => Promise<boolean>
}

const followPollMs = 100
const partial = 'P'

/** The log's text in pieces of many lines, as they become known. Ends at the end of the log, or when its container has ended. */
export async function* readLog(reader: LogReader): AsyncIterable<Buffer> {
  let left = reader.options.limitBytes ?? Number.POSITIVE_INFINITY
  for await (const text of selected(reader)) {
    const bytes = Buffer.from(text)
    yield bytes.subarray(0, left)
    left -= bytes.length
    if (left <= 0) return
  }
}

const lastWordsLines = 80
const lastWordsBytes = 2048

/** The end of a log, for a status: at most 80 lines and 2048 bytes (API reference: terminationMessagePolicy). Empty without a log. */
export async function lastWords(path: string): Promise<string> {
  const chunks: Buffer[] = []
  const options = { follow: false, timestamps: false, tailLines: lastWordsLines }
  const signal = new AbortController().signal
  try {
    for await (const chunk of readLog({ path, options, clock: systemClock, signal, running: async () => false })) {
      chunks.push(chunk)
    }
  } catch {
    return ''
  }
  return Buffer.concat(chunks).subarray(-lastWordsBytes).toString()
}

interface Entry {
  time: string
  stream: string
  text: string
  whole: boolean
}

async function* selected(reader: LogReader): AsyncIterable<string> {
  const { options } = reader
  const start = options.tailLines === undefined ? undefined : await tailStart(reader, options.tailLines)
  const show = showing(options)
  for await (const lines of rawLines(reader, start)) {
    let text = ''
    for (const line of lines) text += show(line)
    if (text !== '') yield text
  }
}

/** What is shown of one line after the other; empty for those that were not asked for. */
function showing({ stream, since, timestamps }: LogOptions): (line: string) => string {
  let continued = false
  return (line) => {
    const entry = parse(line)
    if (!entry || (stream !== undefined && entry.stream !== stream)) return ''
    if (since !== undefined && Date.parse(entry.time) < since) return ''
    const stamp = timestamps && !continued ? `${entry.time} ` : ''
    continued = !entry.whole
    return `${stamp}${entry.text}${entry.whole ? '\n' : ''}`
  }
}

/** `2026-01-02T03:04:05.123456789Z stdout F text`; undefined for what no launcher of ours wrote. */
function parse(line: string): Entry | undefined {
  const match = /^(\S+) (stdout|stderr) ([FP])(?: (.*))?$/s.exec(line)
  if (!match) return undefined
  const [, time = '', stream = '', tag = '', text = ''] = match
  return { time, stream, text, whole: tag !== partial }
}

interface Position {
  path: string
  offset: number
}

/** Lines of the rotated files and then of the live one, from `start` on, as many at a time as were read. */
async function* rawLines(reader: LogReader, start: Position | undefined): AsyncIterable<readonly string[]> {
  const files = await rotated(reader.path)
  const from = start === undefined ? 0 : files.indexOf(start.path)
  for (const path of files.slice(from, -1)) {
    yield* linesOf(path, path === start?.path ? start.offset : 0)
  }
  const live = files.at(-1) ?? reader.path
  yield* follow(reader, live, live === start?.path ? start.offset : 0)
}

async function* linesOf(path: string, offset: number): AsyncIterable<readonly string[]> {
  let rest = ''
  for await (const chunk of createReadStream(path, { start: offset, encoding: 'utf8' })) {
    const lines = (rest + String(chunk)).split('\n')
    rest = lines.pop() ?? ''
    yield lines
  }
}

/** Reads to the end of the live file and, when asked to, waits there for more; a rotation is followed too. */
async function* follow(reader: LogReader, path: string, offset: number): AsyncIterable<readonly string[]> {
  let file = await open(path, 'r')
  const decoder = new TextDecoder()
  const buffer = Buffer.alloc(64 * 1024)
  let position = offset
  let rest = ''
  let last = false
  try {
    while (!reader.signal.aborted) {
      const { bytesRead } = await file.read(buffer, 0, buffer.length, position)
      position += bytesRead
      const lines = (rest + decoder.decode(buffer.subarray(0, bytesRead), { stream: true })).split('\n')
      rest = lines.pop() ?? ''
      yield lines
      if (bytesRead > 0) continue
      if (!reader.options.follow || last) return
      const fresh = await stat(path).catch(() => undefined)
      if (fresh && fresh.ino !== (await file.stat()).ino) {
        await file.close()
        file = await open(path, 'r')
        position = 0
        continue
      }
      // One more look after its end was seen: what it wrote last is in the file by then.
      last = !(await reader.running())
      if (!last) await reader.clock.sleep(followPollMs, reader.signal).catch(() => undefined)
    }
  } finally {
    await file.close()
  }
}

/** The log's files, oldest first: `0.log.20260102-030405`, …, `0.log`. */
async function rotated(path: string): Promise<string[]> {
  const names = await readdir(dirname(path))
  const older = names.filter((name) => name.startsWith(`${basename(path)}.`)).sort()
  return [...older.map((name) => join(dirname(path), name)), path]
}

/** Where the last `count` records begin, found by reading backwards. A line over 16 KiB is several records. */
async function tailStart(reader: LogReader, count: number): Promise<Position | undefined> {
  let missing = count
  const files = await rotated(reader.path)
  for (const path of files.reverse()) {
    const found = await countBack(path, missing)
    if (found.offset !== undefined) return { path, offset: found.offset }
    missing -= found.lines
  }
  return undefined
}

async function countBack(path: string, wanted: number): Promise<{ lines: number; offset?: number }> {
  const file = await open(path, 'r')
  try {
    const { size } = await file.stat()
    if (wanted === 0) return { lines: 0, offset: size }
    const buffer = Buffer.alloc(64 * 1024)
    let lines = 0
    for (let end = size; end > 0; ) {
      const length = Math.min(buffer.length, end)
      await file.read(buffer, 0, length, end - length)
      for (let at = length - 1; at >= 0; at--) {
        // The newline at the very end closes the last line and begins no other.
        if (buffer[at] !== 0x0a || end - length + at === size - 1) continue
        lines++
        if (lines === wanted) return { lines, offset: end - length + at + 1 }
      }
      end -= length
    }
    return { lines: size > 0 ? lines + 1 : 0 }
  } finally {
    await file.close()
  }
}

/** Removes all logs of a pod; by its UID alone when no more than that is known of it. */
export async function removeLogs(root: string, pod: PodIdentity): Promise<void> {
  await rm(logsDirectory(root, pod), { recursive: true, force: true })
  if (pod.name !== '') return
  const all = join(root, 'logs', 'pods')
  const ofPod = (await readdir(all)).filter((name) => name.endsWith(`_${pod.uid}`))
  for (const name of ofPod) await rm(join(all, name), { recursive: true, force: true })
}
