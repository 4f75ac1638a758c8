import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, request as httpsRequest, type Server } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect as tlsConnect } from 'node:tls'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import WebSocket from 'ws'
import { systemClock } from '../../runtime/base/clock.ts'
import { silentLog } from '../../runtime/base/log.ts'
import { resources } from '../api/resources.ts'
import type { KeyPair } from '../auth/pki.ts'
import { type ApiServer, startServer } from './server.ts'

/** A kubelet that answers logs, refuses `attach`, and echoes after an upgrade of `exec`. */
function fakeKubelet(tls: { pair: KeyPair; caPem: string }, seen: string[]): Server {
  const { pair, caPem } = tls
  const kubelet = createServer(
    { cert: pair.certificatePem, key: pair.privateKeyPem, ca: caPem, requestCert: true, rejectUnauthorized: true },
    (request, response) => {
      seen.push(`${request.method} ${request.url}`)
      response.end('line one\nline two\n')
    },
  )
  kubelet.on('upgrade', (request, socket: Socket) => {
    seen.push(`${request.method} ${request.url} ${request.headers['x-stream-protocol-version'] ?? ''}`)
    if (request.url?.startsWith('/attach/')) {
      socket.write('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno')
      socket.on('data', (data) => seen.push(`smuggled ${data.toString()}`))
      return
    }
    socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: SPDY/3.1\r\nConnection: Upgrade\r\n\r\n')
    socket.pipe(socket)
  })
  return kubelet
}

describe('kubelet-proxy', () => {
  const folder = mkdtempSync(join(tmpdir(), 'coracle-proxy-'))
  const seen: string[] = []
  let server: ApiServer
  let kubelet: Server
  let admin: KeyPair

  beforeAll(async () => {
    server = await startServer({
      dataDir: folder,
      listen: { host: '127.0.0.1', port: 0 },
      log: silentLog,
      clock: systemClock,
    })
    const { pki, client } = server
    const pair = await pki.issueServing({ commonName: 'system:node:n1', hosts: ['127.0.0.1'] })
    kubelet = fakeKubelet({ pair, caPem: pki.caPem }, seen)
    await new Promise<void>((resolve) => kubelet.listen(0, '127.0.0.1', resolve))
    admin = await pki.issueClient({ commonName: 'admin', organizations: ['system:masters'] })
    const { port } = kubelet.address() as AddressInfo
    const status = {
      addresses: [{ type: 'InternalIP', address: '127.0.0.1' }],
      daemonEndpoints: { kubeletEndpoint: { Port: port } },
    }
    await client.create(resources.nodes, { metadata: { name: 'n1' }, status })
    for (const [name, containers] of Object.entries({ one: ['a'], two: ['a', 'b'] })) {
      await client.create(resources.pods, {
        metadata: { name, namespace: 'default' },
        spec: { nodeName: 'n1', containers: containers.map((each) => ({ name: each, image: 'x:1' })) },
      })
    }
    await client.create(resources.pods, {
      metadata: { name: 'free', namespace: 'default' },
      spec: { containers: [{ name: 'a', image: 'x:1' }] },
    })
  })

  afterAll(async () => {
    await server.close()
    kubelet.closeAllConnections()
    await new Promise((resolve) => kubelet.close(resolve))
    rmSync(folder, { recursive: true })
  })

  const tls = () => ({
    host: '127.0.0.1',
    port: server.port,
    ca: server.pki.caPem,
    cert: admin.certificatePem,
    key: admin.privateKeyPem,
  })

  function get(path: string): Promise<{ status: number; body: string }> {
    return new Promise((resolve, reject) => {
      httpsRequest({ ...tls(), path, agent: false }, (response) => {
        let body = ''
        response.on('data', (chunk) => {
          body += String(chunk)
        })
        response.on('end', () => resolve({ status: response.statusCode ?? 0, body }))
      })
        .on('error', reject)
        .end()
    })
  }

  /** Sends `head`, waits for an answer, sends `more`, and gives all that came until `done` or the end. */
  function raw(head: string, more: string, done: (text: string) => boolean): Promise<string> {
    return new Promise((resolve, reject) => {
      let text = ''
      const socket = tlsConnect(tls(), () => socket.write(head))
      socket.on('data', (data) => {
        if (text === '') socket.write(more)
        text += data.toString()
        if (done(text)) socket.destroy()
      })
      socket.on('error', reject)
      socket.on('close', () => resolve(text))
    })
  }

  const upgrade = (path: string) =>
    `POST ${path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: v4.channel.k8s.io\r\nContent-Length: 0\r\n\r\n`

  it('log: is the kubelet answer, under the kubelet path', async () => {
    const answer = await get('/api/v1/namespaces/default/pods/one/log?tailLines=2&follow=true&timestamps=1')
    expect(answer).toEqual({ status: 200, body: 'line one\nline two\n' })
    expect(seen.at(-1)).toBe('GET /containerLogs/default/one/a?follow=true&timestamps=true&tailLines=2')
  })

  it.each(['', 'binary.k8s.io', 'base64.binary.k8s.io'])('log: over WebSocket %s', async (protocol) => {
    const url = `wss://127.0.0.1:${server.port}/api/v1/namespaces/default/pods/one/log?tailLines=2`
    const webSocket = new WebSocket(url, protocol ? [protocol] : [], { ...tls(), rejectUnauthorized: false })
    const texts: string[] = []
    webSocket.on('message', (data) => texts.push(String(data)))
    const code = await new Promise((resolve) => webSocket.once('close', resolve))
    const text = protocol.startsWith('base64') ? Buffer.from(texts.join(''), 'base64').toString() : texts.join('')
    expect([code, text, webSocket.protocol]).toEqual([1000, 'line one\nline two\n', protocol])
  })

  it('log: of a pod without a node is empty', async () => {
    expect(await get('/api/v1/namespaces/default/pods/free/log')).toEqual({ status: 200, body: '' })
  })

  it('log: asks for a container when there are several', async () => {
    const { status, body } = await get('/api/v1/namespaces/default/pods/two/log')
    expect(status).toBe(400)
    expect(JSON.parse(body)).toMatchObject({
      message: 'a container name must be specified for pod two, choose one of: [a b]',
      reason: 'BadRequest',
    })
  })

  it('log: refuses an unknown container and negative numbers', async () => {
    expect(JSON.parse((await get('/api/v1/namespaces/default/pods/one/log?container=z')).body).message).toBe(
      'container z is not valid for pod one',
    )
    expect((await get('/api/v1/namespaces/default/pods/one/log?tailLines=-1')).status).toBe(422)
  })

  it('exec: bytes flow both ways after the upgrade', async () => {
    const path =
      '/api/v1/namespaces/default/pods/one/exec?command=ls&command=-l&stdin=true&stdout=true&stderr=true&tty=true'
    const text = await raw(upgrade(path), 'ping', (all) => all.endsWith('ping'))
    expect(text).toMatch(/^HTTP\/1\.1 101 /)
    expect(text.endsWith('ping')).toBe(true)
    expect(seen.at(-1)).toBe('POST /exec/default/one/a?command=ls&command=-l&input=1&output=1&tty=1 v4.channel.k8s.io')
  })

  it('attach: nothing that follows a refused upgrade reaches the kubelet', async () => {
    const smuggled = 'GET /exec/kube-system/x/y HTTP/1.1\r\nHost: x\r\n\r\n'
    const text = await raw(upgrade('/api/v1/namespaces/default/pods/one/attach?stdout=1'), smuggled, () => false)
    expect(text).toMatch(/^HTTP\/1\.1 403 /)
    expect(text).toContain('Connection: close')
    expect(seen.filter((line) => line.startsWith('smuggled'))).toEqual([])
  })

  it('exec: without upgrade, without command, without node', async () => {
    expect((await get('/api/v1/namespaces/default/pods/one/exec?command=ls')).body).toContain(
      'Upgrade request required',
    )
    const noCommand = await raw(upgrade('/api/v1/namespaces/default/pods/one/exec?stdout=1'), '', () => false)
    expect(noCommand).toContain('command: Required value')
    const noNode = await raw(upgrade('/api/v1/namespaces/default/pods/free/exec?command=ls'), '', () => false)
    expect(noNode).toContain('pod free does not have a host assigned')
  })
})
