import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  ApiException,
  CoordinationV1Api,
  CoreV1Api,
  KubeConfig,
  makeInformer,
  PatchStrategy,
  setHeaderOptions,
  V1MicroTime,
  type V1Pod,
} from '@kubernetes/client-node'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { systemClock } from '../../runtime/base/clock.ts'
import { silentLog } from '../../runtime/base/log.ts'
import { resources } from '../api/resources.ts'
import { writeKubeconfig } from '../auth/kubeconfig.ts'
import { type ApiServer, startServer } from './server.ts'

/** The JavaScript client of the Kubernetes project, as its users write it. */
describe('@kubernetes/client-node', () => {
  const folder = mkdtempSync(join(tmpdir(), 'coracle-others-'))
  const namespace = 'default'
  let server: ApiServer
  let config: KubeConfig
  let core: CoreV1Api

  beforeAll(async () => {
    server = await startServer({
      dataDir: folder,
      listen: { host: '127.0.0.1', port: 0 },
      log: silentLog,
      clock: systemClock,
    })
    const user = await server.pki.issueClient({ commonName: 'admin', organizations: ['system:masters'] })
    const path = join(folder, 'kubeconfig')
    writeKubeconfig(path, { server: server.url, caPem: server.pki.caPem, user })
    config = new KubeConfig()
    config.loadFromFile(path)
    core = config.makeApiClient(CoreV1Api)
  })
  afterAll(async () => {
    await server.close()
    rmSync(folder, { recursive: true })
  })

  const aPod = (name: string): V1Pod => ({
    metadata: { name, labels: { app: 'x' } },
    spec: { containers: [{ name: 'main', image: 'x:1' }] },
  })

  it('creates, reads, patches, lists and deletes', async () => {
    const created = await core.createNamespacedPod({ namespace, body: aPod('one') })
    expect(created.metadata?.creationTimestamp).toBeInstanceOf(Date)
    const body = { metadata: { labels: { more: 'y' } } }
    const patched = await core.patchNamespacedPod(
      { name: 'one', namespace, body },
      setHeaderOptions('Content-Type', PatchStrategy.StrategicMergePatch),
    )
    expect(patched.metadata?.labels).toEqual({ app: 'x', more: 'y' })
    const listed = await core.listNamespacedPod({ namespace, labelSelector: 'more=y', limit: 5 })
    expect(listed.items.map(({ metadata }) => metadata?.name)).toEqual(['one'])
    await core.deleteNamespacedPod({ name: 'one', namespace })
    const missing = await core.readNamespacedPod({ name: 'one', namespace }).catch((error: unknown) => error)
    expect(missing).toBeInstanceOf(ApiException)
    expect((missing as ApiException<unknown>).code).toBe(404)
  })

  it('leases: times with microseconds', async () => {
    const leases = config.makeApiClient(CoordinationV1Api)
    const renewTime = new V1MicroTime('2026-01-02T03:04:05.678Z')
    const lease = await leases.createNamespacedLease({
      namespace,
      body: { metadata: { name: 'l' }, spec: { holderIdentity: 'me', leaseDurationSeconds: 15, renewTime } },
    })
    const stored = await server.client.get(resources.leases, { namespace, name: 'l' })
    expect(stored.spec?.renewTime).toBe('2026-01-02T03:04:05.678000Z')
    const replaced = await leases.replaceNamespacedLease({
      name: 'l',
      namespace,
      body: { ...lease, spec: { ...lease.spec, holderIdentity: 'you' } },
    })
    expect(replaced.spec?.holderIdentity).toBe('you')
  })

  it('informer: hears of everything', { timeout: 20_000 }, async () => {
    await core.createNamespacedPod({ namespace, body: aPod('before') })
    const heard: string[] = []
    const informer = makeInformer(config, `/api/v1/namespaces/${namespace}/pods`, () =>
      core.listNamespacedPod({ namespace }),
    )
    for (const verb of ['add', 'update', 'delete'] as const)
      informer.on(verb, (pod) => void heard.push(`${verb} ${pod.metadata?.name}`))
    await informer.start()
    await core.createNamespacedPod({ namespace, body: aPod('later') })
    await core.deleteNamespacedPod({ name: 'later', namespace })
    for (let tries = 0; tries < 200 && heard.length < 3; tries++) await systemClock.sleep(20)
    expect(heard).toEqual(['add before', 'add later', 'delete later'])
    await informer.stop()
  })
})
