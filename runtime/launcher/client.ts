import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, existsSync, mkdirSync, openSync } from 'node:fs'
import { createConnection, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { errnoOf, fromRecord } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import { launcherError } from './errors.ts'
import { frameReader, writeFrame, writeJson } from './frames.ts'
import type { GateNotice } from './gates.ts'
import type { Answer, Request, RuntimeEvent } from './protocol.ts'

export interface LauncherPlace {
  root: string
  log: Log
  /** The Node that runs a launcher which has to be started; ours by default. */
  nodeBinary?: string
}

/** The first start on a machine compiles everything and starts twice; an emulated one has been seen to take half a minute. */
const startMilliseconds = 120_000

/**
 * The launcher makes system calls and moves bytes: no loop of it ever gets hot, so optimising compilers would only cost
 * memory (8 MB, at the same processor time), and a heap may be collected when it has grown by a fifth. What a burst of
 * requests leaves is collected by the launcher itself when it has nothing to do.
 */
const smallHeap = [
  '--max-semi-space-size=1',
  '--v8-pool-size=0',
  '--no-turbofan',
  '--no-maglev',
  '--initial-heap-size=4',
  '--heap-growing-percent=20',
  '--expose-gc',
]

/** A connection to the launcher of `place.root`, which is started when none answers. Throws LAUNCHER_LOST. */
export async function connectOrStart(place: LauncherPlace): Promise<Socket> {
  const path = `${place.root}/launcher.sock`
  const until = performance.now() + startMilliseconds
  let started: ChildProcess | undefined
  for (;;) {
    const socket = await tryConnect(path)
    if (socket) return socket
    const failed = started?.exitCode || started?.signalCode
    if (failed || performance.now() > until) {
      const reason = failed ? `it ended with ${failed} as it began` : `none answers on ${path}`
      throw launcherError('LAUNCHER_LOST', `connect to launcher: ${reason}; see ${place.root}/launcher.log`)
    }
    if (started) await sleep(5)
    else started = startLauncher(place)
  }
}

function tryConnect(path: string): Promise<Socket | undefined> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(path)
    socket.once('connect', () => resolve(socket))
    socket.once('error', (error) => {
      const errno = errnoOf(error)
      if (errno === 'ENOENT' || errno === 'ECONNREFUSED') resolve(undefined)
      else reject(error)
    })
  })
}

/** In a session of its own, so that it outlives us; a second one leaves when it finds the lock taken. */
function startLauncher({ root, log, nodeBinary = process.execPath }: LauncherPlace): ChildProcess {
  mkdirSync(root, { recursive: true, mode: 0o700 })
  const output = openSync(`${root}/launcher.log`, 'a', 0o600)
  const main = fileURLToPath(new URL('./main.ts', import.meta.url))
  const cache = `${root}/.compile-cache`
  const args = [...smallHeap, main, root, ...(existsSync(cache) ? [] : ['cold'])]
  const child = spawn(nodeBinary, args, {
    detached: true,
    stdio: ['ignore', output, output],
    cwd: '/',
    // Nothing of our own environment: it may hold secrets, and the launcher outlives us.
    env: {
      NODE_COMPILE_CACHE: cache,
      MALLOC_ARENA_MAX: '1',
      MALLOC_TRIM_THRESHOLD_: '65536',
      MALLOC_MMAP_THRESHOLD_: '65536',
    },
  })
  child.on('error', (error) => log.error('launcher cannot be started', { error: error.message }))
  child.unref()
  closeSync(output)
  return child
}

type Waiting = PromiseWithResolvers<Record<string, unknown>> & { onGate?: ((gate: GateNotice) => void) | undefined }

/** Requests to the launcher. Connects again, and starts a new launcher, when the old one is gone. */
export class LauncherClient {
  readonly place: LauncherPlace
  readonly #waiting = new Map<number, Waiting>()
  readonly #listeners = new Set<(event: RuntimeEvent | 'reconnected') => void>()
  #socket: Promise<Socket> | undefined
  #next = 1
  #closed = false

  constructor(place: LauncherPlace) {
    this.place = place
  }

  /**
   * Sends one request, with a tape before it where one belongs to it. `onGate` is told when its birth waits at an early
   * gate. Throws what the launcher throws, or LAUNCHER_LOST.
   */
  async call(
    request: Request,
    tape?: Uint8Array,
    onGate?: (gate: GateNotice) => void,
  ): Promise<Record<string, unknown>> {
    if (this.#closed) throw launcherError('LAUNCHER_LOST', `ask launcher to ${request.op}: the connection is closed`)
    this.#socket ??= this.#connect()
    const socket = await this.#socket
    // It can have closed in the tick before: nobody would tell this call any more.
    if (socket.destroyed) throw launcherError('LAUNCHER_LOST', `ask launcher to ${request.op}: it is gone`)
    const call = this.#next++
    const waiting: Waiting = Object.assign(Promise.withResolvers<Record<string, unknown>>(), { onGate })
    this.#waiting.set(call, waiting)
    socket.cork()
    if (tape) writeFrame(socket, 'tape', tape)
    writeJson(socket, { call, ...request })
    socket.uncork()
    return waiting.promise
  }

  /** Calls `tell` for every event, and `reconnected` when some may have been missed. Returns how to stop. */
  async subscribe(tell: (event: RuntimeEvent | 'reconnected') => void): Promise<() => void> {
    this.#listeners.add(tell)
    if (this.#listeners.size === 1) await this.call({ op: 'subscribe' })
    return () => this.#listeners.delete(tell)
  }

  /** Disconnects; the launcher and its containers live on. */
  async close(): Promise<void> {
    this.#closed = true
    const socket = await this.#socket?.catch(() => undefined)
    socket?.destroy()
  }

  async #connect(): Promise<Socket> {
    const socket = await connectOrStart(this.place)
    const read = frameReader((kind, payload) => {
      if (kind === 'json') this.#onAnswer(JSON.parse(payload.toString()) as Answer)
    })
    socket.on('data', read)
    socket.on('error', () => socket.destroy())
    socket.on('close', () => this.#onLost())
    return socket
  }

  #onAnswer(answer: Answer): void {
    if ('event' in answer) {
      for (const tell of this.#listeners) tell(answer.event)
    } else if ('gate' in answer) {
      this.#waiting.get(answer.call)?.onGate?.(answer.gate)
    } else if ('call' in answer) {
      const waiting = this.#waiting.get(answer.call)
      this.#waiting.delete(answer.call)
      if ('ok' in answer) waiting?.resolve(answer.ok)
      else waiting?.reject(fromRecord(answer.error))
    }
  }

  #onLost(): void {
    this.#socket = undefined
    const error = launcherError('LAUNCHER_LOST', 'ask launcher: it is gone')
    for (const waiting of this.#waiting.values()) waiting.reject(error)
    this.#waiting.clear()
    if (this.#closed || this.#listeners.size === 0) return
    this.call({ op: 'subscribe' }).then(
      () => {
        for (const tell of this.#listeners) tell('reconnected')
      },
      (lost) => this.place.log.error('launcher does not come back', { error: lost }),
    )
  }
}
