import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { systemClock } from '../../runtime/base/clock.ts'
import { silentLog } from '../../runtime/base/log.ts'
import { resources } from '../api/resources.ts'
import type { ConfigMap, Pod } from '../api/types.ts'
import { type ApiServer, startServer } from '../index.ts'
import type { ApiClient, WatchEvent } from './api-client.ts'
import { EventRecorder } from './event-recorder.ts'
import { type HttpsClient, httpsClient } from './https-client.ts'
import { Informer } from './informer.ts'
import { updateUntilNoConflict } from './update-on-conflict.ts'

const folder = mkdtempSync(join(tmpdir(), 'coracle-client-'))
let server: ApiServer
let https: HttpsClient

beforeAll(async () => {
  server = await startServer({
    dataDir: folder,
    listen: { host: '127.0.0.1', port: 0 },
    log: silentLog,
    clock: systemClock,
  })
  const user = await server.pki.issueClient({ commonName: 'test', organizations: ['system:masters'] })
  https = httpsClient({ server: server.url, caPem: server.pki.caPem, user })
})
afterAll(async () => {
  https.close()
  await server.close()
  rmSync(folder, { recursive: true })
})

const aPod = (namespace: string, name: string): Pod => ({
  metadata: { name, namespace },
  spec: { containers: [{ name: 'main', image: 'x:1' }] },
})

const until = async (holds: () => boolean) => {
  for (let tries = 0; tries < 200 && !holds(); tries++) await systemClock.sleep(10)
  expect(holds()).toBe(true)
}

describe.each<[string, () => ApiClient]>([
  ['direct', () => server.client],
  ['https', () => https],
])('ApiClient: %s', (name, get) => {
  const namespace = `ns-${name}`
  const aMap = (map: string, data: Record<string, string> = { a: '1' }): ConfigMap => ({
    metadata: { name: map, namespace },
    data,
  })
  const { configMaps, pods, namespaces, nodes } = resources
  let client: ApiClient

  beforeAll(async () => {
    client = get()
    await client.create(namespaces, { metadata: { name: namespace } })
    await client.create(resources.serviceAccounts, { metadata: { name: 'default', namespace } })
  })

  it('create, get, list, update, patch, delete', async () => {
    const made = await client.create(configMaps, aMap('one'))
    expect(made).toMatchObject({ kind: 'ConfigMap', apiVersion: 'v1', data: { a: '1' } })
    expect(await client.get(configMaps, { namespace, name: 'one' })).toEqual(made)
    const updated = await client.update(configMaps, { ...made, data: { a: '2' } })
    await expect(client.update(configMaps, made)).rejects.toMatchObject({ code: 'CONFLICT', facts: { status: 409 } })
    const patched = await client.patch(
      configMaps,
      { namespace, name: 'one' },
      { type: 'merge', body: { data: { b: '3' } } },
    )
    expect(patched.data).toEqual({ a: '2', b: '3' })
    const { items, resourceVersion } = await client.list(configMaps, { namespace })
    expect(items).toEqual([patched])
    expect(Number(resourceVersion)).toBeGreaterThanOrEqual(Number(updated.metadata?.resourceVersion))
    await client.delete(configMaps, { namespace, name: 'one' }, { preconditions: { uid: made.metadata?.uid ?? '' } })
    await expect(client.get(configMaps, { namespace, name: 'one' })).rejects.toMatchObject({ code: 'NOT_FOUND' })
  })

  it('errors: the reason as code', async () => {
    await expect(client.create(configMaps, aMap('Bad_'))).rejects.toMatchObject({ code: 'INVALID', retryable: false })
    await client.create(configMaps, aMap('twice'))
    await expect(client.create(configMaps, aMap('twice'))).rejects.toMatchObject({ code: 'ALREADY_EXISTS' })
    await expect(client.delete(nodes, { name: 'none' })).rejects.toMatchObject({ code: 'NOT_FOUND' })
    const wrong = { ...aMap('wrong'), data: { a: 1 } } as unknown as ConfigMap
    await expect(client.create(configMaps, wrong)).rejects.toMatchObject({ code: 'BAD_REQUEST' })
    await expect(client.list(pods, { fieldSelector: 'nonsense' })).rejects.toMatchObject({ code: 'BAD_REQUEST' })
  })

  it('a caller may go on changing what it gave away', async () => {
    const mine = aMap('mine')
    await client.create(configMaps, mine)
    if (mine.data) mine.data.a = 'changed'
    expect((await client.get(configMaps, { namespace, name: 'mine' })).data).toEqual({ a: '1' })
  })

  it('status and binding', async () => {
    const pod = await client.create(pods, aPod(namespace, 'bound'))
    await client.createSubresource(pods, { namespace, name: 'bound' }, 'binding', {
      target: { kind: 'Node', name: 'n1' },
    } as object)
    const bound = await client.get(pods, { namespace, name: 'bound' })
    expect([pod.spec?.nodeName, bound.spec?.nodeName]).toEqual([undefined, 'n1'])
    const running = await client.update(pods, { ...bound, status: { ...bound.status, phase: 'Running' } }, 'status')
    expect(running.status?.phase).toBe('Running')
    await client.delete(pods, { namespace, name: 'bound' }, { gracePeriodSeconds: 0 })
    await expect(client.get(pods, { namespace, name: 'bound' })).rejects.toMatchObject({ code: 'NOT_FOUND' })
  })

  it('finalize: ends a namespace', async () => {
    const gone = `gone-${name}`
    await client.create(namespaces, { metadata: { name: gone } })
    await client.delete(namespaces, { name: gone })
    const ending = await client.get(namespaces, { name: gone })
    expect(ending.status?.phase).toBe('Terminating')
    await client.update(namespaces, { ...ending, spec: {} }, 'finalize')
    await expect(client.get(namespaces, { name: gone })).rejects.toMatchObject({ code: 'NOT_FOUND' })
  })

  it('watch: every change after the revision, as the selector sees it, until it is stopped', async () => {
    const { resourceVersion } = await client.list(configMaps, { namespace })
    const labelled = (map: string, app: string): ConfigMap => ({
      ...aMap(map),
      metadata: { name: map, namespace, labels: { app } },
    })
    await client.create(configMaps, labelled('before', 'x'))
    const stop = new AbortController()
    const seen: WatchEvent<ConfigMap>[] = []
    const watching = (async () => {
      const options = { namespace, labelSelector: 'app=x', resourceVersion, signal: stop.signal }
      for await (const event of client.watch(configMaps, options)) seen.push(event)
    })()
    await until(() => seen.length === 1)
    await client.create(configMaps, labelled('other', 'y'))
    await client.patch(
      configMaps,
      { namespace, name: 'other' },
      { type: 'merge', body: { metadata: { labels: { app: 'x' } } } },
    )
    await client.patch(configMaps, { namespace, name: 'other' }, { type: 'merge', body: { data: { z: '1' } } })
    await client.patch(
      configMaps,
      { namespace, name: 'other' },
      { type: 'merge', body: { metadata: { labels: { app: 'y' } } } },
    )
    await client.delete(configMaps, { namespace, name: 'before' })
    await until(() => seen.length === 5)
    stop.abort()
    await watching
    const briefly = seen.map(({ type, object }) => `${type} ${(object as ConfigMap).metadata?.name}`)
    expect(briefly).toEqual(['ADDED before', 'ADDED other', 'MODIFIED other', 'DELETED other', 'DELETED before'])
    const revisions = seen.map(({ object }) => Number(object.metadata?.resourceVersion))
    expect(revisions).toEqual([...revisions].sort((left, right) => left - right))
  })

  it('informer: has what is there, tells keys of what changes, finds by index', async () => {
    await client.create(configMaps, aMap('indexed', { colour: 'red' }))
    const keys: string[] = []
    const informer = new Informer({
      client,
      resource: configMaps,
      namespace,
      onChange: (key) => keys.push(key),
      indexes: { colour: ({ data }) => (data?.colour ? [data.colour] : []) },
    })
    await informer.start()
    expect(informer.get(`${namespace}/indexed`)?.data).toEqual({ colour: 'red' })
    expect(keys).toContain(`${namespace}/indexed`)
    await client.patch(
      configMaps,
      { namespace, name: 'indexed' },
      { type: 'merge', body: { data: { colour: 'blue' } } },
    )
    await until(() => informer.byIndex('colour', 'blue').length === 1)
    expect(informer.byIndex('colour', 'red')).toEqual([])
    await client.delete(configMaps, { namespace, name: 'indexed' })
    await until(() => informer.get(`${namespace}/indexed`) === undefined)
    expect(informer.byIndex('colour', 'blue')).toEqual([])
    await informer.close()
  })

  it('updateUntilNoConflict: 30 counters at once lose nothing', { timeout: 20_000 }, async () => {
    await client.create(configMaps, aMap('counter', { n: '0' }))
    const key = { namespace, name: 'counter' }
    const count = (map: ConfigMap) => ({ ...map, data: { n: String(Number(map.data?.n) + 1) } })
    for (let round = 0; round < 3; round++) {
      await Promise.all(
        Array.from({ length: 5 }, () => updateUntilNoConflict({ client, resource: configMaps, key }, { next: count })),
      )
    }
    expect((await client.get(configMaps, key)).data).toEqual({ n: '15' })
  })

  it('event recorder: counts what repeats', async () => {
    const pod = await client.create(pods, aPod(namespace, 'told'))
    const recorder = new EventRecorder({ client, component: 'test', host: 'n1', clock: systemClock, log: silentLog })
    for (let at = 0; at < 3; at++) recorder.record(pod, { type: 'Warning', reason: 'BackOff', message: 'again' })
    recorder.record(pod, { type: 'Normal', reason: 'Started', message: 'once' })
    await recorder.close()
    const { items } = await client.list(resources.events, { namespace, fieldSelector: 'involvedObject.name=told' })
    const found = items.map(({ reason, count, source }) => [reason, count, source?.component])
    expect(found.sort()).toEqual([
      ['BackOff', 3, 'test'],
      ['Started', 1, 'test'],
    ])
  })
})

describe('httpsClient', () => {
  it('says when nobody answers', async () => {
    const user = await server.pki.issueClient({ commonName: 'x', organizations: [] })
    const lost = httpsClient({ server: 'https://127.0.0.1:1', caPem: server.pki.caPem, user })
    await expect(lost.list(resources.pods)).rejects.toMatchObject({ code: 'CONNECTION_LOST', retryable: true })
    lost.close()
    await expect(lost.list(resources.pods)).rejects.toMatchObject({ code: 'CLIENT_CLOSED' })
  })

  it('a certificate of another authority is nobody', async () => {
    const other = mkdtempSync(join(tmpdir(), 'coracle-other-'))
    const { openPki } = await import('../auth/pki.ts')
    const foreign = await (await openPki(other, systemClock)).issueClient({
      commonName: 'eve',
      organizations: ['system:masters'],
    })
    const eve = httpsClient({ server: server.url, caPem: server.pki.caPem, user: foreign })
    await expect(eve.list(resources.pods)).rejects.toMatchObject({ code: 'UNAUTHORIZED' })
    eve.close()
    rmSync(other, { recursive: true })
  })

  it('informer: goes on after the server was started again, without losing anything', { timeout: 20_000 }, async () => {
    const own = mkdtempSync(join(tmpdir(), 'coracle-again-'))
    const options = { dataDir: own, log: silentLog, clock: systemClock }
    const first = await startServer({ ...options, listen: { host: '127.0.0.1', port: 0 } })
    const user = await first.pki.issueClient({ commonName: 'test', organizations: ['system:masters'] })
    const client = httpsClient({ server: first.url, caPem: first.pki.caPem, user })
    const informer = new Informer({ client, resource: resources.configMaps, onChange: () => {} })
    await informer.start()
    await client.create(resources.configMaps, { metadata: { name: 'a', namespace: 'default' } })
    await until(() => informer.get('default/a') !== undefined)
    await first.close()
    const second = await startServer({ ...options, listen: { host: '127.0.0.1', port: first.port } })
    await second.client.create(resources.configMaps, { metadata: { name: 'b', namespace: 'default' } })
    await second.client.delete(resources.configMaps, { namespace: 'default', name: 'a' })
    await until(() => informer.get('default/b') !== undefined && informer.get('default/a') === undefined)
    await informer.close()
    client.close()
    await second.close()
    rmSync(own, { recursive: true })
  })
})
