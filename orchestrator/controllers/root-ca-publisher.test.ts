import { expect, it, vi } from 'vitest'
import { systemClock } from '../../runtime/base/clock.ts'
import { silentLog } from '../../runtime/base/log.ts'
import { aNamespace } from '../../test/fixtures/namespace.ts'
import { rootCaPublisher } from './root-ca-publisher.ts'

it('rootCaPublisher: every namespace has it, and has it again when it is changed or gone', async () => {
  const { call, base, client, close } = await aNamespace()
  const publisher = rootCaPublisher({ client, clock: systemClock, log: silentLog, caPem: 'PEM' })
  await publisher.start()
  const at = `${base}/configmaps/kube-root-ca.crt`
  const isThere = async () => expect((await call('GET', at)).body.data).toEqual({ 'ca.crt': 'PEM' })
  await vi.waitFor(isThere)
  await call('PATCH', at, { body: { data: { 'ca.crt': 'other' } } })
  await vi.waitFor(isThere)
  await call('DELETE', at)
  await vi.waitFor(isThere)
  await publisher.close()
  await close()
})
