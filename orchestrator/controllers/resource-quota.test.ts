import { expect, it, vi } from 'vitest'
import { systemClock } from '../../runtime/base/clock.ts'
import { silentLog } from '../../runtime/base/log.ts'
import { aNamespace, aPlainPod } from '../../test/fixtures/namespace.ts'
import { resourceQuotaController } from './resource-quota.ts'

it('resourceQuotaController: counts what is there, again when something goes, and mends what is wrong', async () => {
  const api = await aNamespace()
  const controller = resourceQuotaController({ client: api.client, clock: systemClock, log: silentLog })
  await controller.start()
  const status = async () => (await api.call('GET', `${api.base}/resourcequotas/q`)).body.status
  await api.makePod(aPlainPod())
  await api.make('resourcequotas', { metadata: { name: 'q' }, spec: { hard: { pods: '1', services: '2' } } })
  const expected = { hard: { pods: '1', services: '2' }, used: { pods: '1', services: '0' } }
  await vi.waitFor(async () => expect(await status()).toEqual(expected))
  const body = { status: { used: { pods: '7' } } }
  expect((await api.call('PATCH', `${api.base}/resourcequotas/q/status`, { body })).status).toBe(200)
  await vi.waitFor(async () => expect(await status()).toEqual(expected), { timeout: 8000, interval: 100 })
  await api.call('DELETE', `${api.base}/pods/p?gracePeriodSeconds=0`)
  await vi.waitFor(async () => expect((await status()).used.pods).toBe('0'), { timeout: 8000, interval: 100 })
  expect((await api.makePod(aPlainPod())).status).toBe(201)
  await controller.close()
  await api.close()
}, 20_000)
