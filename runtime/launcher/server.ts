import { createServer, type Server, type Socket } from 'node:net'
import { messageOf, toRecord } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import { never } from '../base/never.ts'
import { Children } from './children.ts'
import { ContainerProcess, type Surroundings } from './container-process.ts'
import { launcherError } from './errors.ts'
import { frameReader, writeJson } from './frames.ts'
import { type Idle, whenIdle } from './idle.ts'
import type { Answer, FrameKind, Message, Request, RuntimeEvent } from './protocol.ts'
import { attach, exec, type Session } from './session.ts'

type Call = { call: number } & Request

/** This long without a request is idle: longer than a client takes between two steps of one pod. */
const idleMilliseconds = 500

/** The launcher without its process: containers, clients, and the requests of protocol.ts. */
export class LauncherServer {
  readonly containers = new Map<string, ContainerProcess>()
  readonly #children = new Children()
  /** Births that wait for their client, by container. */
  readonly #gates = new Map<string, PromiseWithResolvers<void>>()
  readonly #subscribers = new Set<Socket>()
  readonly #server: Server
  readonly #log: Log
  readonly around: Surroundings
  readonly #onShutdown: () => void
  readonly #idle: Idle

  constructor(options: { root: string; log: Log; onShutdown: () => void; onIdle: () => void }) {
    const { root, log } = options
    this.#idle = whenIdle(idleMilliseconds, options.onIdle)
    this.#log = log
    this.#onShutdown = options.onShutdown
    this.around = {
      root,
      children: this.#children,
      log,
      emit: (event) => this.#emit(event),
      onEnd: (container) => {
        // Its end is on disk; another with the same id may have begun since.
        if (this.containers.get(container.record.id) === container) this.containers.delete(container.record.id)
      },
    }
    this.#server = createServer((socket) => this.#accept(socket))
  }

  /** Listens on a unix socket. */
  async listen(path: string): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen(path, resolve)
    })
  }

  async close(): Promise<void> {
    this.#idle.close()
    this.#children.close()
    for (const container of this.containers.values()) container.forget()
    await new Promise<void>((resolve) => this.#server.close(() => resolve()))
  }

  #emit(event: RuntimeEvent): void {
    for (const socket of this.#subscribers) writeJson(socket, { event })
  }

  #accept(socket: Socket): void {
    let session: Session | undefined
    let tape: Buffer | undefined
    const onFrame = (kind: FrameKind, payload: Buffer) => {
      if (session) {
        session.onFrame(kind, payload)
        return
      }
      if (kind === 'tape') tape = Buffer.from(payload)
      if (kind !== 'json') return
      const message = JSON.parse(payload.toString()) as Message
      if (!('op' in message)) return
      this.#idle.touch()
      const request = { message, tape }
      tape = undefined
      if (message.op === 'exec' || message.op === 'attach') {
        // What the client sends before the session stands must wait for it.
        socket.pause()
        void this.#openSession(socket, request).then((opened) => {
          session = opened
          if (socket.destroyed) session?.onClose()
          else socket.resume()
        })
      } else void this.#answer(socket, request)
    }
    const read = frameReader(onFrame)
    socket.on('data', (chunk: Buffer) => {
      try {
        read(chunk)
      } catch (error) {
        this.#log.warn('client dropped', { reason: messageOf(error) })
        socket.destroy()
      }
    })
    socket.on('error', () => socket.destroy())
    socket.on('close', () => {
      this.#subscribers.delete(socket)
      session?.onClose()
    })
  }

  async #openSession(socket: Socket, { message, tape }: { message: Call; tape: Buffer | undefined }) {
    const { call } = message
    try {
      if (message.op === 'attach') return attach(socket, call, this.#get(message.id), message.stdin)
      if (message.op !== 'exec' || !tape) throw launcherError('PROTOCOL', 'exec: no tape came with it')
      const { marks, foreign, terminal, stdin } = message
      const request = { call, tape, marks, foreign, terminal, stdin, children: this.#children }
      return await exec(socket, this.#get(message.id), request)
    } catch (error) {
      writeJson(socket, { call, error: toRecord(error) })
      socket.end()
      return undefined
    }
  }

  async #answer(socket: Socket, { message, tape }: { message: Call; tape: Buffer | undefined }): Promise<void> {
    const { call } = message
    try {
      writeJson(socket, { call, ok: await this.#perform(message, tape, socket) })
      if (message.op === 'shutdown') this.#onShutdown()
    } catch (error) {
      writeJson(socket, { call, error: toRecord(error) })
    }
  }

  async #perform(request: Call, tape: Buffer | undefined, socket: Socket): Promise<Record<string, unknown>> {
    switch (request.op) {
      case 'hello':
        return { pid: process.pid }
      case 'create':
        return this.#create(request, tape, socket)
      case 'open-gate':
        return this.#openGate(request)
      case 'start':
        return this.#start(request, tape)
      case 'wait':
        return { exit: await this.#get(request.id).exited.promise }
      case 'reopen-log':
        this.#get(request.id).reopenLog()
        return {}
      case 'resize':
        this.#get(request.id).resize(request.columns, request.rows)
        return {}
      case 'subscribe':
        this.#subscribers.add(socket)
        return {}
      case 'shutdown':
        return this.#mayLeave()
      case 'exec':
      case 'attach':
        throw launcherError('PROTOCOL', `${request.op} opens a session`)
      default:
        return never(request, 'launcher request')
    }
  }

  async #create(request: Call & { op: 'create' }, tape: Buffer | undefined, socket: Socket) {
    const { record, marks, foreign, call } = request
    if (!tape) throw launcherError('PROTOCOL', 'create: no tape came with it')
    const container = new ContainerProcess(record, this.around)
    this.containers.set(record.id, container)
    try {
      await container.create(tape, {
        marks,
        foreign,
        atGate: (gate) => this.#tellGate(record.id, { call, gate }, socket),
      })
    } catch (error) {
      this.containers.delete(record.id)
      container.neverBorn()
      throw error
    }
    return { record: container.record }
  }

  async #start({ id, hooked = false, foreign }: Call & { op: 'start' }, tape: Buffer | undefined) {
    const container = this.#get(id)
    container.requireWaiting()
    if (foreign) {
      if (!tape) throw launcherError('PROTOCOL', 'start: no tape came with it')
      return { record: await container.start({ tape, marks: foreign }) }
    }
    return container.record.hasHooks && !hooked ? { hooksFirst: true } : { record: await container.start() }
  }

  /** Waits until the client has done what belongs to the gate. A client that goes takes the birth with it. */
  async #tellGate(id: string, notice: Answer, socket: Socket): Promise<void> {
    const waiting = Promise.withResolvers<void>()
    const onClose = () => waiting.reject(launcherError('PLAY_FAILED', `create ${id}: its client has gone`))
    socket.once('close', onClose)
    this.#gates.set(id, waiting)
    writeJson(socket, notice)
    try {
      await waiting.promise
    } finally {
      socket.off('close', onClose)
      this.#gates.delete(id)
    }
  }

  #openGate({ id, failed }: Call & { op: 'open-gate' }): Record<string, never> {
    const waiting = this.#gates.get(id)
    if (!waiting) throw launcherError('NOT_FOUND', `open gate of ${id}: it waits at none`)
    if (failed) waiting.reject(launcherError('PLAY_FAILED', `create ${id}: its client does not want it any more`))
    else waiting.resolve()
    return {}
  }

  #mayLeave(): Record<string, never> {
    const left = [...this.containers.keys()]
    if (left.length > 0) {
      throw launcherError('LAUNCHER_BUSY', `shut down launcher: ${left.length} containers are left`, {
        ids: left.join(' '),
      })
    }
    return {}
  }

  #get(id: string): ContainerProcess {
    const container = this.containers.get(id)
    if (!container) throw launcherError('NOT_FOUND', `find container ${id}: the launcher does not keep it`)
    return container
  }
}
