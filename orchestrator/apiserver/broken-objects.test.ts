/** Objects in the store that nobody could have written through the API. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { anApi } from '../../test/fixtures/api.ts'
import { decodeProtobuf } from '../api/protobuf/decode.ts'
import { fieldsOf, textOf } from '../api/protobuf/wire.ts'
import { statusDefinition } from './answer.ts'

const maps = '/api/v1/namespaces/default/configmaps'
const protobuf = 'application/vnd.kubernetes.protobuf'

describe('broken objects', () => {
  let api: Awaited<ReturnType<typeof anApi>>
  beforeEach(async () => {
    api = await anApi()
    await api.call('POST', maps, { body: { metadata: { name: 'good' } } })
  })
  afterEach(() => api.close())

  const store = (name: string, text: string) => api.store.create(`/registry/configmaps/default/${name}`, text)
  /** JSON, but no ConfigMap: it has no protobuf. */
  const storeBroken = () => {
    const metadata = { name: 'broken', namespace: 'default', uid: 'u' }
    return store('broken', JSON.stringify({ kind: 'ConfigMap', apiVersion: 'v1', metadata, data: { a: { b: 1 } } }))
  }
  const partOf = (message: Uint8Array, number: number) =>
    fieldsOf(message).find((field) => field.number === number)?.bytes ?? new Uint8Array()

  function typesOf(raw: Buffer): string[] {
    const events: string[] = []
    for (let at = 0; at < raw.length; ) {
      const end = at + 4 + raw.readUInt32BE(at)
      const event = raw.subarray(at + 4, end)
      const type = textOf(partOf(event, 1))
      const object = partOf(partOf(event, 2), 1)
      events.push(type === 'ERROR' ? `ERROR ${decodeProtobuf(object, statusDefinition).code}` : type)
      at = end
    }
    return events
  }

  const watch = (query: string) =>
    api.call('GET', `${maps}?watch=1&timeoutSeconds=5&${query}`, { headers: { accept: protobuf } })

  it('a watch that comes upon one says so as its last event, and ends at once', async () => {
    const { revision } = api.registry.broadcaster
    const began = performance.now()
    const watching = watch(`resourceVersion=${revision}`)
    await new Promise((resolve) => setTimeout(resolve, 200))
    await storeBroken()
    await api.call('POST', maps, { body: { metadata: { name: 'after' } } })
    const { status, raw } = await watching
    expect([status, ...typesOf(raw)]).toEqual([200, 'ERROR 500'])
    expect(performance.now() - began).toBeLessThan(3000)
  })

  it('the same when it is there from the beginning', async () => {
    await storeBroken()
    expect(typesOf((await watch('resourceVersion=0')).raw)).toEqual(['ERROR 500'])
  })

  it('the same over WebSocket', async () => {
    const { revision } = api.registry.broadcaster
    const url = `wss://127.0.0.1:${api.port}${maps}?watch=1&resourceVersion=${revision}`
    const webSocket = new WebSocket(url, { rejectUnauthorized: false, headers: { accept: protobuf } })
    const messages: Buffer[] = []
    webSocket.on('message', (data: Buffer) => messages.push(data))
    const closed = new Promise((resolve) => webSocket.once('close', resolve))
    await new Promise((resolve) => webSocket.once('open', resolve))
    await storeBroken()
    expect(await closed).toBe(1000)
    expect(typesOf(Buffer.concat(messages))).toEqual(['ERROR 500'])
  })

  it('other watchers hear of it and of what comes after it', async () => {
    const { revision } = api.registry.broadcaster
    const watching = api.call('GET', `${maps}?watch=1&timeoutSeconds=1&resourceVersion=${revision}`, { unread: true })
    await new Promise((resolve) => setTimeout(resolve, 200))
    await storeBroken()
    await api.call('POST', maps, { body: { metadata: { name: 'after' } } })
    const lines = String((await watching).body)
      .trim()
      .split('\n')
    expect(lines.map((line) => JSON.parse(line).object.metadata.name)).toEqual(['broken', 'after'])
  })

  it('one that is no JSON is not there, and keeps nobody from the others', async () => {
    await store('unreadable', 'no JSON')
    await api.call('POST', maps, { body: { metadata: { name: 'after' } } })
    const { body } = await api.call('GET', maps)
    expect(body.items.map(({ metadata }: { metadata: { name: string } }) => metadata.name)).toEqual(['after', 'good'])
    expect((await api.call('GET', `${maps}/unreadable`)).status).toBe(404)
  })
})
