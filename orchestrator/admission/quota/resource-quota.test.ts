import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { aNamespace, aPlainPod } from '../../../test/fixtures/namespace.ts'

let api: Awaited<ReturnType<typeof aNamespace>>
beforeEach(async () => {
  api = await aNamespace()
})
afterEach(() => api.close())

const quota = async (hard: object, rest: object = {}) => {
  const { status } = await api.make('resourcequotas', { metadata: { name: 'q' }, spec: { hard, ...rest } })
  expect(status).toBe(201)
}
const used = async () => (await api.call('GET', `${api.base}/resourcequotas/q`)).body.status.used
const podOf = (name: string, resources: object) =>
  aPlainPod({ containers: [{ name: 'c', image: 'i', resources }] }, name)

describe('resourceQuota', () => {
  it('64 pods at once: as many as allowed, not one more', async () => {
    await quota({ pods: '10', 'requests.cpu': '1' })
    const pods = Array.from({ length: 64 }, (_, at) => podOf(`p${at}`, { requests: { cpu: '100m' } }))
    const answers = await Promise.all(pods.map((pod) => api.makePod(pod)))
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(10)
    expect(answers.filter(({ status }) => status === 403)).toHaveLength(54)
    expect(await used()).toEqual({ pods: '10', 'requests.cpu': '1' })
  })

  it('whatever is asked for at once, it is never exceeded', async () => {
    let round = 0
    const milli = fc.integer({ min: 1, max: 900 })
    await fc.assert(
      fc.asyncProperty(fc.array(milli, { minLength: 1, maxLength: 20 }), milli, async (amounts, limit) => {
        round++
        await api.call('DELETE', `${api.base}/resourcequotas/q`)
        await api.call('DELETE', `${api.base}/pods?gracePeriodSeconds=0`)
        await quota({ 'requests.cpu': `${limit}m` })
        const asked = amounts.map((cpu, at) => ({
          cpu,
          pod: podOf(`r${round}-${at}`, { requests: { cpu: `${cpu}m` } }),
        }))
        const answers = await Promise.all(asked.map(async ({ cpu, pod }) => ({ cpu, ...(await api.makePod(pod)) })))
        const taken = answers.filter(({ status }) => status === 201).reduce((sum, { cpu }) => sum + cpu, 0)
        expect(taken).toBeLessThanOrEqual(limit)
        for (const { cpu, status } of answers) if (status !== 201) expect(cpu + taken).toBeGreaterThan(limit)
      }),
      { numRuns: 15 },
    )
  })

  it('says in the words of Kubernetes what is too much', async () => {
    await quota({ pods: '1', 'limits.memory': '1Gi' })
    const resources = { limits: { memory: '512Mi' } }
    expect((await api.makePod(podOf('a', resources))).status).toBe(201)
    expect((await api.makePod(podOf('b', resources))).body).toMatchObject({
      code: 403,
      message: 'pods "b" is forbidden: exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1',
    })
    expect((await api.makePod(podOf('c', {}))).body.message).toBe(
      'pods "c" is forbidden: failed quota: q: must specify limits.memory for: c',
    )
  })

  it('a dry run takes nothing, and is told the truth', async () => {
    await quota({ pods: '1' })
    const dry = (name: string) => api.make('pods?dryRun=All', aPlainPod({}, name))
    expect((await dry('a')).status).toBe(201)
    expect((await api.makePod(aPlainPod())).status).toBe(201)
    expect((await dry('b')).status).toBe(403)
  })

  it('what was there before the quota counts', async () => {
    await api.make('configmaps', { metadata: { name: 'old' } })
    await quota({ 'count/configmaps': '1', configmaps: '5' })
    expect((await api.make('configmaps', { metadata: { name: 'new' } })).body.message).toBe(
      'configmaps "new" is forbidden: exceeded quota: q, requested: count/configmaps=1, used: count/configmaps=1, limited: count/configmaps=1',
    )
  })

  it('services: node ports and load balancers', async () => {
    await quota({ services: '5', 'services.nodeports': '1', 'services.loadbalancers': '0' })
    const service = (name: string, type: string) => ({ metadata: { name }, spec: { type, ports: [{ port: 80 }] } })
    expect((await api.make('services', service('a', 'ClusterIP'))).status).toBe(201)
    expect((await api.make('services', service('b', 'NodePort'))).status).toBe(201)
    expect((await api.make('services', service('c', 'NodePort'))).body.message).toMatch(
      'requested: services.nodeports=1',
    )
    expect((await api.make('services', service('d', 'LoadBalancer'))).body.message).toMatch('services.loadbalancers=1')
  })

  it('claims: storage, also of one class', async () => {
    await quota({ 'requests.storage': '5Gi', 'fast.storageclass.storage.k8s.io/requests.storage': '1Gi' })
    const claim = (name: string, storage: string, storageClassName: string) => ({
      metadata: { name },
      spec: { accessModes: ['ReadWriteOnce'], storageClassName, resources: { requests: { storage } } },
    })
    expect((await api.make('persistentvolumeclaims', claim('a', '3Gi', 'slow'))).status).toBe(201)
    expect((await api.make('persistentvolumeclaims', claim('b', '2Gi', 'fast'))).status).toBe(403)
    expect((await api.make('persistentvolumeclaims', claim('c', '1Gi', 'fast'))).status).toBe(201)
    expect((await api.make('persistentvolumeclaims', claim('d', '2Gi', 'slow'))).status).toBe(403)
  })

  it.each([
    ['BestEffort', {}, { containers: [{ name: 'c', image: 'i', resources: { requests: { cpu: '1' } } }] }],
    ['Terminating', { activeDeadlineSeconds: 5 }, {}],
    ['NotTerminating', {}, { activeDeadlineSeconds: 5 }],
  ])('scope %s: counts only its pods', async (scope, inside, outside) => {
    await quota({ pods: '0' }, { scopes: [scope] })
    expect((await api.makePod(aPlainPod(inside, 'in'))).status).toBe(403)
    expect((await api.makePod(aPlainPod(outside, 'out'))).status).toBe(201)
  })

  it('scopeSelector: pods of a priority class', async () => {
    const matchExpressions = [{ scopeName: 'PriorityClass', operator: 'In', values: ['system-node-critical'] }]
    await quota({ pods: '0' }, { scopeSelector: { matchExpressions } })
    expect((await api.makePod(aPlainPod({ priorityClassName: 'system-node-critical' }, 'in'))).status).toBe(403)
    expect((await api.makePod(aPlainPod({}, 'out'))).status).toBe(201)
  })
})
