/** One try of a probe or a lifecycle hook (API reference: ExecAction, HTTPGetAction, TCPSocketAction, GRPCAction, SleepAction). */
import { connect } from 'node:net'
import type { Container, Probe } from '../../orchestrator/api/types.ts'
import { messageOf } from '../../runtime/base/errors.ts'
import type { RuntimeService } from '../cri/types.ts'
import { checkHealth } from './grpc-health.ts'
import { httpGet } from './http-get.ts'
import type { Outcome } from './outcome.ts'
import { Patience } from './patience.ts'

type LifecycleHandler = NonNullable<NonNullable<Container['lifecycle']>['preStop']>
export type Handler = Pick<Probe, 'exec' | 'httpGet' | 'tcpSocket' | 'grpc'> & Pick<LifecycleHandler, 'sleep'>

export interface HandlerTarget {
  runtime: RuntimeService
  container: Container
  containerId: string
  podIP: string
  timeoutMs: number
  purpose: 'probe' | 'hook'
}

const maxOutputBytes = 10 * 1024

/** Never throws: whatever goes wrong is a failed try. */
export async function tryHandler(handler: Handler, target: HandlerTarget): Promise<Outcome> {
  try {
    if (handler.exec) return await tryExec(handler.exec.command ?? [], target)
    if (handler.httpGet) return await tryHttp(handler.httpGet, target)
    if (handler.tcpSocket) return await tryTcp(handler.tcpSocket, target)
    if (handler.grpc) return await checkHealth(handler.grpc, target)
    if (handler.sleep) return await sleep(Math.min(handler.sleep.seconds * 1000, target.timeoutMs))
    return { ok: false, output: 'this kind of handler is not supported' }
  } catch (error) {
    return { ok: false, output: messageOf(error) }
  }
}

async function sleep(milliseconds: number): Promise<Outcome> {
  await new Promise((resolve) => setTimeout(resolve, milliseconds))
  return { ok: true, output: '' }
}

async function tryExec(command: readonly string[], target: HandlerTarget): Promise<Outcome> {
  const session = await target.runtime.exec(target.containerId, command, { stdin: false })
  const chunks: Buffer[] = []
  const collect = (chunk: Buffer) => {
    if (chunks.reduce((sum, each) => sum + each.length, 0) < maxOutputBytes) chunks.push(chunk)
  }
  session.stdout.on('data', collect)
  session.stderr?.on('data', collect)
  const reason = `command "${command.join(' ')}" timed out`
  const patience = new Patience(target.timeoutMs, reason)
  const late = new Promise<'late'>((resolve) => {
    patience.signal.addEventListener('abort', () => resolve('late'))
  })
  const exit = await Promise.race([session.exit, late])
  patience.end()
  if (exit === 'late') {
    session.close()
    return { ok: false, output: reason }
  }
  return { ok: exit.exitCode === 0, output: Buffer.concat(chunks).subarray(0, maxOutputBytes).toString() }
}

function tryHttp(action: NonNullable<Probe['httpGet']>, target: HandlerTarget): Promise<Outcome> {
  return httpGet({
    secure: action.scheme === 'HTTPS',
    host: action.host || target.podIP,
    port: portNumber(action.port as unknown as number | string, target.container),
    path: (action.path ?? '').replace(/^\/?/, '/'),
    headers: Object.fromEntries((action.httpHeaders ?? []).map(({ name, value }) => [name, value])),
    timeoutMs: target.timeoutMs,
    purpose: target.purpose,
  })
}

function tryTcp(action: NonNullable<Probe['tcpSocket']>, target: HandlerTarget): Promise<Outcome> {
  const port = portNumber(action.port as unknown as number | string, target.container)
  return new Promise((resolve) => {
    const socket = connect({ host: action.host || target.podIP, port, timeout: target.timeoutMs })
    const end = (ok: boolean, output: string) => {
      socket.destroy()
      resolve({ ok, output })
    }
    socket.on('connect', () => end(true, ''))
    socket.on('timeout', () => end(false, `dial tcp ${target.podIP}:${port}: i/o timeout`))
    socket.on('error', (error) => end(false, messageOf(error)))
  })
}

function portNumber(port: number | string, container: Container): number {
  const number = Number(port)
  if (Number.isInteger(number)) return number
  const named = container.ports?.find((each) => each.name === port)
  if (!named) throw new Error(`couldn't find port: ${port}`)
  return named.containerPort
}
