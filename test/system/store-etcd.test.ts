import { afterAll, beforeAll, describe } from 'vitest'
import { openEtcdStore } from '../../orchestrator/store/etcd/etcd-store.ts'
import { systemClock as clock } from '../../runtime/base/clock.ts'
import { storeConformance } from '../conformance/store.ts'
import { Etcd, hasEtcd } from '../fixtures/etcd.ts'

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
})
