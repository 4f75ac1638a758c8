import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { anImage, digestOf } from '../../test/fixtures/image.ts'
import type { Digest } from '../digest.ts'
import type { Descriptor } from '../manifest.ts'
import { directAccess } from './access.ts'
import { RegistryClient } from './client.ts'
import { originOf } from './endpoints.ts'
import { allowsHttp } from './http.ts'
import type { Access, RegistryOptions } from './session.ts'

const nobody: Access = { auth: undefined, signal: undefined }
const servers: Server[] = []
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections()
    server.close()
  }
})

type Handler = (request: IncomingMessage, response: ServerResponse) => void

/** A server that answers by path, and what it was asked. */
async function aServer(routes: Record<string, Handler>) {
  const asked: string[] = []
  const server = createServer((request, response) => {
    asked.push(`${request.url} ${request.headers.authorization ?? '-'}`)
    const route = routes[request.url?.split('?')[0] ?? '']
    if (route) route(request, response)
    else response.writeHead(404).end('{"errors":[{"code":"X","message":"not here"}]}')
  }).listen(0, '127.0.0.1')
  servers.push(server)
  await once(server, 'listening')
  return { host: `127.0.0.1:${(server.address() as AddressInfo).port}`, asked }
}

/** Does not wait between attempts. */
const aClient = (more: Partial<RegistryOptions> = {}) =>
  new RegistryClient({
    clock: { now: () => Date.now(), sleep: async () => {} },
    random: () => 0,
    ...directAccess,
    ...more,
  })

const image = anImage({ layers: [[{ name: 'x', content: 'hello' }]] })
const body = Buffer.alloc(100_000, 'layer ')
const layer: Descriptor = { mediaType: 'x', digest: digestOf(body) as Digest, size: body.length }
const manifestPath = '/v2/team/app/manifests/1'
const blobPath = `/v2/team/app/blobs/${layer.digest}`
const repository = (host: string) => ({ domain: host, path: 'team/app' })

async function collect(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of source) chunks.push(chunk)
  return Buffer.concat(chunks)
}

describe('manifest', () => {
  it('bytes, type and digest', async () => {
    const { host } = await aServer({
      [manifestPath]: (_, response) => response.setHeader('content-type', 'a/b; charset=utf-8').end(image.manifest),
    })
    expect(await aClient().manifest(repository(host), '1', nobody)).toEqual({
      bytes: image.manifest,
      digest: image.manifestDigest,
      mediaType: 'a/b',
    })
  })

  it('other bytes than the digest promises: are refused', async () => {
    const { host } = await aServer({ [`/v2/team/app/manifests/${layer.digest}`]: (_, response) => response.end('{}') })
    await expect(aClient().manifest(repository(host), layer.digest, nobody)).rejects.toMatchObject({
      code: 'IMAGE_DIGEST_MISMATCH',
    })
  })

  it('not there: tells what the registry says', async () => {
    const { host } = await aServer({})
    await expect(aClient().manifest(repository(host), '1', nobody)).rejects.toMatchObject({
      code: 'IMAGE_NOT_FOUND',
      message: `fetch manifests/1 of ${host}/team/app: the registry answers 404 Not Found (not here)`,
    })
  })

  it('a passing failure: is tried again', async () => {
    let count = 0
    const { host } = await aServer({
      [manifestPath]: (_, response) => (++count < 3 ? response.writeHead(503).end() : response.end(image.manifest)),
    })
    expect((await aClient().manifest(repository(host), '1', nobody)).digest).toBe(image.manifestDigest)
  })

  it('an answer without end: is given up', async () => {
    const { host } = await aServer({
      [manifestPath]: (_, response) => {
        const more = () => {
          while (!response.destroyed && response.write(Buffer.alloc(1 << 20)));
          if (!response.destroyed) response.once('drain', more)
        }
        more()
      },
    })
    await expect(aClient().manifest(repository(host), '1', nobody)).rejects.toThrow(/more than/)
  })
})

describe('identification', () => {
  const credentials = { username: 'alice', password: 'p:w' }
  const basic = `Basic ${Buffer.from('alice:p:w').toString('base64')}`
  const bearer =
    (answer: string): Handler =>
    (request, response) => {
      if (request.headers.authorization === 'Bearer t1') response.end(image.manifest)
      else response.writeHead(401, { 'www-authenticate': answer }).end()
    }

  it('Bearer: asks the token server, with user and scope, and keeps the token', async () => {
    const tokens = await aServer({ '/token': (_, response) => response.end('{"token":"t1","expires_in":300}') })
    const challenge = `Bearer realm="http://${tokens.host}/token",service="r",scope="repository:team/app:pull"`
    const { host, asked } = await aServer({ [manifestPath]: bearer(challenge) })
    const client = aClient()
    await client.manifest(repository(host), '1', { ...nobody, auth: credentials })
    await client.manifest(repository(host), '1', { ...nobody, auth: credentials })
    expect(tokens.asked).toEqual([`/token?service=r&scope=repository%3Ateam%2Fapp%3Apull&account=alice ${basic}`])
    expect(asked.map((line) => line.split(' ').slice(1).join(' '))).toEqual(['-', 'Bearer t1', 'Bearer t1'])
  })

  it('a token of one user is not used for another', async () => {
    const tokens = await aServer({ '/token': (_, response) => response.end('{"token":"t1"}') })
    const { host, asked } = await aServer({ [manifestPath]: bearer(`Bearer realm="http://${tokens.host}/token"`) })
    const client = aClient()
    await client.manifest(repository(host), '1', { ...nobody, auth: credentials })
    await client.manifest(repository(host), '1', nobody)
    expect(asked.map((line) => line.split(' ').slice(1).join(' '))).toEqual(['-', 'Bearer t1', '-', 'Bearer t1'])
  })

  it('Basic: only with a user, and only when asked', async () => {
    const { host, asked } = await aServer({
      [manifestPath]: (request, response) => {
        if (request.headers.authorization === basic) response.end(image.manifest)
        else response.writeHead(401, { 'www-authenticate': 'Basic realm="r"' }).end()
      },
    })
    await expect(aClient().manifest(repository(host), '1', nobody)).rejects.toThrow(/user and password/)
    await aClient().manifest(repository(host), '1', { ...nobody, auth: credentials })
    expect(asked.map((line) => line.split(' ').slice(1).join(' '))).toEqual(['-', '-', basic])
  })

  it('a token server without TLS elsewhere: never sees the password', async () => {
    const { host } = await aServer({ [manifestPath]: bearer('Bearer realm="http://192.0.2.1/token"') })
    await expect(aClient().manifest(repository(host), '1', { ...nobody, auth: credentials })).rejects.toMatchObject({
      code: 'IMAGE_INSECURE',
    })
  })

  it('a token that is refused: is an error, not a loop', async () => {
    const tokens = await aServer({ '/token': (_, response) => response.end('{"token":"t2"}') })
    const { host, asked } = await aServer({ [manifestPath]: bearer(`Bearer realm="http://${tokens.host}/token"`) })
    await expect(aClient().manifest(repository(host), '1', nobody)).rejects.toMatchObject({
      code: 'IMAGE_UNAUTHORIZED',
    })
    expect(asked).toHaveLength(2)
  })
})

describe('blob', () => {
  it('a redirect to another host: goes without the credentials', async () => {
    const storage = await aServer({ '/data': (_, response) => response.end(body) })
    const { host } = await aServer({
      [blobPath]: (request, response) => {
        if (!request.headers.authorization) response.writeHead(401, { 'www-authenticate': 'Basic realm="r"' }).end()
        else response.writeHead(307, { location: `http://${storage.host}/data` }).end()
      },
    })
    const auth = { username: 'alice', password: 'p' }
    expect(await collect(aClient().blob(repository(host), layer, { ...nobody, auth }))).toEqual(body)
    expect(storage.asked).toEqual(['/data -'])
  })

  it('a redirect away from loopback without TLS: is refused', async () => {
    const { host } = await aServer({
      [blobPath]: (_, response) => response.writeHead(302, { location: 'http://192.0.2.1/x' }).end(),
    })
    await expect(collect(aClient().blob(repository(host), layer, nobody))).rejects.toMatchObject({
      code: 'IMAGE_INSECURE',
    })
  })

  it('redirects in a circle: come to an end', async () => {
    const { host } = await aServer({
      [blobPath]: (_, response) => response.writeHead(302, { location: blobPath }).end(),
    })
    await expect(collect(aClient().blob(repository(host), layer, nobody))).rejects.toThrow(/redirects/)
  })

  it.each(['with ranges', 'without ranges'])('a connection that breaks: is resumed, from a server %s', async (kind) => {
    const ranges: (string | undefined)[] = []
    const { host } = await aServer({
      [blobPath]: (request, response) => {
        ranges.push(request.headers.range)
        const from = kind === 'with ranges' ? Number(/bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0) : 0
        response.writeHead(from > 0 ? 206 : 200, { 'content-length': body.length - from })
        if (ranges.length > 1) response.end(body.subarray(from))
        else response.write(body.subarray(0, 40_000), () => setTimeout(() => response.destroy(), 20))
      },
    })
    expect(await collect(aClient().blob(repository(host), layer, nobody))).toEqual(body)
    expect(ranges).toEqual([undefined, 'bytes=40000-'])
  })

  it('given up: says why', async () => {
    const { host } = await aServer({ [blobPath]: (_, response) => response.write('x') })
    const stop = new AbortController()
    const reading = collect(aClient().blob(repository(host), layer, { ...nobody, signal: stop.signal }))
    setTimeout(() => stop.abort(new Error('enough')), 30)
    await expect(reading).rejects.toThrow('enough')
  })
})

describe('allowsHttp', () => {
  it.each([
    'localhost',
    'localhost:5000',
    '127.0.0.1:5000',
    '127.9.9.9',
    '[::1]:5000',
    'named.test',
    'named.test:80',
    'ported.test:81',
  ])('%s: yes', (host) => {
    expect(allowsHttp(host, ['named.test', 'ported.test:81'])).toBe(true)
    expect(originOf(repository(host), ['named.test', 'ported.test:81']).schemes).toEqual(['https', 'http'])
  })

  it.each(['docker.io', 'localhost.test', '127.0.0.1.test', 'ported.test', 'ported.test:82', '10.0.0.1'])(
    '%s: no',
    (host) => {
      expect(allowsHttp(host, ['named.test', 'ported.test:81'])).toBe(false)
    },
  )
})
