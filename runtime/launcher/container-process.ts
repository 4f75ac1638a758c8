import { closeSync, constants, openSync } from 'node:fs'
import type { Log } from '../base/log.ts'
import { descriptorIn, type Exit, makeFifo, setNonblocking, setWindowSize, startTimeOf } from '../linux/process.ts'
import { playerDescriptors } from '../tape/play.ts'
import { type Played, playBirth, readRunning } from './birth-play.ts'
import type { Children } from './children.ts'
import { launcherError } from './errors.ts'
import { type AtGate, openGate } from './gates.ts'
import { type Input, pipeInput, terminalInput } from './input.ts'
import { LogWriter } from './log-writer.ts'
import { OomWatch } from './oom-watch.ts'
import { Output } from './output.ts'
import type { ContainerRecord, ExitRecord, ForeignMarks, RuntimeEvent, TapeMarks } from './protocol.ts'
import { folderOf, writeExit, writeRecord } from './records.ts'

const { O_RDONLY, O_WRONLY, O_RDWR, O_NONBLOCK } = constants

/** Somebody who follows a container's output. */
export interface Follower {
  output(stream: 'stdout' | 'stderr', chunk: Buffer): void
  exit(exitCode: number): void
}

export interface Surroundings {
  root: string
  children: Children
  log: Log
  emit(event: RuntimeEvent): void
  onEnd(container: ContainerProcess): void
}

export interface BirthRequest {
  marks: TapeMarks
  foreign?: ForeignMarks | undefined
  atGate: AtGate
}

/**
 * One container as the launcher keeps it:
 *
 *     create ──► at the gate ──start──► running ──► exited, and forgotten here
 *
 * Its outputs are FIFOs on disk that the container holds open for reading too: when the launcher dies, writers get no
 * SIGPIPE, and the next launcher reads on where this one stopped.
 */
export class ContainerProcess {
  record: ContainerRecord
  exit: ExitRecord | undefined
  readonly exited = Promise.withResolvers<ExitRecord>()
  readonly followers = new Set<Follower>()
  readonly #around: Surroundings
  readonly #outputs: Output[] = []
  readonly #oomWatch: OomWatch
  #logWriter: LogWriter | undefined
  #input: Input | undefined
  #master: number | undefined
  #running: Promise<void> = Promise.resolve()
  #started: Promise<ContainerRecord> | undefined

  constructor(record: ContainerRecord, around: Surroundings) {
    this.record = record
    this.#around = around
    const { id, cgroupPath } = record
    this.#oomWatch = new OomWatch(cgroupPath, { id, log: around.log, emit: around.emit })
  }

  /** Plays the tape up to the gate, or has another runtime do the like. Throws PLAY_FAILED, FOREIGN_FAILED. */
  async create(tape: Uint8Array, birth: BirthRequest): Promise<void> {
    const { marks, foreign, atGate } = birth
    const { children, root } = this.#around
    const folder = folderOf(root, this.record.id)
    const since = children.moment()
    const streams = this.record.kind === 'sandbox' ? noStreams() : this.#makeStreams(folder)
    if (foreign) {
      const { bearForeign } = await import('./foreign-birth.ts')
      const { pid, master } = await bearForeign({ tape, marks: foreign, inherit: streams, children })
      this.#keep(pid, { folder, since, master })
      return
    }
    for (const fifo of ['gate', 'report']) makeFifo(`${folder}/${fifo}`)
    const gate = openSync(`${folder}/gate`, O_RDWR)
    const reportRead = openSync(`${folder}/report`, O_RDONLY | O_NONBLOCK)
    const reportWrite = openSync(`${folder}/report`, O_WRONLY)
    const inherit = new Map([...streams, [playerDescriptors.firstFree, gate] as const])
    const argv0 = this.record.kind === 'sandbox' ? 'pause' : 'coracle-player'
    const onChild = (pid: number) => void children.wait(pid, since)
    const gates = { fifo: `${folder}/gate`, atGate }
    const request = { tape, marks, argv0, reportRead, reportWrite, inherit, onChild, gates }
    let played: Played
    try {
      played = await playBirth(request, () => {
        for (const fd of new Set([...streams.values(), gate, reportWrite])) closeSync(fd)
      })
    } catch (error) {
      this.forget()
      throw error
    }
    this.#running = played.running
    const master = this.record.terminal ? descriptorIn(played.pid, played.result) : undefined
    this.#keep(played.pid, { folder, since, master })
  }

  /** The process is there: its record goes to disk, and its output and its end are waited for. */
  #keep(pid: number, { folder, since, master }: { folder: string; since: number; master: number | undefined }): void {
    const startTime = startTimeOf(pid)
    const started = this.record.kind === 'sandbox' ? { startedAt: new Date().toISOString() } : {}
    this.record = { ...this.record, pid, ...(startTime === undefined ? {} : { startTime }), ...started }
    writeRecord(this.#around.root, this.record)
    if (master !== undefined) this.#useMaster(master)
    else if (this.record.kind === 'container') this.openOutputs(folder)
    void this.#around.children.wait(pid, since).then(async (exit) => {
      // A short process can be gone before anybody has said that it began.
      await this.#started?.catch(() => {})
      this.ended(exit)
    })
    // Once create has been answered: at its gate it allocates nothing.
    setImmediate(() => this.#oomWatch.open())
  }

  /** Throws NOT_RUNNING unless it waits at its last gate. */
  requireWaiting(): void {
    if (this.exit || this.record.startedAt !== undefined) {
      throw launcherError('NOT_RUNNING', `start ${this.record.id}: it does not wait to be started`)
    }
  }

  /**
   * Opens the gate and waits until the process is the user's; another runtime's container is started by its tape. Throws
   * PLAY_FAILED if execve or a step before it fails, FOREIGN_FAILED.
   */
  start(foreign?: { tape: Uint8Array; marks: ForeignMarks }): Promise<ContainerRecord> {
    this.requireWaiting()
    this.#started = this.#start(foreign)
    return this.#started
  }

  async #start(foreign?: { tape: Uint8Array; marks: ForeignMarks }): Promise<ContainerRecord> {
    if (foreign) {
      const { runForeign } = await import('./foreign-birth.ts')
      await runForeign({ ...foreign, inherit: noStreams(), children: this.#around.children })
    } else {
      openGate(`${folderOf(this.#around.root, this.record.id)}/gate`)
      await this.#running
    }
    const at = new Date().toISOString()
    this.record = { ...this.record, startedAt: at }
    writeRecord(this.#around.root, this.record)
    this.#around.emit({ type: 'started', id: this.record.id, at })
    return this.record
  }

  /** Takes over what another launcher has begun: outputs, and the reports of a process that still waits at its gate. */
  adopt(): void {
    const folder = folderOf(this.#around.root, this.record.id)
    this.#oomWatch.open()
    if (this.record.startedAt === undefined && !this.record.handler) {
      this.#running = readRunning(`${folder}/report`)
      this.#running.catch(() => {})
    }
    if (this.record.kind === 'container' && !this.record.terminal) this.openOutputs(folder)
  }

  /** Reads the outputs, which exist already, into log and followers. */
  openOutputs(folder: string): void {
    this.#logWriter ??= this.record.log ? new LogWriter(this.record.log, this.#around.log) : undefined
    for (const stream of ['stdout', 'stderr'] as const) {
      const fd = openSync(`${folder}/${stream}`, O_RDONLY | O_NONBLOCK)
      this.#outputs.push(new Output(fd, 'pipe', (chunk) => this.#deliver(stream, chunk)))
    }
    if (this.record.stdin) this.#input ??= pipeInput(openSync(`${folder}/stdin`, O_WRONLY | O_NONBLOCK))
  }

  get input(): Input | undefined {
    return this.#input
  }

  /** Ends the input as the client who attached first has gone (stdinOnce). */
  endInput(): void {
    this.#input?.end()
    this.#input = undefined
  }

  resize(columns: number, rows: number): void {
    if (this.#master === undefined) throw launcherError('NOT_RUNNING', `resize ${this.record.id}: it has no terminal`)
    setWindowSize(this.#master, columns, rows)
  }

  reopenLog(): void {
    this.#logWriter?.reopen()
  }

  /** The process is gone: read what is left of its output, keep the exit on disk, and only then tell anybody. */
  ended(exit: Exit & { reason?: string }): void {
    for (const output of this.#outputs) output.drain()
    this.#logWriter?.close()
    const { id } = this.record
    const oomKills = this.#oomWatch.close()
    const at = new Date().toISOString()
    const { exitCode, signal, reason } = exit
    const record: ExitRecord = {
      exitCode,
      ...(signal === undefined ? {} : { signal }),
      // Only when the first process itself was the victim: others may die of it and the container live on.
      oomKilled: oomKills > 0 && (signal === 9 || exitCode === 137),
      finishedAt: at,
      ...(reason === undefined ? {} : { reason }),
    }
    this.exit = record
    writeExit(this.#around.root, id, record)
    const { finishedAt: _, ...facts } = record
    this.#around.emit({ type: 'exited', id, at, ...facts })
    for (const follower of this.followers) follower.exit(exitCode)
    this.followers.clear()
    this.exited.resolve(record)
    this.#around.onEnd(this)
    this.forget()
  }

  /** It has no end, for it has not begun: whoever waits for one is told. */
  neverBorn(): void {
    this.exited.promise.catch(() => {})
    this.exited.reject(launcherError('NOT_FOUND', `wait for ${this.record.id}: its birth has failed`))
  }

  /** Lets go of every descriptor. */
  forget(): void {
    for (const output of this.#outputs.splice(0)) output.close()
    this.#logWriter?.close()
    this.endInput()
    this.#master = undefined
  }

  #deliver(stream: 'stdout' | 'stderr', chunk: Buffer): void {
    this.#logWriter?.write(stream, chunk)
    for (const follower of this.followers) follower.output(stream, chunk)
  }

  /** FIFOs for what the log and clients want to see; the child's ends as the player's descriptors 0, 1 and 2. */
  #makeStreams(folder: string): Map<number, number> {
    if (this.record.terminal) return noStreams()
    const streams = new Map<number, number>()
    for (const [fd, name] of ['stdin', 'stdout', 'stderr'].entries()) {
      if (fd === 0 && !this.record.stdin) {
        streams.set(0, openSync('/dev/null', O_RDONLY))
        continue
      }
      makeFifo(`${folder}/${name}`)
      const both = openSync(`${folder}/${name}`, O_RDWR)
      if (fd === 0) {
        // The program must see the end of input, so it gets the reading end alone; ours is there before it reads.
        streams.set(0, openSync(`${folder}/${name}`, O_RDONLY))
        this.#input = pipeInput(openSync(`${folder}/${name}`, O_WRONLY | O_NONBLOCK))
        closeSync(both)
      } else streams.set(fd, both)
    }
    return streams
  }

  #useMaster(master: number): void {
    this.#master = master
    setNonblocking(master)
    this.#logWriter ??= this.record.log ? new LogWriter(this.record.log, this.#around.log) : undefined
    this.#outputs.push(new Output(master, 'terminal', (chunk) => this.#deliver('stdout', chunk)))
    this.#input = terminalInput(master)
  }
}

function noStreams(): Map<number, number> {
  const nothing = openSync('/dev/null', O_RDWR)
  return new Map([
    [0, nothing],
    [1, nothing],
    [2, nothing],
  ])
}
