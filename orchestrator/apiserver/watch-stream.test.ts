import { mkdtempSync, rmSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { systemClock } from '../../runtime/base/clock.ts'
import { silentLog } from '../../runtime/base/log.ts'
import { resources } from '../api/resources.ts'
import type { KeyPair } from '../auth/pki.ts'
import { type ApiServer, startServer } from './server.ts'

interface Frame {
  type: string
  // biome-ignore lint/suspicious/noExplicitAny: an object of any kind, looked into by the test
  object: any
}

describe('watch over HTTP', () => {
  const folder = mkdtempSync(join(tmpdir(), 'coracle-watch-'))
  const namespace = 'default'
  let server: ApiServer
  let user: KeyPair

  beforeAll(async () => {
    server = await startServer({
      dataDir: folder,
      listen: { host: '127.0.0.1', port: 0 },
      log: silentLog,
      clock: systemClock,
    })
    user = await server.pki.issueClient({ commonName: 'admin', organizations: ['system:masters'] })
    await create('first')
  })
  afterAll(async () => {
    await server.close()
    rmSync(folder, { recursive: true })
  })

  const all = `/api/v1/namespaces/${namespace}/configmaps?watch=1&`

  const create = (name: string, data: Record<string, string> = {}) =>
    server.client.create(resources.configMaps, { metadata: { name, namespace }, data })

  function open(query: string, accept = 'application/json', from = all): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const path = `${from}${query}`
      const tls = { ca: server.pki.caPem, cert: user.certificatePem, key: user.privateKeyPem, agent: false as const }
      request({ ...tls, host: '127.0.0.1', port: server.port, path, headers: { accept } }, resolve)
        .on('error', reject)
        .end()
    })
  }

  /** The frames of a watch until it ends. */
  async function frames(query: string, accept?: string, from?: string): Promise<Frame[]> {
    let text = ''
    for await (const chunk of await open(query, accept, from)) text += String(chunk)
    return text
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as Frame)
  }

  /** How many come, up to so many; then the watch is ended. */
  async function countEvents(stream: IncomingMessage, most: number): Promise<number> {
    let seen = 0
    for await (const chunk of stream) {
      seen += String(chunk).split('\n').length - 1
      if (seen >= most) break
    }
    return seen
  }

  const revision = async () => (await server.client.list(resources.configMaps, { namespace })).resourceVersion

  it('ends after its time, with a last bookmark for who wants them', async () => {
    const from = await revision()
    const watched = frames(`resourceVersion=${from}&timeoutSeconds=1&allowWatchBookmarks=true`)
    await systemClock.sleep(100)
    await create('second')
    const seen = await watched
    expect(seen.map(({ type }) => type)).toEqual(['ADDED', 'BOOKMARK'])
    expect(seen[0]?.object).toMatchObject({ kind: 'ConfigMap', apiVersion: 'v1', metadata: { name: 'second' } })
    expect(seen[1]?.object).toMatchObject({ kind: 'ConfigMap', metadata: { resourceVersion: await revision() } })
  })

  it('sendInitialEvents: the state, then the bookmark that says so', async () => {
    const seen = await frames(
      'sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&timeoutSeconds=1',
    )
    const names = seen.map(({ type, object }) => `${type} ${object.metadata.name ?? ''}`)
    expect(names.slice(0, 3)).toEqual(['ADDED first', 'ADDED second', 'BOOKMARK '])
    expect(seen[2]?.object.metadata.annotations).toEqual({ 'k8s.io/initial-events-end': 'true' })
  })

  it.each([
    ['watch=True, as Python has it', `/api/v1/namespaces/${namespace}/configmaps?watch=True&`, ['first', 'second']],
    ['watch alone', `/api/v1/namespaces/${namespace}/configmaps?watch&`, ['first', 'second']],
    ['the old path', `/api/v1/watch/namespaces/${namespace}/configmaps?`, ['first', 'second']],
    ['the old path of one object', `/api/v1/watch/namespaces/${namespace}/configmaps/second?`, ['second']],
  ])('%s', async (_, from, names) => {
    const seen = await frames('timeoutSeconds=1', undefined, from)
    expect(seen.map(({ type, object }) => `${type} ${object.metadata.name}`)).toEqual(
      names.map((name) => `ADDED ${name}`),
    )
  })

  it.each(['watch=false', 'watch=FALSE', 'watch=0', ''])('%s: a list', async (query) => {
    const [list] = await frames(query, undefined, `/api/v1/namespaces/${namespace}/configmaps?`)
    expect(list).toMatchObject({ kind: 'ConfigMapList' })
  })

  it('Table: columns in the first event only', async () => {
    const seen = await frames('timeoutSeconds=1', 'application/json;as=Table;v=v1;g=meta.k8s.io')
    expect(seen.map(({ object }) => object.columnDefinitions.length > 0)).toEqual([true, false])
    expect(seen.map(({ object }) => object.rows[0].cells[0])).toEqual(['first', 'second'])
  })

  it('refuses what it cannot do before it begins', async () => {
    expect((await open('resourceVersion=x')).statusCode).toBe(400)
    expect((await open('labelSelector=a+b')).statusCode).toBe(400)
    expect((await open('sendInitialEvents=true')).statusCode).toBe(422)
  })

  describe('a beginning that is larger than what may lie unread', () => {
    const many = 12
    const large = 'x'.repeat(1_000_000)
    const names = Array.from({ length: many }, (_, at) => `much-${String(at).padStart(2, '0')}`)
    const state = 'sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&labelSelector=much'
    let before = ''

    beforeAll(async () => {
      before = await revision()
      for (const name of names) {
        const metadata = { name, namespace, labels: { much: '' } }
        await server.client.create(resources.configMaps, { metadata, data: { large } })
      }
    })

    it('the state comes whole, and then the bookmark', async () => {
      const seen = await frames(`${state}&timeoutSeconds=2`)
      const told = seen.map(({ type, object }) => `${type} ${object.metadata.name ?? ''}`)
      expect(told.slice(0, many + 1)).toEqual([...names.map((name) => `ADDED ${name}`), 'BOOKMARK '])
      expect(seen.slice(0, many).every(({ object }) => object.data.large === large)).toBe(true)
    })

    it('so do the changes since a revision', async () => {
      const seen = await frames(`resourceVersion=${before}&labelSelector=much&timeoutSeconds=2`)
      expect(seen.map(({ object }) => object.metadata.name)).toEqual(names)
    })

    it('as a table: its columns come first, and what happens meanwhile comes last', async () => {
      const accept = 'application/json;as=Table;v=v1;g=meta.k8s.io'
      const slow = await open(`${state}&includeObject=Object&timeoutSeconds=3`, accept)
      await server.client.patch(
        resources.configMaps,
        { namespace, name: 'much-00' },
        { type: 'merge', body: { data: { small: '' } } },
      )
      let text = ''
      for await (const chunk of slow) text += String(chunk)
      const seen = text
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line) as Frame)
      expect(seen.map(({ object }) => object.columnDefinitions.length > 0).indexOf(true)).toBe(0)
      const told = seen.map(({ type, object }) => `${type} ${object.rows[0].cells[0] ?? ''}`)
      expect(told.slice(0, many + 2)).toEqual([
        ...names.map((name) => `ADDED ${name}`),
        'BOOKMARK ',
        'MODIFIED much-00',
      ])
    })
  })

  it('a reader that does not read is cut off, and the others are not', { timeout: 60_000 }, async () => {
    const from = await revision()
    const slow = await open(`resourceVersion=${from}`)
    slow.pause()
    const cutOff = new Promise<void>((resolve) => slow.once('close', resolve))
    const count = 60
    // However slow this machine is: the other one is not cut off, and gets every event.
    const seen = countEvents(await open(`resourceVersion=${from}`), count + 1)
    await create('large')
    const large = 'x'.repeat(900_000)
    for (let at = 0; at < count; at++) {
      await server.client.patch(
        resources.configMaps,
        { namespace, name: 'large' },
        { type: 'merge', body: { data: { a: `${at}${large}` } } },
      )
    }
    slow.on('error', () => {})
    slow.resume()
    await cutOff
    expect(slow.complete).toBe(false)
    expect(await seen).toBe(count + 1)
  })
})
