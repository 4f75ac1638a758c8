import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { httpGet } from './http-get.ts'

let server: Server
let asked: string[] = []
const places: Readonly<Record<string, string>> = {
  '/a': '/b?x=1',
  '/here': 'ok',
  '/loop': '/loop',
  '/bad': 'gopher://x',
}

beforeAll(async () => {
  server = createServer((request, response) => {
    const url = request.url ?? ''
    if (url === '/never') return
    asked.push(`${url} ${request.headers['x-who'] ?? ''}`)
    const location = url === '/elsewhere' ? 'http://0.0.0.0/' : url === '/broken' ? '/status/500' : places[url]
    if (location !== undefined) response.writeHead(302, { location }).end('Found')
    else response.writeHead(Number(/^\/status\/(\d+)/.exec(url)?.[1] ?? 200)).end('x'.repeat(100_000))
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
})
afterAll(() => {
  server.closeAllConnections()
  server.close()
})

const get = (path: string, more: object = {}) => {
  asked = []
  const { port } = server.address() as AddressInfo
  const headers = { 'X-Who': 'me' }
  return httpGet({ secure: false, host: '127.0.0.1', port, path, headers, timeoutMs: 5000, purpose: 'probe', ...more })
}

describe('httpGet', () => {
  it('an answer below 400 is good, with the beginning of what was said', async () => {
    expect(await get('/')).toEqual({ ok: true, output: 'x'.repeat(10 * 1024) })
    expect(await get('/status/404')).toEqual({ ok: false, output: 'HTTP probe failed with statuscode: 404' })
  })
  it('redirections of the same host are followed with all headers, and what they lead to counts', async () => {
    expect(await get('/a')).toMatchObject({ ok: true })
    expect(asked).toEqual(['/a me', '/b?x=1 me'])
    expect(await get('/here')).toMatchObject({ ok: true })
    expect(asked[1]).toBe('/ok me')
    expect(await get('/broken')).toEqual({ ok: false, output: 'HTTP probe failed with statuscode: 500' })
  })
  it('one that leads elsewhere is not followed: good, with a warning', async () => {
    const warning = 'Probe terminated redirects, Response body: Found'
    expect(await get('/elsewhere')).toEqual({ ok: true, output: 'Found', warning })
    expect(await get('/bad')).toMatchObject({ ok: true, warning })
    expect(await get('/status/304')).toMatchObject({ ok: true, warning: expect.any(String) })
  })
  it('a hook is content with any answer, but not with none', async () => {
    expect(await get('/status/404', { purpose: 'hook' })).toMatchObject({ ok: true })
    expect(await get('/broken', { purpose: 'hook' })).toMatchObject({ ok: true })
    expect(asked).toEqual(['/broken me', '/status/500 me'])
    expect(await get('/loop', { purpose: 'hook' })).toMatchObject({ ok: false })
    expect(await get('/', { purpose: 'hook', port: 1 })).toMatchObject({ ok: false })
  })
  it('an answer counts that came while this process stood still', async () => {
    const answer = get('/', { timeoutMs: 300 })
    const until = performance.now() + 700
    while (performance.now() < until);
    expect(await answer).toMatchObject({ ok: true })
  })
  it('ends after ten requests, in time, and where nobody listens', async () => {
    expect(await get('/loop')).toEqual({ ok: false, output: 'stopped after 10 redirects' })
    expect(asked).toHaveLength(10)
    const why = 'context deadline exceeded (Client.Timeout exceeded while awaiting headers)'
    expect(await get('/never', { timeoutMs: 20 })).toEqual({
      ok: false,
      output: expect.stringMatching(`^Get "http://127.0.0.1:\\d+/never": ${why.replace(/[()]/g, '\\$&')}$`),
    })
    expect(await get('/', { port: 1 })).toMatchObject({ ok: false, output: expect.stringContaining('ECONNREFUSED') })
  })
})
