import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

/** docker-registry on a loopback port of its own. */
export interface Registry {
  /** `127.0.0.1:<port>`. */
  host: string
  /** What it has written about requests. */
  log(): string
  close(): Promise<void>
}

export const user = { username: 'alice', password: 'correct horse' }
/** bcrypt of that password. */
const htpasswd = 'alice:$2b$05$amdVX0/FUWgJRtrhkQng/u0BWix.ZbvLHRy4BlMaqi4fw0yj3rRrW'

export interface RegistryOptions {
  withPassword?: boolean
  /** PEM files of the server. */
  tls?: { certificate: string; key: string; clientcas?: string[] }
  /** docker-registry's own words for a token server. */
  token?: { realm: string; service: string; issuer: string; rootcertbundle: string }
  port?: number
  /** Where its data lies, when it shall outlive this process. */
  data?: string
}

export async function aRegistry(o: RegistryOptions = {}): Promise<Registry> {
  const folder = mkdtempSync(join(tmpdir(), 'coracle-registry-'))
  const port = o.port ?? (await freePort())
  writeFileSync(join(folder, 'htpasswd'), htpasswd)
  const password = o.withPassword ? { htpasswd: { realm: 'test', path: join(folder, 'htpasswd') } } : {}
  const auth = o.withPassword || o.token ? { auth: { ...password, ...(o.token ? { token: o.token } : {}) } } : {}
  const config = {
    version: '0.1',
    log: { level: 'info' },
    storage: { filesystem: { rootdirectory: o.data ?? join(folder, 'data') }, delete: { enabled: true } },
    http: { addr: `127.0.0.1:${port}`, ...(o.tls ? { tls: o.tls } : {}) },
    ...auth,
  }
  writeFileSync(join(folder, 'config.yml'), JSON.stringify(config))
  const child: ChildProcess = spawn('docker-registry', ['serve', join(folder, 'config.yml')], { stdio: 'pipe' })
  let log = ''
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (bytes) => (log += String(bytes)))
  const host = `127.0.0.1:${port}`
  while (!(await answers(port))) {
    if (child.exitCode !== null) throw new Error(`docker-registry ended: ${log}`)
    await sleep(20)
  }
  return {
    host,
    log: () => log,
    async close() {
      child.kill('SIGKILL')
      await once(child, 'exit')
      rmSync(folder, { recursive: true })
    },
  }
}

async function answers(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}
