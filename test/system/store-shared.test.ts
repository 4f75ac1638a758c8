import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { resources } from '../../orchestrator/api/resources.ts'
import type { TokenRequest } from '../../orchestrator/api/types.ts'
import { type ApiServer, type KeyPair, type SharedKeys, startServer } from '../../orchestrator/index.ts'
import { systemClock as clock } from '../../runtime/base/clock.ts'
import { silentLog as log } from '../../runtime/base/log.ts'
import { Etcd, hasEtcd } from '../fixtures/etcd.ts'

describe.skipIf(!hasEtcd)('two API servers on one etcd', () => {
  let folder: string
  let etcd: Etcd
  let servers: ApiServer[] = []
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'coracle-shared-'))
    etcd = await Etcd.start()
    const store = { kind: 'etcd', endpoints: etcd.endpoints } as const
    const listen = { host: '127.0.0.1', port: 0 }
    // At once: both find that everything is missing.
    servers = await Promise.all(
      ['one', 'two'].map((name) => startServer({ dataDir: join(folder, name), store, listen, log, clock })),
    )
  })
  afterAll(async () => {
    for (const server of servers) await server.close()
    await etcd?.[Symbol.asyncDispose]()
    rmSync(folder, { recursive: true, force: true })
  })
  const clients = () => {
    const [one, two] = servers.map(({ client }) => client)
    if (!one || !two) throw new Error('start two servers: one is missing')
    return { one, two }
  }

  it('what one has acknowledged the other one shows', async () => {
    const { one, two } = clients()
    for (let at = 0; at < 50; at++) {
      const made = await one.create(resources.namespaces, { metadata: { name: `made-${at}` } })
      expect((await two.get(resources.namespaces, { name: `made-${at}` })).metadata?.uid).toBe(made.metadata?.uid)
      const listed = await two.list(resources.namespaces)
      expect(listed.items.some(({ metadata }) => metadata?.name === `made-${at}`)).toBe(true)
    }
  })

  it('a watch at one tells what the other one does, each event once and in order', async () => {
    const { one, two } = clients()
    const { resourceVersion } = await two.list(resources.namespaces)
    const stop = new AbortController()
    const seen: string[] = []
    const watching = (async () => {
      for await (const event of two.watch(resources.namespaces, { resourceVersion, signal: stop.signal })) {
        if (event.type !== 'BOOKMARK') seen.push(`${event.type} ${event.object.metadata?.name}`)
        if (seen.length === 40) return
      }
    })()
    const names = Array.from({ length: 40 }, (_, at) => `watched-${at}`)
    for (const [at, name] of names.entries()) {
      await (at % 2 === 0 ? one : two).create(resources.namespaces, { metadata: { name } })
    }
    await watching
    stop.abort()
    expect(seen).toEqual(names.map((name) => `ADDED ${name}`))
  })

  it('64 patches of one object, half of them at each: none is lost', async () => {
    const { one, two } = clients()
    await one.create(resources.namespaces, { metadata: { name: 'patched' } })
    const labels = Array.from({ length: 64 }, (_, at) => `label-${at}`)
    await Promise.all(
      labels.map((label, at) =>
        (at % 2 === 0 ? one : two).patch(
          resources.namespaces,
          { name: 'patched' },
          {
            type: 'merge',
            body: { metadata: { labels: { [label]: 'set' } } },
          },
        ),
      ),
    )
    const { metadata } = await two.get(resources.namespaces, { name: 'patched' })
    expect(Object.keys(metadata?.labels ?? {})).toEqual(expect.arrayContaining(labels))
  })

  it("keys are laid out as Kubernetes' own, and events are on a lease", async () => {
    const { one } = clients()
    const involvedObject = { kind: 'Namespace', name: 'default', namespace: 'default' }
    await one.create(resources.events, {
      metadata: { namespace: 'default', name: 'happened' },
      involvedObject,
      reason: 'Test',
    })
    const kvs = (key: string) =>
      (JSON.parse(etcd.ctl(['get', key, '-w', 'json'])) as { kvs?: { lease?: number }[] }).kvs ?? []
    expect(kvs('/registry/namespaces/default')).toMatchObject([{ mod_revision: expect.any(Number) }])
    expect(kvs('/registry/namespaces/default')[0]?.lease ?? 0).toBe(0)
    expect(kvs('/registry/events/default/happened')[0]?.lease).toBeGreaterThan(0)
  })
})

describe.skipIf(!hasEtcd)('servers on one etcd, with keys of their own and with shared ones', () => {
  let folder: string
  let etcd: Etcd
  const servers: ApiServer[] = []
  /** `first` has what `coracle up` makes; `second` is given its files; `stranger` is not. */
  const start = async (name: string, sharedKeys: SharedKeys = {}) => {
    const store = { kind: 'etcd', endpoints: etcd.endpoints } as const
    const listen = { host: '127.0.0.1', port: 0 }
    const server = await startServer({ dataDir: join(folder, name), store, listen, log, clock, sharedKeys })
    servers.push(server)
    return server
  }
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'coracle-shared-'))
    etcd = await Etcd.start()
  })
  afterAll(async () => {
    for (const server of servers) await server.close()
    await etcd?.[Symbol.asyncDispose]()
    rmSync(folder, { recursive: true, force: true })
  })

  const ask = (server: ApiServer, { token, user, ca }: { token?: string; user?: KeyPair; ca: ApiServer }) =>
    new Promise<string>((resolve, reject) => {
      const path = '/apis/authentication.k8s.io/v1/selfsubjectreviews'
      const body = JSON.stringify({ apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' })
      const tls = {
        ca: ca.pki.caPem,
        agent: false as const,
        ...(user ? { cert: user.certificatePem, key: user.privateKeyPem } : {}),
      }
      const headers = { 'content-type': 'application/json', ...(token ? { authorization: `Bearer ${token}` } : {}) }
      const asked = request(`${server.url}${path}`, { ...tls, method: 'POST', headers }, async (answer) => {
        let text = ''
        for await (const chunk of answer) text += String(chunk)
        resolve(answer.statusCode === 201 ? JSON.parse(text).status.userInfo.username : String(answer.statusCode))
      })
      asked.on('error', reject)
      asked.end(body)
    })
  const tokenOf = async (server: ApiServer) => {
    const key = { namespace: 'default', name: 'default' }
    const body = { kind: 'TokenRequest', apiVersion: 'authentication.k8s.io/v1', spec: {} }
    const answer = await server.client.createSubresource<TokenRequest>(resources.serviceAccounts, key, 'token', body)
    return answer.status?.token ?? ''
  }
  const certificateOf = (server: ApiServer) => server.pki.issueClient({ commonName: 'carl', organizations: [] })

  it('a token and a certificate of one are good at the other', async () => {
    const first = await start('first')
    const file = (name: string) => readFileSync(join(folder, 'first', 'pki', name), 'utf8')
    const second = await start('second', {
      authority: { certificatePem: file('ca.crt'), privateKeyPem: file('ca.key') },
      tokenSigningKeyPem: file('sa.key'),
    })
    const stranger = await start('stranger')
    const account = 'system:serviceaccount:default:default'
    for (const [from, to] of [
      [first, second],
      [second, first],
    ] as const) {
      expect(await ask(to, { token: await tokenOf(from), ca: from })).toBe(account)
      expect(await ask(to, { user: await certificateOf(from), ca: from })).toBe('carl')
    }
    expect(await ask(stranger, { token: await tokenOf(first), ca: stranger })).toBe('401')
    expect(await ask(stranger, { user: await certificateOf(first), ca: stranger })).toBe('401')
  })

  it('public keys and client authorities are enough to believe, and not to sign', async () => {
    const [first] = servers
    if (!first) throw new Error('start the first server: it is missing')
    const file = (name: string) => readFileSync(join(folder, 'first', 'pki', name), 'utf8')
    const believer = await start('believer', { clientCaPem: file('ca.crt'), tokenKeyPems: [file('sa.pub')] })
    expect(await ask(believer, { token: await tokenOf(first), ca: believer })).toContain('system:serviceaccount:')
    expect(await ask(believer, { user: await certificateOf(first), ca: believer })).toBe('carl')
    expect(await ask(first, { token: await tokenOf(believer), ca: first })).toBe('401')
    expect(await ask(first, { user: await certificateOf(believer), ca: first })).toBe('401')
  })
})
