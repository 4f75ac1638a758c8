import { request as httpsRequest } from 'node:https'
import { connect } from 'node:tls'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { anApi } from '../../test/fixtures/api.ts'
import type { User } from '../api/user.ts'
import { requestInfoOf } from './request-info.ts'
import { Traffic } from './traffic.ts'

const eve: User = { name: 'eve', groups: [] }
const masters: User = { name: 'root', groups: ['system:masters'] }

describe('Traffic', () => {
  let api: Awaited<ReturnType<typeof anApi>>
  beforeAll(async () => {
    api = await anApi()
  })
  afterAll(() => api.close())

  const aTraffic = () => new Traffic(api.registry, { readOnly: 2, mutating: 1, seconds: 60 })
  const asking = (method: string, path: string, search = '', user = eve) => {
    const query = new URLSearchParams(search)
    return [{ query, user }, requestInfoOf(method, path, query)] as const
  }
  const pods = '/api/v1/namespaces/a/pods'

  it('so many of each kind at once, then 429 with Retry-After, until one ends', () => {
    const traffic = aTraffic()
    const first = traffic.enter(...asking('GET', pods))
    traffic.enter(...asking('GET', pods))
    const refused = { status: expect.objectContaining({ code: 429, details: { retryAfterSeconds: 1 } }) }
    expect(() => traffic.enter(...asking('GET', pods))).toThrow(expect.objectContaining(refused))
    traffic.enter(...asking('POST', pods))
    expect(() => traffic.enter(...asking('DELETE', `${pods}/x`))).toThrow(expect.objectContaining(refused))
    first.end(200)
    first.end(200)
    traffic.enter(...asking('GET', pods))
    expect(() => traffic.enter(...asking('GET', pods))).toThrow(expect.objectContaining(refused))
  })

  it('masters, watches and logs are let in', () => {
    const traffic = aTraffic()
    for (let count = 0; count < 5; count++) {
      traffic.enter(...asking('GET', pods, '', masters))
      traffic.enter(...asking('GET', pods, 'watch=1'))
      traffic.enter(...asking('GET', `${pods}/a/log`))
      traffic.enter(...asking('GET', '/api/v1/nodes/a/proxy/x'))
    }
  })

  it('timeout: 504 when the time is over, 400 when it is none', async () => {
    const traffic = aTraffic()
    const late = traffic.enter(...asking('GET', pods, 'timeout=20ms')).inTime(new Promise(() => {}))
    await expect(late).rejects.toMatchObject({ status: { code: 504, reason: 'Timeout' } })
    expect(await traffic.enter(...asking('GET', pods, 'timeout=1m0s')).inTime(Promise.resolve(1))).toBe(1)
    expect(() => aTraffic().enter(...asking('GET', pods, 'timeout=soon'))).toThrow('invalid timeout')
  })

  it('metrics: requests, objects, store and watches under their names', async () => {
    await api.call('GET', '/api/v1/pods')
    await api.call('POST', '/api/v1/namespaces/default/configmaps', { body: { metadata: { name: 'counted' } } })
    await api.call('GET', '/api/v1/pods?watch=1&timeoutSeconds=1&resourceVersion=0')
    await api.call('GET', '/api/v1/namespaces/default/pods/a/invented')
    const { status, body } = await api.call('GET', '/metrics')
    expect(status).toBe(200)
    for (const line of [
      /^apiserver_request_total\{.*verb="LIST",.*resource="pods",.*code="200"\} 1$/m,
      /^apiserver_request_total\{.*verb="POST",.*resource="configmaps",.*code="201"\} 1$/m,
      /^apiserver_request_duration_seconds_bucket\{le="0.005",.*verb="LIST"/m,
      /^apiserver_current_inflight_requests\{request_kind="readOnly"\} 1$/m,
      /^apiserver_longrunning_requests\{verb="WATCH",.*resource="pods",.*\} 0$/m,
      /^apiserver_storage_objects\{resource="configmaps"\} 1$/m,
      /^etcd_request_duration_seconds_count\{operation="create",type="configmaps"\} 1$/m,
    ])
      expect(body).toMatch(line)
    expect(body).not.toContain('invented')
    expect((await api.call('GET', '/metrics', { as: eve })).status).toBe(403)
    expect((await api.call('GET', '/metrics', { as: null })).status).toBe(401)
  })
})

describe('createHttpServer', () => {
  let api: Awaited<ReturnType<typeof anApi>>
  let port: number
  beforeAll(async () => {
    api = await anApi()
    port = api.port
  })
  afterAll(() => api.close())

  const statusOf = (path: string, headers: Record<string, string> = {}) =>
    new Promise<number>((resolve, reject) => {
      const where = { host: '127.0.0.1', port, path, headers, rejectUnauthorized: false, agent: false as const }
      httpsRequest(where, (answer) => resolve(answer.resume().statusCode ?? 0))
        .on('error', reject)
        .end()
    })

  it('a URL of 100 kB is read, a head of 300 kB is refused', async () => {
    expect(await statusOf(`/livez?x=${'a'.repeat(100_000)}`)).toBe(200)
    expect(await statusOf('/livez', { 'x-long': 'a'.repeat(300_000) })).toBe(431)
  })

  it('a body comes with its head, behind it or in pieces, one request after the other', async () => {
    const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false })
    const value = 'x'.repeat(40_000)
    const cut: Record<string, (head: string, body: string) => string[]> = {
      together: (head, body) => [head + body],
      behind: (head, body) => [head, body],
      pieces: (head, body) => [head + body.slice(0, 5), body.slice(5, 9), body.slice(9)],
    }
    for (const [name, piecesOf] of Object.entries(cut)) {
      const body = JSON.stringify({ metadata: { name }, data: { value } })
      const head = `POST /api/v1/namespaces/default/configmaps HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n`
      const answered = new Promise<string>((resolve) => socket.once('data', (data) => resolve(String(data))))
      for (const piece of piecesOf(head, body)) {
        socket.write(piece)
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
      expect(await answered).toMatch(/^HTTP\/1.1 201 /)
      const { body: stored } = await api.call('GET', `/api/v1/namespaces/default/configmaps/${name}`)
      expect(stored.data).toEqual({ value })
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    socket.destroy()
  })

  it.each([
    [
      'chunks that are none',
      'POST /api/v1/namespaces/default/configmaps HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nnonsense\r\n',
    ],
    ['two lengths', 'POST /api HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab'],
    ['no HTTP', 'hello\r\n\r\n'],
    ['SPDY without upgrade', '\x80\x03\x00\x01\x00\x00\x00\x12garbage'],
  ])('%s: the connection ends, with 400 at most', async (_name, bytes) => {
    const text = await new Promise<string>((resolve, reject) => {
      let all = ''
      const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false }, () =>
        socket.write(bytes, 'latin1'),
      )
      socket.on('data', (data) => {
        all += String(data)
      })
      socket.on('error', reject)
      socket.on('close', () => resolve(all))
    })
    expect(text).toMatch(/^HTTP\/1.1 400 /)
    expect(await statusOf('/livez')).toBe(200)
  })
})
