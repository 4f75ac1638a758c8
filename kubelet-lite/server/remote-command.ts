import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { messageOf } from '../../runtime/base/errors.ts'
import type { StreamSession } from '../cri/types.ts'
import { allContainers } from '../pod-containers.ts'
import { BadRequest } from './errors.ts'
import { acceptRemoteCommand, exitStatus, failureStatus, type RemoteCommandStreams } from './streaming/index.ts'
import { findContainer, type Target } from './target.ts'

export interface Upgrade {
  request: IncomingMessage
  socket: Duplex
  head: Buffer
}

/** Window before the client has said how large its terminal is. */
const defaultTerminal = { columns: 80, rows: 24 }

/** UPG /exec and /attach: connects a process's standard streams with the client's until the process or the client ends. */
export async function remoteCommand(target: Target, verb: 'exec' | 'attach', upgrade: Upgrade): Promise<void> {
  const { query } = target
  const on = (name: string) => query.get(name) === '1' || query.get(name) === 'true'
  const wanted = {
    stdin: on('input') || on('stdin'),
    stdout: on('output') || on('stdout'),
    stderr: on('error') || on('stderr'),
    tty: on('tty'),
  }
  if (!wanted.stdin && !wanted.stdout && !wanted.stderr)
    throw new BadRequest('you must specify at least 1 of stdin, stdout, stderr')
  const command = query.getAll('command')
  if (verb === 'exec' && command.length === 0)
    throw new BadRequest('you must specify at least one command for the container')
  const container = await findContainer(target)
  if (container.state !== 'running') throw new BadRequest(`container ${container.name} is not running`)
  const streams = await acceptRemoteCommand({ ...upgrade, wanted: { ...wanted, stderr: wanted.stderr && !wanted.tty } })
  try {
    const { runtime } = target.options
    const options = { stdin: wanted.stdin, ...(wanted.tty ? { terminal: defaultTerminal } : {}) }
    const session =
      verb === 'exec' ? await runtime.exec(container.id, command, options) : await runtime.attach(container.id, options)
    await connect(session, streams, verb === 'attach' && !endsWithInput(target))
  } catch (error) {
    await streams.finish(failureStatus(`error executing command in container: ${messageOf(error)}`))
  }
}

/** True for a container that hears of the end of its first client's input; that client then waits for its end. */
function endsWithInput({ pod, container: name }: Target): boolean {
  const { stdinOnce = false, tty = false } = allContainers(pod).find((each) => each.name === name) ?? {}
  return stdinOnce && !tty
}

/** `leaves`: a client whose input has ended has done what he came for, as with containerd and CRI-O. */
async function connect(session: StreamSession, streams: RemoteCommandStreams, leaves: boolean): Promise<void> {
  streams.onResize((columns, rows) => session.resize(columns, rows))
  // A client that goes away takes its process's streams along, as with the real kubelet.
  const gone = streams.closed.then(() => session.close())
  const { promise: left, resolve: leave } = Promise.withResolvers<{ exitCode: number }>()
  if (streams.stdin && session.stdin) {
    const detach = () => leaves && leave({ exitCode: 0 })
    pipeline(streams.stdin, session.stdin).then(detach, () => undefined)
  }
  const outputs = [
    drain(session.stdout, streams.stdout),
    session.stderr ? drain(session.stderr, streams.stderr) : Promise.resolve(),
  ]
  const ended = Promise.all([session.exit, ...outputs]).then(([exit]) => exit)
  const exit = await Promise.race([ended, left, gone.then(() => undefined)])
  if (exit) await streams.finish(exitStatus(exit.exitCode))
}

/** An output that nobody asked for is still read: its writer must not be blocked. */
async function drain(from: StreamSession['stdout'], to: RemoteCommandStreams['stdout']): Promise<void> {
  if (to) return pipeline(from, to, { end: false }).catch(() => undefined)
  for await (const _ignored of from);
}
