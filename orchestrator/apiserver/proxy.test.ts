import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import { request as httpsRequest } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import { networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { systemClock } from '../../runtime/base/clock.ts'
import { silentLog } from '../../runtime/base/log.ts'
import { resources } from '../api/resources.ts'
import type { KeyPair } from '../auth/pki.ts'
import { throughProxy } from './proxy-headers.ts'
import { type ApiServer, startServer } from './server.ts'

/** An address of this machine that is not its loopback: what is sent there does not leave it. */
const address = Object.values(networkInterfaces())
  .flat()
  .find((each) => each?.family === 'IPv4' && !each.internal)?.address

interface Seen {
  method: string | undefined
  url: string | undefined
  headers: IncomingMessage['headers']
  size: number
}

describe.skipIf(address === undefined)('proxy', () => {
  const folder = mkdtempSync(join(tmpdir(), 'coracle-proxy-'))
  const host = address ?? ''
  const seen: Seen[] = []
  let server: ApiServer
  let web: Server
  let port: number
  let admin: KeyPair

  beforeAll(async () => {
    const clock = systemClock
    server = await startServer({ dataDir: folder, listen: { host: '127.0.0.1', port: 0 }, log: silentLog, clock })
    web = createServer(async (request, response) => {
      let size = 0
      for await (const piece of request as AsyncIterable<Buffer>) size += piece.length
      seen.push({ method: request.method, url: request.url, headers: request.headers, size })
      if (request.url === '/moved')
        response.writeHead(302, { location: '/there?a=1', 'access-control-allow-origin': '*' })
      response.end(`${request.method} ${request.url}`)
    }).on('upgrade', (request, socket: Socket) => {
      seen.push({ method: request.method, url: request.url, headers: request.headers, size: 0 })
      socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n')
      socket.pipe(socket)
    })
    await new Promise<void>((resolve) => web.listen(0, host, resolve))
    port = (web.address() as AddressInfo).port
    admin = await server.pki.issueClient({ commonName: 'admin', organizations: ['system:masters'] })
    await putPod('web', host)
    await putPod('inner', '127.0.0.1')
    const metadata = { namespace: 'default', name: 'web' }
    await server.client.create(resources.services, { metadata, spec: { ports: [{ name: 'www', port: 80 }] } })
    const target = (name: string) => ({ kind: 'Pod', namespace: 'default', name })
    const addresses = [
      { ip: host, targetRef: target('web') },
      { ip: '10.9.9.9', targetRef: target('inner') },
    ]
    await server.client.create(resources.endpoints, {
      metadata,
      subsets: [{ addresses, ports: [{ name: 'www', port }] }],
    })
  })
  afterAll(async () => {
    web.closeAllConnections()
    web.close()
    await server.close()
    rmSync(folder, { recursive: true })
  })

  async function putPod(name: string, podIP: string): Promise<void> {
    const key = { namespace: 'default', name }
    const containers = [{ name: 'a', image: 'x:1', ports: [{ name: 'http', containerPort: port }] }]
    await server.client.create(resources.pods, { metadata: key, spec: { containers } })
    const body = { status: { podIP, podIPs: [{ ip: podIP }] } }
    await server.client.patch(resources.pods, key, { type: 'merge', body, subresource: 'status' })
  }

  const tls = () => ({
    host: '127.0.0.1',
    port: server.port,
    ca: server.pki.caPem,
    cert: admin.certificatePem,
    key: admin.privateKeyPem,
    servername: 'localhost',
    agent: false as const,
  })

  function ask(path: string, { method = 'GET', headers = {}, body = Buffer.alloc(0) } = {}) {
    return new Promise<{ status: number; headers: IncomingMessage['headers']; body: string }>((resolve, reject) => {
      httpsRequest({ ...tls(), method, path: `/api/v1${path}`, headers }, async (answer) => {
        let text = ''
        for await (const piece of answer) text += String(piece)
        resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: text })
      })
        .on('error', reject)
        .end(body)
    })
  }
  const messageOf = ({ body }: { body: string }) => (JSON.parse(body) as { message: string }).message
  const pods = '/namespaces/default/pods'

  it.each(['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])(
    '%s: goes on, path and query as they were',
    async (method) => {
      const answer = await ask(`${pods}/web/proxy/a%2Fb/?q=1+2&q=%20`, { method })
      expect(answer).toMatchObject({ status: 200, body: `${method} /a%2Fb/?q=1+2&q=%20` })
    },
  )

  it.each(['web', 'web:http', 'http:web:', ':web:http'])('pods: %s is understood', async (name) => {
    expect((await ask(`${pods}/${name}/proxy/x`)).body).toBe('GET /x')
  })

  it('pods: the root without a slash is sent to the one with it', async () => {
    const { status, headers } = await ask(`${pods}/web/proxy?a=b`)
    expect([status, headers.location]).toEqual([301, `/api/v1${pods}/web/proxy/?a=b`])
  })

  it('no credentials of the client go on, a body of any size does', async () => {
    const acting = { 'impersonate-user': 'y', 'impersonate-group': 'system:masters' }
    const headers = { authorization: 'Bearer x', ...acting, 'x-own': 'z' }
    await ask(`${pods}/web/proxy/up`, { method: 'POST', headers, body: Buffer.alloc(8 * 1024 * 1024) })
    const last = seen.at(-1)
    expect(last).toMatchObject({ size: 8 * 1024 * 1024, headers: { 'x-own': 'z', 'x-forwarded-proto': 'https' } })
    expect(Object.keys(last?.headers ?? {})).not.toEqual(expect.arrayContaining(['authorization']))
    expect(Object.keys(last?.headers ?? {})).not.toEqual(expect.arrayContaining(['impersonate-user']))
  })

  it('a redirect leads through the proxy again, and lets no other origin in', async () => {
    const { status, headers } = await ask(`${pods}/web/proxy/moved`, { headers: { host: 'api:1' } })
    expect([status, headers.location]).toEqual([302, `https://api:1/api/v1${pods}/web/proxy/there?a=1`])
    expect(headers['access-control-allow-origin']).toBeUndefined()
  })

  it.each([
    [`${pods}/inner/proxy/`, 400, 'address not allowed'],
    [`${pods}/ftp:web:80/proxy/`, 400, 'invalid pod request "ftp:web:80"'],
    [`${pods}/web:1/proxy/`, 503, /^error trying to reach service: /],
    [`${pods}/nobody/proxy/`, 404, 'pods "nobody" not found'],
    ['/namespaces/default/services/web:9/proxy/', 503, 'no service port 9 found for service "web"'],
    ['/namespaces/default/services/web:other/proxy/', 503, 'no endpoints available for service "web:other"'],
  ])('%s: is refused', async (path, status, message) => {
    const protobuf = 'application/vnd.kubernetes.protobuf'
    const read = await ask(path, { headers: { accept: protobuf } as Record<string, string> })
    expect([read.status, read.headers['content-type'], read.body.slice(0, 3)]).toEqual([status, protobuf, 'k8s'])
    const answer = await ask(path)
    expect([answer.status, messageOf(answer)]).toEqual([status, expect.stringMatching(message)])
  })

  it.each(['web:www', 'web:80'])('services/%s: goes to an endpoint that is the address of its pod', async (name) => {
    const path = `/namespaces/default/services/${name}/proxy/s`
    for (let count = 0; count < 8; count++) expect((await ask(path)).body).toBe('GET /s')
  })

  it('an upgrade: both ways, and the credentials stay here', async () => {
    const headers = { connection: 'Upgrade', upgrade: 'echo', authorization: 'Bearer x' }
    const asked = httpsRequest({ ...tls(), path: `/api/v1${pods}/web/proxy/ws?x=1`, headers }).end()
    const socket = await new Promise<Socket>((resolve) => asked.once('upgrade', (_, each: Socket) => resolve(each)))
    socket.write('ping')
    expect(String(await new Promise((resolve) => socket.once('data', resolve)))).toBe('ping')
    socket.destroy()
    expect(seen.at(-1)).toMatchObject({ url: '/ws?x=1', headers: { upgrade: 'echo' } })
    expect(seen.at(-1)?.headers.authorization).toBeUndefined()
  })
})

describe('throughProxy', () => {
  const request = { headers: { host: 'api:6443' }, prefix: '/p/proxy', path: '/', authority: '10.0.0.1:80' }
  it.each([
    ['/a?b#c', 'https://api:6443/p/proxy/a?b#c'],
    ['http://10.0.0.1:80/a/', 'https://api:6443/p/proxy/a/'],
    ['http://10.0.0.1/a/', 'https://api:6443/p/proxy/a/'],
    ['/p/proxy/a', '/p/proxy/a'],
    ['a', 'a'],
    ['//evil/a', '//evil/a'],
    ['http://elsewhere/a', 'http://elsewhere/a'],
  ])('%s: becomes %s', (link, expected) => {
    expect(throughProxy(link, request)).toBe(expected)
  })
})
