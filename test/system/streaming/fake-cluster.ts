import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Duplex, Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import {
  acceptPortForward,
  acceptRemoteCommand,
  type CommandStatus,
  exitStatus,
  failureStatus,
  type RemoteCommandStreams,
} from '../../../kubelet-lite/server/streaming/index.ts'

/** As much of an API server as kubectl needs for exec, attach and port-forward to the pod `web`. */
export interface FakeCluster {
  kubeconfig: string
  /** Upgrade and subprotocol of each streaming request. */
  asked: string[]
  close(): Promise<void>
}

const pod = {
  kind: 'Pod',
  apiVersion: 'v1',
  metadata: { name: 'web', namespace: 'default', uid: '1' },
  spec: { containers: [{ name: 'main', image: 'x', stdin: true, tty: true }] },
  status: { phase: 'Running', containerStatuses: [{ name: 'main', ready: true, state: { running: {} } }] },
}

const verbs = ['create', 'get']
const resources = ['pods', 'pods/exec', 'pods/attach', 'pods/portforward'].map((name) => ({
  name,
  namespaced: true,
  kind: 'Pod',
  verbs,
}))

const documents: Record<string, unknown> = {
  '/version': { major: '1', minor: '36', gitVersion: 'v1.36.0' },
  '/api': { kind: 'APIVersions', versions: ['v1'] },
  '/apis': { kind: 'APIGroupList', apiVersion: 'v1', groups: [] },
  '/api/v1': { kind: 'APIResourceList', groupVersion: 'v1', resources },
  '/api/v1/namespaces/default/pods/web': pod,
}

export async function aFakeCluster(): Promise<FakeCluster> {
  const asked: string[] = []
  const server = createServer((request, response) => {
    const document = documents[request.url?.split('?')[0] ?? '']
    const body = document ?? { kind: 'Status', apiVersion: 'v1', status: 'Failure', code: 404, reason: 'NotFound' }
    response.writeHead(document ? 200 : 404, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  })
  server.on('upgrade', (request, socket, head) => {
    const { upgrade, 'sec-websocket-protocol': subprotocol, 'x-stream-protocol-version': version } = request.headers
    asked.push(`${upgrade} ${subprotocol ?? version}`)
    serve(request, socket, head).catch((error: unknown) => asked.push(`failed: ${String(error)}`))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const folder = mkdtempSync(join(tmpdir(), 'coracle-streaming-'))
  const kubeconfig = join(folder, 'config')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'c', cluster: { server: url } }],
    contexts: [{ name: 'c', context: { cluster: 'c', user: 'u' } }],
    users: [{ name: 'u', user: { token: 't' } }],
    'current-context': 'c',
  }
  writeFileSync(kubeconfig, JSON.stringify(config))
  return {
    kubeconfig,
    asked,
    async close() {
      server.closeAllConnections()
      server.close()
      rmSync(folder, { recursive: true })
    },
  }
}

async function serve(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
  const url = new URL(request.url ?? '', 'http://x')
  if (url.pathname.endsWith('/portforward')) return forward(request, socket, head)
  const flag = (name: string) => url.searchParams.get(name) === 'true'
  const wanted = { stdin: flag('stdin'), stdout: flag('stdout'), stderr: flag('stderr'), tty: flag('tty') }
  const streams = await acceptRemoteCommand({ request, socket, head, wanted })
  await streams.finish(await run(url.searchParams.getAll('command'), streams))
}

/** Commands that show each stream. */
async function run(command: string[], streams: RemoteCommandStreams): Promise<CommandStatus> {
  const [name = 'attach', argument = ''] = command
  const { stdin, stdout, stderr } = streams
  switch (name) {
    case 'cat':
    case 'attach':
      for await (const chunk of stdin as Readable) if (!stdout?.write(chunk)) await once(stdout as never, 'drain')
      return exitStatus(0)
    case 'count':
      stdout?.write(`${(await buffer(stdin as Readable)).length}\n`)
      return exitStatus(0)
    case 'both':
      stdout?.write('to stdout\n')
      stderr?.write('to stderr\n')
      return exitStatus(0)
    case 'zeros':
      for (let left = Number(argument); left > 0; left -= 65536) {
        if (!stdout?.write(Buffer.alloc(Math.min(left, 65536)))) await once(stdout as never, 'drain')
      }
      return exitStatus(0)
    case 'exit':
      return exitStatus(Number(argument))
    case 'size': {
      const size = await new Promise((resolve) => streams.onResize((columns, rows) => resolve(`${columns}x${rows}`)))
      stdout?.write(`${size}\r\n`)
      return exitStatus(0)
    }
    default:
      return failureStatus(`no command ${name}`)
  }
}

async function forward(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
  const session = await acceptPortForward({ request, socket, head })
  for await (const { port, data, error } of session.connections) {
    const target = connect(port, '127.0.0.1')
    target.on('connect', () => {
      data.pipe(target).pipe(data)
    })
    target.on('error', (reason) => error.write(reason.message))
    target.on('close', () => {
      data.end()
      error.end()
    })
    data.on('close', () => target.destroy())
  }
}
