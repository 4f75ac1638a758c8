import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer as createHttpServer } from 'node:http'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { kubectls } from '../e2e/cluster.ts'
import { aFakeCluster, type FakeCluster } from './streaming/fake-cluster.ts'

interface Client {
  name: string
  program: string
  env: Record<string, string>
  /** What it must ask for, so that a test does not pass over the other way. */
  asks: RegExp
}

const home = mkdtempSync(join(tmpdir(), 'coracle-kubectl-'))
const spdy = { KUBECTL_REMOTE_COMMAND_WEBSOCKETS: 'false', KUBECTL_PORT_FORWARD_WEBSOCKETS: 'false' }
const webSocket = { KUBECTL_REMOTE_COMMAND_WEBSOCKETS: 'true', KUBECTL_PORT_FORWARD_WEBSOCKETS: 'true' }

/** Those of this machine that differ in how they stream: before WebSockets, with them as an offer, with them as the rule. */
function clients(): Client[] {
  const wanted = ['1.20', '1.28', '1.30', '1.33', 'PATH']
  const found = kubectls().filter(({ version }) => wanted.includes(version))
  return found.flatMap(({ path: program }) => {
    const { clientVersion } = JSON.parse(
      execFileSync(program, ['version', '--client', '-o', 'json'], { encoding: 'utf8' }),
    )
    const { major, minor } = clientVersion as { major: string; minor: string }
    const name = `${major}.${minor}`
    const overSpdy = { name: `${name}, SPDY`, program, env: spdy, asks: /^SPDY\/3\.1 / }
    const overWebSocket = { name: `${name}, WebSocket`, program, env: webSocket, asks: /^websocket / }
    return Number.parseInt(minor, 10) < 30 ? [overSpdy] : [overSpdy, overWebSocket]
  })
}

let cluster: FakeCluster
beforeAll(async () => {
  cluster = await aFakeCluster()
})
afterEach(() => {
  expect(cluster.asked.filter((line) => line.startsWith('failed'))).toEqual([])
  cluster.asked.length = 0
})
afterAll(async () => {
  await cluster.close()
  rmSync(home, { recursive: true })
})

interface Outcome {
  code: number | null
  out: Buffer
  err: string
}

async function kubectl(client: Client, args: string[], input?: string | Buffer): Promise<Outcome> {
  const child = start(client, args)
  if (input !== undefined) child.stdin?.end(input)
  const out: Buffer[] = []
  let err = ''
  child.stdout?.on('data', (bytes: Buffer) => out.push(bytes))
  child.stderr?.on('data', (bytes: Buffer) => (err += String(bytes)))
  const [code] = await once(child, 'close')
  return { code: code as number | null, out: Buffer.concat(out), err }
}

function start(client: Client, args: string[]): ChildProcess {
  const env = { PATH: '/usr/bin:/bin', HOME: home, KUBECONFIG: cluster.kubeconfig, ...client.env }
  return spawn('timeout', ['20', client.program, ...args], { env, stdio: 'pipe' })
}

const all = clients()
describe.skipIf(all.length === 0).each(all.length > 0 ? all : [{ name: 'none is installed' } as Client])(
  'kubectl $name',
  (client) => {
    it('exec: output and error output, and asks the way it should', async () => {
      const { code, out, err } = await kubectl(client, ['exec', 'web', '--', 'both'])
      expect([code, out.toString(), err]).toEqual([0, 'to stdout\n', 'to stderr\n'])
      expect(cluster.asked).toEqual([expect.stringMatching(client.asks)])
    })

    it.each([1, 3, 137])('exec: exit code %s', async (wanted) => {
      const { code, err } = await kubectl(client, ['exec', 'web', '--', 'exit', String(wanted)])
      expect([code, err]).toEqual([wanted, expect.stringContaining(`exit code ${wanted}`)])
    })

    it('exec: what cannot be run says why', async () => {
      const { code, err } = await kubectl(client, ['exec', 'web', '--', 'nonsense'])
      expect([code, err]).toEqual([1, expect.stringContaining('no command nonsense')])
    })

    it('exec -i: input comes whole and ends', async () => {
      const input = Buffer.alloc(3_000_000, 'some text ')
      const { code, out } = await kubectl(client, ['exec', '-i', 'web', '--', 'count'], input)
      expect([code, out.toString()]).toEqual([0, `${input.length}\n`])
    })

    it('exec -i: back and forth at once', async () => {
      const input = Buffer.from(Array.from({ length: 1_000_000 }, (_, at) => (at * 7) % 251))
      const { code, out } = await kubectl(client, ['exec', '-i', 'web', '--', 'cat'], input)
      expect(code).toBe(0)
      expect(out.equals(input)).toBe(true)
    })

    it('exec: much more output than a window of SPDY', async () => {
      const { code, out } = await kubectl(client, ['exec', 'web', '--', 'zeros', '20000000'])
      expect([code, out.length]).toEqual([0, 20_000_000])
    })

    it('exec -it: the size of the terminal arrives', async () => {
      const command = `stty rows 33 cols 101; exec ${client.program} exec -it web -- size`
      const env = { ...process.env, HOME: home, KUBECONFIG: cluster.kubeconfig, ...client.env }
      const child = spawn('timeout', ['20', 'script', '-qec', command, '/dev/null'], { env, stdio: 'pipe' })
      let out = ''
      child.stdout?.on('data', (bytes) => (out += String(bytes)))
      await once(child, 'close')
      expect(out).toContain('101x33')
    })

    it('attach -i: input is echoed', async () => {
      const { out } = await kubectl(client, ['attach', '-i', 'web'], 'hello\n')
      expect(out.toString()).toContain('hello')
    })

    it('port-forward: many connections at once, and a port where nobody listens', async () => {
      const page = Buffer.alloc(500_000, 'page ')
      const target = createHttpServer((_, response) => response.end(page)).listen(0, '127.0.0.1')
      await once(target, 'listening')
      const silent = createServer().listen(0, '127.0.0.1')
      await once(silent, 'listening')
      const ports = [target, silent].map((server) => (server.address() as AddressInfo).port)
      silent.close()
      const child = start(client, ['port-forward', 'web', ...ports.map((port) => `:${port}`)])
      let out = ''
      child.stderr?.on('data', (bytes) => (out += String(bytes)))
      const locals = await localPorts(child, ports)
      const fetched = await Promise.all(
        Array.from({ length: 10 }, async () =>
          (await fetch(`http://127.0.0.1:${locals[0]}/`, { headers: { connection: 'close' } })).arrayBuffer(),
        ),
      )
      expect(fetched.map((body) => Buffer.from(body).equals(page))).toEqual(Array(10).fill(true))
      await expect(fetch(`http://127.0.0.1:${locals[1]}/`)).rejects.toThrow()
      await expect.poll(() => out).toContain('ECONNREFUSED')
      child.kill('SIGTERM')
      await once(child, 'close')
      target.closeAllConnections()
      target.close()
    })
  },
)

/** kubectl prints which ports it has opened. */
async function localPorts(child: ChildProcess, remote: number[]): Promise<number[]> {
  let out = ''
  return new Promise((resolve) => {
    child.stdout?.on('data', (bytes) => {
      out += String(bytes)
      const found = remote.map((port) => Number(new RegExp(`127\\.0\\.0\\.1:(\\d+) -> ${port}`).exec(out)?.[1]))
      if (found.every((port) => port > 0)) resolve(found)
    })
  })
}
