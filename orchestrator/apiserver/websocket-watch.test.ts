import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { systemClock } from '../../runtime/base/clock.ts'
import { silentLog } from '../../runtime/base/log.ts'
import { resources } from '../api/resources.ts'
import type { KeyPair } from '../auth/pki.ts'
import { type ApiServer, startServer } from './server.ts'

interface Heard {
  messages: { data: Buffer; isBinary: boolean }[]
  code: number
}

describe('watch over WebSocket', () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'coracle-websocket-'))
  let server: ApiServer
  let admin: KeyPair
  let nobody: KeyPair
  beforeAll(async () => {
    const listen = { host: '127.0.0.1', port: 0 }
    server = await startServer({ dataDir, listen, log: silentLog, clock: systemClock })
    admin = await server.pki.issueClient({ commonName: 'admin', organizations: ['system:masters'] })
    nobody = await server.pki.issueClient({ commonName: 'nobody', organizations: [] })
    await make('first')
  })
  afterAll(async () => {
    await server.close()
    rmSync(dataDir, { recursive: true })
  })

  const make = (name: string, of = 'test', data: Record<string, string> = {}) =>
    server.client.create(resources.configMaps, { metadata: { name, namespace: 'default', labels: { of } }, data })

  /** All messages until the server closes; `onMessage` is told of each. */
  function hear(query: string, { headers = {}, user = admin, of = 'test', onMessage = (_count: number) => {} } = {}) {
    const url = `wss://127.0.0.1:${server.port}/api/v1/namespaces/default/configmaps?watch=1&labelSelector=of=${of}&${query}`
    const tls = { ca: server.pki.caPem, cert: user.certificatePem, key: user.privateKeyPem }
    const webSocket = new WebSocket(url, { ...tls, headers })
    return new Promise<Heard>((resolve, reject) => {
      const messages: Heard['messages'] = []
      webSocket.on('message', (data: Buffer, isBinary) => {
        messages.push({ data, isBinary })
        onMessage(messages.length)
      })
      webSocket.on('close', (code) => resolve({ messages, code }))
      webSocket.on('error', reject)
    })
  }

  it('a text message for each event, until the time is over', async () => {
    const onMessage = (count: number) => void (count === 2 && make('second'))
    const { messages, code } = await hear('timeoutSeconds=1&allowWatchBookmarks=true', { onMessage })
    expect(code).toBe(1000)
    expect(messages.every(({ isBinary }) => !isBinary)).toBe(true)
    const events = messages.map(({ data }) => JSON.parse(data.toString()))
    expect(events.map(({ type, object }) => [type, object.metadata.name])).toEqual([
      ['ADDED', 'first'],
      ['BOOKMARK', undefined],
      ['ADDED', 'second'],
      ['BOOKMARK', undefined],
    ])
  })

  it('protobuf is binary', async () => {
    const headers = { accept: 'application/vnd.kubernetes.protobuf' }
    const { messages } = await hear('timeoutSeconds=1', { headers })
    expect(messages.map(({ isBinary }) => isBinary)).toEqual([true, true])
    expect(messages[0]?.data.includes('first')).toBe(true)
  })

  it('a beginning that is larger than what may lie unread comes whole', async () => {
    const names = Array.from({ length: 12 }, (_, at) => `much-${String(at).padStart(2, '0')}`)
    for (const name of names) await make(name, 'much', { large: 'x'.repeat(1_000_000) })
    const { messages, code } = await hear('timeoutSeconds=2', { of: 'much' })
    expect(code).toBe(1000)
    expect(messages.map(({ data }) => JSON.parse(data.toString()).object.metadata.name)).toEqual(names)
  })

  it('what cannot be watched is told as the only event', async () => {
    const query = 'sendInitialEvents=true&resourceVersionMatch=NotOlderThan&resourceVersion=999999999'
    const { messages, code } = await hear(query)
    expect(code).toBe(1000)
    expect(messages.map(({ data }) => JSON.parse(data.toString()))).toMatchObject([
      { type: 'ERROR', object: { kind: 'Status', code: 504 } },
    ])
  })

  it('what is wrong is answered before there is a WebSocket', async () => {
    await expect(hear('resourceVersion=x')).rejects.toThrow('400')
    await expect(hear('timeoutSeconds=1', { user: nobody })).rejects.toThrow('403')
  })
})
