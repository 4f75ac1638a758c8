import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openPki } from '../../orchestrator/auth/pki.ts'
import { Broadcaster } from '../../orchestrator/store/broadcaster.ts'
import { openEtcdStore } from '../../orchestrator/store/etcd/etcd-store.ts'
import { WatchCache } from '../../orchestrator/store/watch-cache.ts'
import { systemClock as clock } from '../../runtime/base/clock.ts'
import { resourceVersionConformance } from '../conformance/resource-versions.ts'
import { storeConformance } from '../conformance/store.ts'
import { Etcd, hasEtcd } from '../fixtures/etcd.ts'
import { TcpProxy } from '../fixtures/tcp-proxy.ts'
import { startChains } from './store/chains.ts'

const prefix = '/registry/'

describe.skipIf(!hasEtcd)('one member', () => {
  let etcd: Etcd
  beforeAll(async () => {
    etcd = await Etcd.start()
  })
  afterAll(() => etcd?.[Symbol.asyncDispose]())

  storeConformance('etcd', () => ({
    open: () => openEtcdStore({ endpoints: etcd.endpoints, prefix: '/', clock }),
    dispose: () => void etcd.ctl(['del', '', '--from-key']),
  }))

  resourceVersionConformance('etcd', () => openEtcdStore({ endpoints: etcd.endpoints, prefix, clock }))

  it('answers that get lost, 30 times under 16 writers: no write is doubled, no event missing or repeated', async () => {
    await using proxy = await TcpProxy.before(etcd.endpoints[0] ?? '')
    const store = await openEtcdStore({ endpoints: [proxy.url], prefix, clock })
    const other = await openEtcdStore({ endpoints: etcd.endpoints, prefix, clock })
    const [own, others] = [startChains(store, store), startChains(other, store, { name: 'others', writers: 2 })]
    // On a slow machine, until enough has been written between the cuts.
    for (let round = 0; round < 30 || own.writes() < 100; round++) {
      await sleep(50 + Math.random() * 250)
      proxy.loseAnswers()
      await sleep(Math.random() * 20)
      proxy.cut({ open: true })
    }
    await sleep(500)
    expect(await others.finish()).toEqual([])
    expect(await own.finish()).toEqual([])
    await Promise.all([store.close(), other.close()])
  })

  it('a past that was compacted while the way was cut: whoever follows reads anew, and goes on', async () => {
    await using proxy = await TcpProxy.before(etcd.endpoints[0] ?? '')
    const store = await openEtcdStore({ endpoints: [proxy.url], prefix, clock })
    const other = await openEtcdStore({ endpoints: etcd.endpoints, prefix, clock })
    const broadcaster = new Broadcaster(store, prefix)
    const cache = new WatchCache({ prefix: `${prefix}pods/`, store, decode: (text) => text })
    broadcaster.add(cache)
    const [kept, gone] = await Promise.all(['kept', 'gone'].map((name) => other.create(`${prefix}pods/${name}`, 'old')))
    await broadcaster.start()
    const told: string[] = []
    const end = cache.follow(({ type, key, value, previous }) => told.push(`${type} ${key} ${previous}>${value}`))
    proxy.cut({ open: false })
    const changed = await other.update(`${prefix}pods/kept`, 'between', kept ?? 0)
    await other.update(`${prefix}pods/kept`, 'new', changed)
    await other.delete(`${prefix}pods/gone`, gone ?? 0)
    await other.compact(await other.create(`${prefix}pods/made`, 'new'))
    proxy.cut({ open: true })
    while (cache.get(`${prefix}pods/gone`)) await sleep(20)
    const last = await store.create(`${prefix}pods/last`, 'mine')
    expect(told).toEqual([
      `put ${prefix}pods/kept old>new`,
      `put ${prefix}pods/made undefined>new`,
      `delete ${prefix}pods/gone old>old`,
      `put ${prefix}pods/last undefined>mine`,
    ])
    expect(cache.list().map(({ value }) => value)).toEqual(['new', 'mine', 'new'])
    expect(broadcaster.revision).toBe(last)
    await expect(cache.watch(changed, () => {})).rejects.toMatchObject({ code: 'COMPACTED' })
    end()
    broadcaster.close()
    await Promise.all([store.close(), other.close()])
  })

  it('revision: knows what another server has written, and so do those who follow', async () => {
    const [mine, other] = await Promise.all(
      [0, 1].map(() => openEtcdStore({ endpoints: etcd.endpoints, prefix, clock })),
    )
    if (!mine || !other) throw new Error('open two stores: one is missing')
    const marks = () =>
      etcd
        .ctl(['get', '--prefix', '--keys-only', `${prefix}coracle-marks/`])
        .split('\n')
        .filter(Boolean)
    const others = marks().length
    let heard = 0
    mine.subscribe({
      deliver: (events) => {
        heard += events.length
      },
      reload: () => Promise.reject(new Error('reload: nothing was compacted')),
    })
    for (let at = 1; at <= 200; at++) {
      const written = await other.create(`${prefix}seen/${at}`, 'x')
      expect(await mine.revision()).toBeGreaterThanOrEqual(written)
      expect(heard).toBe(at)
    }
    // Of a key that nobody here follows the watch says nothing: it is reached all the same.
    etcd.ctl(['put', 'elsewhere', 'x'])
    await mine.revision()
    await Promise.all([mine.close(), other.close()])
    expect(marks()).toHaveLength(others)
  })

  it('a value beyond what etcd takes is refused as such', async () => {
    const store = await openEtcdStore({ endpoints: etcd.endpoints, prefix, clock })
    const big = store.create(`${prefix}big`, 'x'.repeat(2_000_000))
    await expect(big).rejects.toMatchObject({ code: 'VALUE_TOO_LARGE', retryable: false })
    await store.close()
  })
})

describe.skipIf(!hasEtcd)('three members', () => {
  let etcd: Etcd
  beforeAll(async () => {
    etcd = await Etcd.start({ members: 3 })
  })
  afterAll(() => etcd?.[Symbol.asyncDispose]())

  it('the leader is killed, 4 times under 16 writers: no write is lost or doubled, no event missing or repeated', async () => {
    const open = () => openEtcdStore({ endpoints: etcd.endpoints, prefix, clock })
    const [store, other] = [await open(), await open()]
    const chains = startChains(store, other)
    for (let round = 0; round < 4; round++) {
      await sleep(700)
      const leader = await etcd.leader()
      await etcd.kill(leader)
      await etcd.leader()
      await sleep(700)
      await etcd.run(leader)
    }
    await sleep(1000)
    expect(await chains.finish()).toEqual([])
    expect(chains.writes()).toBeGreaterThan(50)
    expect(await store.check()).toEqual([])
    await Promise.all([store.close(), other.close()])
  })

  it('without a quorum: writes and consistent reads are refused in time, and all goes on when it is back', {
    timeout: 90_000,
  }, async () => {
    const store = await openEtcdStore({ endpoints: etcd.endpoints, prefix, clock })
    await store.create(`${prefix}quorum/before`, 'x')
    await Promise.all([0, 1].map((at) => etcd.kill(at)))
    const begun = Date.now()
    const refused = await Promise.allSettled([store.create(`${prefix}quorum/during`, 'x'), store.revision()])
    expect(Date.now() - begun).toBeLessThan(35_000)
    expect(refused).toMatchObject([
      { status: 'rejected', reason: { code: 'STORE_UNCERTAIN' } },
      { status: 'rejected', reason: { code: 'STORE_FAILED', retryable: true } },
    ])
    expect(store.failure).toBeDefined()
    await Promise.all([0, 1].map((at) => etcd.run(at)))
    await etcd.leader()
    await store.create(`${prefix}quorum/after`, 'x')
    expect(store.failure).toBeUndefined()
    await store.close()
  })
})

describe.skipIf(!hasEtcd)('TLS and users', () => {
  let folder: string
  let etcd: Etcd
  let tls: { ca: string; cert: string; key: string }
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'coracle-etcd-tls-'))
    const pki = await openPki(join(folder, 'pki'), clock)
    const file = (name: string, text: string) => {
      writeFileSync(join(folder, name), text)
      return join(folder, name)
    }
    const pair = await pki.issueServing({ commonName: 'etcd', hosts: ['127.0.0.1', 'localhost'] })
    const client = await pki.issueClient({ commonName: 'root', organizations: [] })
    const ca = file('ca', pki.caPem)
    tls = { ca, cert: file('client.crt', client.certificatePem), key: file('client.key', client.privateKeyPem) }
    etcd = await Etcd.start({
      tls: { ca, cert: file('server.crt', pair.certificatePem), key: file('server.key', pair.privateKeyPem) },
      ctl: tls,
    })
    for (const command of [
      'user add root:secret',
      'user grant-role root root',
      'user add coracle:hidden',
      'role add coracle',
    ]) {
      etcd.ctl(command.split(' '))
    }
    etcd.ctl(['role', 'grant-permission', 'coracle', '--prefix=true', 'readwrite', prefix])
    etcd.ctl(['user', 'grant-role', 'coracle', 'coracle'])
    etcd.ctl(['auth', 'enable'])
  })
  afterAll(async () => {
    await etcd?.[Symbol.asyncDispose]()
    rmSync(folder, { recursive: true, force: true })
  })
  const access = () => ({ ca: readFileSync(tls.ca), cert: readFileSync(tls.cert), key: readFileSync(tls.key) })

  it('a user with a password, over TLS with a certificate; its token may die', async () => {
    const user = { name: 'coracle', password: 'hidden' }
    const store = await openEtcdStore({ endpoints: etcd.endpoints, prefix, clock, tls: access(), user })
    const first = await store.create(`${prefix}tls/1`, 'x')
    // A member that starts anew knows no tokens.
    await etcd.kill(0)
    await etcd.run(0)
    await store.update(`${prefix}tls/1`, 'y', first)
    await store.close()
  })

  it('refuses who has no certificate, another authority, or the wrong password', { timeout: 120_000 }, async () => {
    const { ca } = access()
    const wrong = { name: 'coracle', password: 'guessed' }
    const open = (how: object) => openEtcdStore({ endpoints: etcd.endpoints, prefix, clock, ...how })
    const refused = await Promise.allSettled([
      open({ tls: access(), user: wrong }),
      open({ tls: { ca } }),
      open({ tls: {} }),
    ])
    for (const each of refused) expect(each).toMatchObject({ status: 'rejected', reason: { code: 'STORE_FAILED' } })
  })
})

it('leaves no member behind', () => {
  const processes = execFileSync('ps', ['-eo', 'args'], { encoding: 'utf8' })
  expect(processes.split('\n').filter((line) => line.includes('etcd') && line.includes('coracle-etcd-'))).toEqual([])
})
