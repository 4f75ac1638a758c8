import { Readable, Writable } from 'node:stream'
import { fromRecord } from '../base/errors.ts'
import { connectOrStart, type LauncherPlace } from './client.ts'
import { launcherError } from './errors.ts'
import { frameReader, writeFrame, writeJson } from './frames.ts'
import type { Answer, FrameKind, Request } from './protocol.ts'

/** The streams of a process in a container. */
export interface Session {
  readonly pid: number
  readonly stdin?: Writable
  readonly stdout: Readable
  /** Absent with a terminal, which has one output. */
  readonly stderr?: Readable
  resize(columns: number, rows: number): void
  /** Settles after all output has been delivered to the streams. */
  readonly exit: Promise<{ exitCode: number }>
  /** Lets go; what exec has started is killed if it still runs. */
  close(): void
}

/** Opens a session by `exec` or `attach`. Throws what the launcher throws, or LAUNCHER_LOST. */
export async function openSession(
  place: LauncherPlace,
  request: Request & { op: 'exec' | 'attach' },
  options: { tape?: Uint8Array; terminal: boolean },
): Promise<Session> {
  const socket = await connectOrStart(place)
  const opened = Promise.withResolvers<number>()
  const exit = Promise.withResolvers<{ exitCode: number }>()
  // Whoever looks at the output alone must not be told of a rejection that nobody handles.
  exit.promise.catch(() => {})
  let ended = false
  const full = new Set<Readable>()
  const output = () => {
    const stream: Readable = new Readable({
      read() {
        full.delete(stream)
        if (full.size === 0) socket.resume()
      },
    })
    return stream
  }
  const stdout = output()
  const stderr = options.terminal ? undefined : output()
  const take = (stream: Readable | undefined, payload: Buffer) => {
    if (!stream || stream.push(Buffer.from(payload))) return
    full.add(stream)
    socket.pause()
  }
  const onFrame = (kind: FrameKind, payload: Buffer) => {
    if (kind === 'stdout') take(stdout, payload)
    if (kind === 'stderr') take(stderr, payload)
    if (kind !== 'json') return
    const answer = JSON.parse(payload.toString()) as Answer
    if ('ok' in answer) opened.resolve(Number(answer.ok.pid))
    if ('error' in answer) opened.reject(fromRecord(answer.error))
    if (!('exit' in answer)) return
    // The launcher closes right behind this: output that a slow reader has not taken yet is still here, and not lost.
    ended = true
    void deliverAll([stdout, stderr]).then(() => exit.resolve(answer.exit))
  }
  socket.on('data', frameReader(onFrame))
  socket.on('error', () => socket.destroy())
  socket.on('close', () => {
    if (ended) return
    const lost = launcherError('LAUNCHER_LOST', `${request.op} in ${request.id}: the connection is gone`)
    opened.reject(lost)
    exit.reject(lost)
    for (const stream of [stdout, stderr]) if (stream && !stream.readableEnded) stream.push(null)
  })
  if (options.tape) writeFrame(socket, 'tape', options.tape)
  writeJson(socket, { call: 1, ...request })
  const pid = await opened.promise
  const input = new Writable({
    write: (chunk: Buffer, _, done) => {
      if (writeFrame(socket, 'stdin', chunk)) done()
      else socket.once('drain', () => done())
    },
    final: (done) => {
      writeFrame(socket, 'stdin', Buffer.alloc(0))
      done()
    },
  })
  return {
    pid,
    ...(request.stdin ? { stdin: input } : {}),
    stdout,
    ...(stderr ? { stderr } : {}),
    resize: (columns, rows) => void writeJson(socket, { resize: { columns, rows } }),
    exit: exit.promise,
    close: () => void socket.destroy(),
  }
}

/** Ends the streams, and resolves when whoever reads them has everything. One that nobody reads holds nothing up. */
async function deliverAll(streams: readonly (Readable | undefined)[]): Promise<void> {
  const ends = streams.map((stream) => {
    if (!stream) return undefined
    const isRead = stream.listenerCount('data') + stream.listenerCount('readable') > 0
    const end = isRead ? new Promise<void>((resolve) => stream.once('end', resolve).once('close', resolve)) : undefined
    stream.push(null)
    return end
  })
  await Promise.all(ends)
}
