/** DELETE of a collection: many deletions of one request are on their way at a time. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { anApi } from '../../test/fixtures/api.ts'
import { resources } from '../api/resources.ts'
import { openEmbeddedStore } from '../store/embedded/embedded-store.ts'
import { storeError } from '../store/errors.ts'
import type { Store } from '../store/store.ts'

const maps = '/api/v1/namespaces/default/configmaps'

describe('deletecollection', () => {
  let folder: string
  let store: Store
  let api: Awaited<ReturnType<typeof anApi>>
  /** How many deletions the store was asked for, and how many of them at a time. */
  let asked: { all: number; now: number; most: number }
  let refusedKey: string | undefined

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'coracle-collection-'))
    store = await openEmbeddedStore(join(folder, 'store.db'))
    asked = { all: 0, now: 0, most: 0 }
    refusedKey = undefined
    const remove = store.delete.bind(store)
    store.delete = async (key, expected) => {
      asked.all++
      asked.most = Math.max(asked.most, ++asked.now)
      try {
        if (key === refusedKey) throw storeError('STORE_FAILED', 'no room')
        return await remove(key, expected)
      } finally {
        asked.now--
      }
    }
    api = await anApi({ store })
  })
  afterEach(async () => {
    await api.close()
    rmSync(folder, { recursive: true })
  })

  const make = (count: number, metadata: object = {}) =>
    Promise.all(
      Array.from({ length: count }, (_, at) => {
        const name = `m${String(at).padStart(3, '0')}`
        return api.client.create(resources.configMaps, {
          metadata: { name, namespace: 'default', labels: { of: 'all' }, ...metadata },
        })
      }),
    )
  const all = `${maps}?labelSelector=of%3Dall`
  const left = async () => {
    const { body } = await api.call('GET', all)
    return (body.items as { metadata: { name: string; deletionTimestamp?: string } }[]).map(({ metadata }) => metadata)
  }

  it('hundreds go together, and all that were selected come back in order', async () => {
    await make(250)
    await api.call('POST', maps, { body: { metadata: { name: 'other' } } })
    const { status, body } = await api.call('DELETE', all)
    expect([status, body.kind, body.items.length, body.items[249].metadata.name]).toEqual([
      200,
      'ConfigMapList',
      250,
      'm249',
    ])
    expect(await left()).toEqual([])
    expect((await api.call('GET', `${maps}/other`)).status).toBe(200)
    expect(asked.all).toBe(250)
    expect(asked.most).toBe(100)
  })

  it('what has finalizers is marked, what waits for its grace period stays, a dry run changes nothing', async () => {
    await make(3, { finalizers: ['example.com/held'] })
    expect((await api.call('DELETE', `${all}&dryRun=All`)).body.items).toHaveLength(3)
    expect((await left()).map(({ deletionTimestamp }) => deletionTimestamp)).toEqual([undefined, undefined, undefined])
    await api.call('DELETE', all)
    expect((await left()).map(({ deletionTimestamp }) => typeof deletionTimestamp)).toEqual(Array(3).fill('string'))
    const pods = '/api/v1/namespaces/default/pods'
    const spec = { nodeName: 'n1', containers: [{ name: 'c', image: 'i' }] }
    await api.call('POST', pods, { body: { metadata: { name: 'running' }, spec } })
    await api.call('DELETE', `${pods}?gracePeriodSeconds=7`)
    const { metadata } = (await api.call('GET', `${pods}/running`)).body
    expect(metadata.deletionGracePeriodSeconds).toBe(7)
    await api.call('DELETE', `${pods}?gracePeriodSeconds=0`)
    expect((await api.call('GET', `${pods}/running`)).status).toBe(404)
  })

  it('a precondition that does not hold is a conflict, and keeps what it does not fit', async () => {
    await make(5)
    const { body } = await api.call('GET', `${maps}/m002`)
    const { uid } = body.metadata
    expect((await api.call('DELETE', all, { body: { preconditions: { uid } } })).status).toBe(409)
    expect((await left()).map(({ name }) => name)).toEqual(['m000', 'm001', 'm003', 'm004'])
  })

  it('the first failure is the answer: what was on its way ends, and no more are begun', async () => {
    await make(350)
    refusedKey = '/registry/configmaps/default/m000'
    const { status, body } = await api.call('DELETE', all)
    expect([status, body.reason]).toEqual([503, 'ServiceUnavailable'])
    expect(asked.now).toBe(0)
    const names = (await left()).map(({ name }) => name)
    expect(names).toContain('m000')
    expect(names.length).toBeGreaterThanOrEqual(150)
    expect(names.length).toBe(350 - asked.all + 1)
  })

  it('what somebody else deletes meanwhile is no failure; owners and what they own, in one go, with Orphan', async () => {
    await make(150)
    const answers = await Promise.all([api.call('DELETE', all), api.call('DELETE', all)])
    expect(answers.map(({ status }) => status)).toEqual([200, 200])
    const { body: owner } = await api.call('POST', maps, {
      body: { metadata: { name: 'owner', labels: { of: 'all' } } },
    })
    const reference = { apiVersion: 'v1', kind: 'ConfigMap', name: 'owner', uid: owner.metadata.uid }
    await make(150, { ownerReferences: [reference] })
    const orphaned = await api.call('DELETE', all, { body: { propagationPolicy: 'Orphan' } })
    expect([orphaned.status, await left()]).toEqual([200, []])
  })
})
