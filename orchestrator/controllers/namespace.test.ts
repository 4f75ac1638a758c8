import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { systemClock } from '../../runtime/base/clock.ts'
import { silentLog } from '../../runtime/base/log.ts'
import { aNamespace } from '../../test/fixtures/namespace.ts'
import { namespaceController } from './namespace.ts'

let api: Awaited<ReturnType<typeof aNamespace>>
beforeEach(async () => {
  api = await aNamespace()
})
afterEach(() => api.close())

it('namespaceController: objects of every kind go with their namespace', async () => {
  const template = { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'c', image: 'i' }] } }
  const made = [
    ['/api/v1/namespaces/n/limitranges', { spec: { limits: [] } }],
    ['/apis/apps/v1/namespaces/n/deployments', { spec: { selector: { matchLabels: { a: 'b' } }, template } }],
    ['/apis/rbac.authorization.k8s.io/v1/namespaces/n/roles', { rules: [] }],
    ['/apis/networking.k8s.io/v1/namespaces/n/networkpolicies', { spec: { podSelector: {} } }],
  ] as const
  for (const [path, body] of made) {
    const answer = await api.make(path, { metadata: { name: 'x' }, ...body })
    expect(answer.status, JSON.stringify(answer.body)).toBe(201)
  }
  const controller = namespaceController({ client: api.client, clock: systemClock, log: silentLog })
  await controller.start()
  await api.call('DELETE', '/api/v1/namespaces/n')
  await vi.waitFor(async () => expect((await api.call('GET', '/api/v1/namespaces/n')).status).toBe(404))
  for (const [path] of made) expect((await api.call('GET', `${path}/x`)).status).toBe(404)
  await controller.close()
})
