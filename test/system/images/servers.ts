import { execFileSync } from 'node:child_process'
import { createHash, createPublicKey, createSign, generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { user } from './registry.ts'

/** An authority of the test's own, and a certificate for loopback; PEM files. */
export function certificates(folder: string) {
  mkdirSync(folder, { recursive: true })
  const path = (name: string) => join(folder, name)
  const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: 'ignore', timeout: 20_000 })
  const ec = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  openssl('req', '-x509', ...ec, '-days', '2', '-subj', '/CN=test', '-keyout', path('ca.key'), '-out', path('ca.pem'))
  const issue = (name: string, usage: string) => {
    writeFileSync(path('ext'), `subjectAltName=IP:127.0.0.1,DNS:registry.test\nextendedKeyUsage=${usage}\n`)
    openssl('req', ...ec, '-subj', `/CN=${name}`, '-keyout', path(`${name}.key`), '-out', path(`${name}.csr`))
    const ca = ['-CA', path('ca.pem'), '-CAkey', path('ca.key'), '-CAcreateserial', '-days', '2']
    openssl('x509', '-req', '-in', path(`${name}.csr`), ...ca, '-extfile', path('ext'), '-out', path(`${name}.pem`))
    return { certificate: path(`${name}.pem`), key: path(`${name}.key`) }
  }
  return { ca: path('ca.pem'), server: issue('server', 'serverAuth'), client: issue('client', 'clientAuth') }
}

export interface TestServer {
  host: string
  /** `METHOD /path authorization`. */
  asked: string[]
  close(): Promise<void>
}

export type Handler = (request: IncomingMessage, response: ServerResponse) => void

export async function aServer(handler: Handler): Promise<TestServer & { server: Server }> {
  const asked: string[] = []
  const server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url} ${request.headers.authorization ?? '-'}`)
    handler(request, response)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    server,
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    async close() {
      server.closeAllConnections()
      server.close()
    },
  }
}

/** A proxy that leads every name to `target`; `asked` has what it was to reach. */
export async function aProxy(target: string): Promise<TestServer> {
  const [host = '', port = ''] = target.split(':')
  const tunnels = new Set<Duplex>()
  const proxy = await aServer((incoming, response) => {
    const url = new URL(incoming.url ?? '')
    const { method, headers } = incoming
    const onward = request({ host, port, method, path: url.pathname + url.search, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 500, answer.headers)
      answer.pipe(response)
    })
    incoming.pipe(onward)
  })
  proxy.server.on('connect', (incoming, socket) => {
    proxy.asked.push(`CONNECT ${incoming.url}`)
    const onward = connect(Number(port), host, () => socket.write('HTTP/1.1 200 OK\r\n\r\n'))
    for (const end of [socket, onward]) {
      tunnels.add(end)
      end.on('error', () => {})
    }
    onward.pipe(socket)
    socket.pipe(onward)
  })
  return {
    ...proxy,
    async close() {
      for (const tunnel of tunnels) tunnel.destroy()
      await proxy.close()
    },
  }
}

/** A token server as docker-registry wants it: JWTs with an RSA key whose id is in libtrust's form. */
export async function aTokenServer(folder: string) {
  mkdirSync(folder, { recursive: true })
  const bundle = join(folder, 'token.pem')
  const keyFile = join(folder, 'token.key')
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  writeFileSync(keyFile, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 })
  const args = ['req', '-x509', '-key', keyFile, '-days', '2', '-subj', '/CN=token', '-out', bundle]
  execFileSync('openssl', args, { stdio: 'ignore' })
  const der = createPublicKey(readFileSync(bundle)).export({ type: 'spki', format: 'der' })
  const kid = (base32(createHash('sha256').update(der).digest().subarray(0, 30)).match(/.{4}/g) ?? []).join(':')
  const sign = (scopes: string[]) => {
    const access = scopes.map((scope) => {
      const [type, name, actions = ''] = scope.split(':')
      return { type, name, actions: actions.split(',') }
    })
    const seconds = Math.floor(Date.now() / 1000)
    const claims = { iss: 'test', aud: 'r', exp: seconds + 300, nbf: seconds - 10, iat: seconds, jti: 'x', access }
    const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
    const text = `${part({ typ: 'JWT', alg: 'RS256', kid })}.${part(claims)}`
    return `${text}.${createSign('RSA-SHA256').update(text).sign(privateKey, 'base64url')}`
  }
  const basic = `Basic ${Buffer.from(`${user.username}:${user.password}`).toString('base64')}`
  const server = await aServer((request, response) => {
    let body = ''
    request.on('data', (bytes) => (body += String(bytes)))
    request.on('end', () => {
      const form = new URLSearchParams(body)
      const query = new URL(request.url ?? '', 'http://x').searchParams
      const byToken = request.method === 'POST' && form.get('refresh_token') === 'identity'
      if (!byToken && request.headers.authorization !== basic) return response.writeHead(401).end()
      const scopes = byToken ? (form.get('scope') ?? '').split(' ') : query.getAll('scope')
      return response.end(JSON.stringify({ token: sign(scopes), access_token: sign(scopes), expires_in: 300 }))
    })
  })
  return {
    ...server,
    config: { realm: `http://${server.host}/token`, service: 'r', issuer: 'test', rootcertbundle: bundle },
  }
}

function base32(bytes: Uint8Array): string {
  const digits = [...bytes].map((byte) => byte.toString(2).padStart(8, '0')).join('')
  return (digits.match(/.{1,5}/g) ?? [])
    .map((five) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'[Number.parseInt(five, 2)])
    .join('')
}
