import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { systemClock } from '../../runtime/base/clock.ts'
import { silentLog } from '../../runtime/base/log.ts'
import { aNamespace, aPlainPod } from '../../test/fixtures/namespace.ts'
import { claimProtectionController, volumeProtectionController } from './storage-protection.ts'

let api: Awaited<ReturnType<typeof aNamespace>>
beforeEach(async () => {
  api = await aNamespace()
})
afterEach(() => api.close())

const storage = '1Gi'

it('claimProtectionController: a claim goes when its last pod has gone', async () => {
  const controller = claimProtectionController({ client: api.client, clock: systemClock, log: silentLog })
  await controller.start()
  const spec = { accessModes: ['ReadWriteOnce'], resources: { requests: { storage } } }
  await api.make('persistentvolumeclaims', { metadata: { name: 'v' }, spec })
  await api.makePod(aPlainPod({ volumes: [{ name: 'data', persistentVolumeClaim: { claimName: 'v' } }] }))
  const at = `${api.base}/persistentvolumeclaims/v`
  await api.call('DELETE', at)
  await new Promise((resolve) => setTimeout(resolve, 100))
  expect((await api.call('GET', at)).body.metadata.deletionTimestamp).toBeDefined()
  await api.call('DELETE', `${api.base}/pods/p?gracePeriodSeconds=0`)
  await vi.waitFor(async () => expect((await api.call('GET', at)).status).toBe(404))
  await controller.close()
})

it('volumeProtectionController: a volume that is not bound goes', async () => {
  const controller = volumeProtectionController({ client: api.client, clock: systemClock, log: silentLog })
  await controller.start()
  const spec = { accessModes: ['ReadWriteOnce'], capacity: { storage }, hostPath: { path: '/x' } }
  for (const name of ['free', 'bound']) await api.make('/api/v1/persistentvolumes', { metadata: { name }, spec })
  const body = [{ op: 'add', path: '/status', value: { phase: 'Bound' } }]
  const at = '/api/v1/persistentvolumes'
  const headers = { 'content-type': 'application/json-patch+json' }
  expect((await api.call('PATCH', `${at}/bound/status`, { body, headers })).status).toBe(200)
  for (const name of ['free', 'bound']) await api.call('DELETE', `${at}/${name}`)
  await vi.waitFor(async () => expect((await api.call('GET', `${at}/free`)).status).toBe(404))
  expect((await api.call('GET', `${at}/bound`)).body.metadata.finalizers).toEqual(['kubernetes.io/pv-protection'])
  await controller.close()
})
