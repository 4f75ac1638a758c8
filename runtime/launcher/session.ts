import { closeSync, constants, openSync, writeSync } from 'node:fs'
import type { Socket } from 'node:net'
import { hasCode } from '../base/errors.ts'
import {
  descriptorIn,
  type Exit,
  makePipe,
  pidfdOpen,
  pidfdSignal,
  setNonblocking,
  setWindowSize,
} from '../linux/process.ts'
import { playerDescriptors } from '../tape/play.ts'
import { playBirth } from './birth-play.ts'
import type { Children } from './children.ts'
import type { ContainerProcess } from './container-process.ts'
import { launcherError } from './errors.ts'
import { writeFrame, writeJson } from './frames.ts'
import { type Input, pipeInput, terminalInput } from './input.ts'
import { Output } from './output.ts'
import type { ForeignMarks, FrameKind, Message, TapeMarks } from './protocol.ts'

/** What a session does with the frames that come from its client, and with the client's going. */
export interface Session {
  onFrame(kind: FrameKind, payload: Buffer): void
  onClose(): void
}

/** A client that is this far behind is let go: it must not make the launcher grow, nor stop the container. */
const attachBufferBytes = 8 * 1024 * 1024

/** Follows a container's main process. */
export function attach(socket: Socket, call: number, container: ContainerProcess, stdin: boolean): Session {
  const { pid, stdinOnce } = container.record
  const follower = {
    output(stream: 'stdout' | 'stderr', chunk: Buffer) {
      writeFrame(socket, stream, chunk)
      if (socket.writableLength > attachBufferBytes) socket.destroy()
    },
    exit(exitCode: number) {
      writeJson(socket, { exit: { exitCode } })
      socket.end()
    },
  }
  writeJson(socket, { call, ok: { pid: pid ?? 0 } })
  if (container.exit) follower.exit(container.exit.exitCode)
  else container.followers.add(follower)
  const input = stdin ? container.input : undefined
  const feed = feeder(socket, input, (columns, rows) => container.resize(columns, rows))
  const endOnce = () => stdin && stdinOnce && container.endInput()
  return {
    onFrame(kind, payload) {
      if (kind === 'stdin' && payload.length === 0) endOnce()
      else feed(kind, payload)
    },
    onClose() {
      container.followers.delete(follower)
      endOnce()
    },
  }
}

export interface ExecRequest {
  call: number
  tape: Buffer
  marks: TapeMarks
  /** Another runtime makes the process. */
  foreign: ForeignMarks | undefined
  terminal: boolean
  stdin: boolean
  children: Children
}

/** The player's descriptor for the pidfd of the container; birth/exec.ts records against it. */
const targetDescriptor = playerDescriptors.firstFree + 1

/** Runs one more process in a container, with streams of its own. Throws PLAY_FAILED, NOT_RUNNING. */
export async function exec(socket: Socket, container: ContainerProcess, request: ExecRequest): Promise<Session> {
  const { pid: target } = container.record
  if (container.exit || target === undefined) {
    throw launcherError('NOT_RUNNING', `exec in ${container.record.id}: it is not running`)
  }
  const pipes = openPipes(request)
  const since = request.children.moment()
  if (request.foreign) return execForeign(socket, request, { pipes, since })
  const pidfd = pidfdOpen(target)
  const report = makePipe()
  const gate = makePipe()
  const inherit = new Map([
    ...pipes.child,
    [playerDescriptors.firstFree, gate.read],
    [targetDescriptor, pidfd],
  ] as const)
  const { tape, marks, children } = request
  const onChild = (pid: number) => void children.wait(pid, since)
  const play = { tape, marks, reportRead: report.read, reportWrite: report.write, inherit, onChild }
  try {
    const played = await playBirth(play, () => {
      for (const fd of new Set([...inherit.values(), report.write])) closeSync(fd)
    })
    const exited = children.wait(played.pid, since)
    let master: number | undefined
    if (request.terminal) {
      master = descriptorIn(played.pid, played.result)
      writeSync(gate.write, 'g')
      await played.running
    }
    closeSync(gate.write)
    return run(socket, request, { pid: played.pid, exited, master, ...pipes.ours })
  } catch (error) {
    for (const fd of [gate.write, ...Object.values(pipes.ours)]) if (fd !== undefined) closeSync(fd)
    throw error
  }
}

async function execForeign(
  socket: Socket,
  request: ExecRequest,
  { pipes, since }: { pipes: ReturnType<typeof openPipes>; since: number },
): Promise<Session> {
  const { tape, foreign, children } = request
  const { bearForeign } = await import('./foreign-birth.ts')
  try {
    const { pid, master } = await bearForeign({ tape, marks: foreign as ForeignMarks, inherit: pipes.child, children })
    return run(socket, request, { pid, exited: children.wait(pid, since), master, ...pipes.ours })
  } catch (error) {
    for (const fd of Object.values(pipes.ours)) if (fd !== undefined) closeSync(fd)
    throw error
  }
}

interface Running {
  pid: number
  exited: Promise<Exit>
  master: number | undefined
  stdin?: number
  stdout?: number
  stderr?: number
}

function run(socket: Socket, request: ExecRequest, process: Running): Session {
  const { pid, exited, master } = process
  if (master !== undefined) setNonblocking(master)
  writeJson(socket, { call: request.call, ok: { pid } })
  const outputs: Output[] = []
  const follow = (fd: number, kind: 'pipe' | 'terminal', stream: 'stdout' | 'stderr') => {
    const output: Output = new Output(fd, kind, (chunk) => {
      // Unlike the container's own output this is the client's alone: a slow client slows the process down.
      if (!writeFrame(socket, stream, chunk)) for (const each of outputs) each.pause()
    })
    outputs.push(output)
  }
  if (process.stdout !== undefined) follow(process.stdout, 'pipe', 'stdout')
  if (process.stderr !== undefined) follow(process.stderr, 'pipe', 'stderr')
  if (master !== undefined) follow(master, 'terminal', 'stdout')
  socket.on('drain', () => {
    for (const output of outputs) output.resume()
  })
  const input =
    master !== undefined ? terminalInput(master) : process.stdin === undefined ? undefined : pipeInput(process.stdin)
  let ended = false
  void exited.then(({ exitCode }) => {
    ended = true
    for (const output of outputs) output.drain()
    for (const output of outputs) output.close()
    input?.end()
    writeJson(socket, { exit: { exitCode } })
    socket.end()
  })
  const feed = feeder(socket, input, (columns, rows) => {
    if (master !== undefined) setWindowSize(master, columns, rows)
  })
  return {
    onFrame(kind, payload) {
      if (kind === 'stdin' && payload.length === 0 && master === undefined) input?.end()
      else feed(kind, payload)
    },
    onClose() {
      if (!ended) killProcess(pid)
    },
  }
}

/** Passes input on, and makes the client wait when the process does not read it. */
function feeder(socket: Socket, input: Input | undefined, resize: (columns: number, rows: number) => void) {
  input?.onRoom(() => socket.resume())
  return (kind: FrameKind, payload: Buffer) => {
    if (kind === 'stdin' && payload.length > 0 && input && !input.write(payload)) socket.pause()
    if (kind !== 'json') return
    const message = JSON.parse(payload.toString()) as Message
    if ('resize' in message) resize(message.resize.columns, message.resize.rows)
  }
}

/** Our own child that we have not reaped: its pid cannot be another's. */
function killProcess(pid: number): void {
  try {
    const pidfd = pidfdOpen(pid)
    pidfdSignal(pidfd, 9)
    closeSync(pidfd)
  } catch (error) {
    if (!hasCode(error, 'KERNEL')) throw error
  }
}

function openPipes({ stdin, terminal }: ExecRequest) {
  const nothing = openSync('/dev/null', constants.O_RDWR)
  const child = new Map<number, number>([0, 1, 2].map((fd) => [fd, nothing]))
  if (terminal) return { child, ours: {} }
  const [input, output, error] = [stdin ? makePipe() : undefined, makePipe(), makePipe()]
  if (input) child.set(0, input.read)
  child.set(1, output.write)
  child.set(2, error.write)
  if (input) setNonblocking(input.write)
  for (const fd of [output.read, error.read]) setNonblocking(fd)
  if (input) closeSync(nothing)
  return { child, ours: { ...(input ? { stdin: input.write } : {}), stdout: output.read, stderr: error.read } }
}
