import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { anApi } from '../../test/fixtures/api.ts'

const pods = '/api/v1/namespaces/default/pods'
const deployments = '/apis/apps/v1/namespaces/default/deployments'
const budgets = '/apis/policy/v1/namespaces/default/poddisruptionbudgets'

describe('subresources over HTTP', () => {
  let api: Awaited<ReturnType<typeof anApi>>
  beforeAll(async () => {
    api = await anApi()
  })
  afterAll(() => api.close())

  const merge = { 'content-type': 'application/merge-patch+json' }
  const aPod = (name: string, spec: object = {}, labels: object = {}) => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, labels },
    spec: { containers: [{ name: 'main', image: 'x' }], ...spec },
  })
  const aRunningPod = async (name: string, labels: object = {}, ready = 'True') => {
    await api.call('POST', pods, { body: aPod(name, {}, labels) })
    const status = { phase: 'Running', conditions: [{ type: 'Ready', status: ready }] }
    await api.call('PATCH', `${pods}/${name}/status`, { headers: merge, body: { status } })
  }

  describe('scale', () => {
    const template = { metadata: { labels: { app: 'x', b: 'c' } }, spec: { containers: [{ name: 'a', image: 'a' }] } }
    const aDeployment = (name: string) => ({
      metadata: { name },
      spec: {
        replicas: 2,
        selector: { matchLabels: { app: 'x' }, matchExpressions: [{ key: 'b', operator: 'In', values: ['d', 'c'] }] },
        template,
      },
    })

    it('shows how many are wanted, and whom the selector finds', async () => {
      await api.call('POST', deployments, { body: aDeployment('seen') })
      const { body } = await api.call('GET', `${deployments}/seen/scale`)
      expect(body).toMatchObject({
        kind: 'Scale',
        apiVersion: 'autoscaling/v1',
        metadata: { name: 'seen', namespace: 'default' },
        spec: { replicas: 2 },
        status: { replicas: 0, selector: 'app=x,b in (c,d)' },
      })
    })

    it('is changed by PUT and every kind of patch, and the writer owns the replicas', async () => {
      await api.call('POST', deployments, { body: aDeployment('changed') })
      const url = `${deployments}/changed/scale`
      const { body: scale } = await api.call('GET', url)
      expect((await api.call('PUT', url, { body: { ...scale, spec: { replicas: 3 } } })).body.spec.replicas).toBe(3)
      expect((await api.call('PUT', url, { body: { ...scale, spec: { replicas: 4 } } })).status).toBe(409)
      const patched = await api.call('PATCH', `${url}?fieldManager=scaler`, {
        headers: merge,
        body: { spec: { replicas: 5 } },
      })
      expect(patched.body.spec.replicas).toBe(5)
      const json = { 'content-type': 'application/json-patch+json' }
      const replace = [{ op: 'replace', path: '/spec/replicas', value: 6 }]
      expect((await api.call('PATCH', url, { headers: json, body: replace })).body.spec.replicas).toBe(6)
      const apply = { 'content-type': 'application/apply-patch+yaml' }
      const config = {
        apiVersion: 'autoscaling/v1',
        kind: 'Scale',
        metadata: { name: 'changed' },
        spec: { replicas: 7 },
      }
      const applied = await api.call('PATCH', `${url}?fieldManager=me&force=true`, { headers: apply, body: config })
      expect(applied.body).toMatchObject({ kind: 'Scale', spec: { replicas: 7 } })
      const { body: whole } = await api.call('GET', `${deployments}/changed`)
      expect([whole.spec.replicas, whole.metadata.generation]).toEqual([7, 5])
      const owner = whole.metadata.managedFields.find(({ manager }: { manager: string }) => manager === 'me')
      expect(owner).toMatchObject({ subresource: 'scale', fieldsV1: { 'f:spec': { 'f:replicas': {} } } })
    })

    it('refuses less than nothing, and workloads that are not there', async () => {
      await api.call('POST', deployments, { body: aDeployment('bounded') })
      const refused = await api.call('PATCH', `${deployments}/bounded/scale`, {
        headers: merge,
        body: { spec: { replicas: -1 } },
      })
      expect(refused.body.message).toBe(
        'Scale.autoscaling "bounded" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal to 0',
      )
      expect((await api.call('GET', `${deployments}/none/scale`)).status).toBe(404)
    })
  })

  describe('eviction', () => {
    const evict = (name: string, body: object = {}) =>
      api.call('POST', `${pods}/${name}/eviction`, { body: { metadata: { name }, ...body } })

    const aBudget = async (name: string, app: string, status: object, spec: object = {}) => {
      const selector = { matchLabels: { app } }
      await api.call('POST', budgets, { body: { metadata: { name }, spec: { minAvailable: 1, selector, ...spec } } })
      const body = { status: { observedGeneration: 1, ...status } }
      await api.call('PATCH', `${budgets}/${name}/status`, { headers: merge, body })
    }

    it('without a budget: a deletion, in either version', async () => {
      await aRunningPod('plain')
      await aRunningPod('older')
      expect(await evict('plain', { apiVersion: 'policy/v1', kind: 'Eviction' })).toMatchObject({
        status: 201,
        body: { status: 'Success' },
      })
      expect((await evict('older', { apiVersion: 'policy/v1beta1', kind: 'Eviction' })).status).toBe(201)
      expect((await api.call('GET', `${pods}/plain`)).status).toBe(404)
    })

    it('within a budget: as many as it allows, the next is told when to come again', async () => {
      for (const name of ['w1', 'w2']) await aRunningPod(name, { app: 'w' })
      await aBudget('w', 'w', { disruptionsAllowed: 1, currentHealthy: 2, desiredHealthy: 1, expectedPods: 2 })
      const answers = await Promise.all([evict('w1'), evict('w2')])
      expect(answers.map(({ status }) => status).sort()).toEqual([201, 429])
      const refused = answers.find(({ status }) => status === 429)
      expect(refused?.body).toMatchObject({
        reason: 'TooManyRequests',
        message: "Cannot evict pod as it would violate the pod's disruption budget.",
        details: {
          causes: [
            { reason: 'DisruptionBudget', message: 'The disruption budget w needs 1 healthy pods and has 2 currently' },
          ],
        },
      })
      const { body: budget } = await api.call('GET', `${budgets}/w`)
      expect(budget.status.disruptionsAllowed).toBe(0)
      expect(Object.keys(budget.status.disruptedPods)).toHaveLength(1)
    })

    it('a budget that nobody has looked at yet allows nothing', async () => {
      await aRunningPod('early', { app: 'early' })
      const spec = { minAvailable: 1, selector: { matchLabels: { app: 'early' } } }
      await api.call('POST', budgets, { body: { metadata: { name: 'early' }, spec } })
      const refused = await evict('early')
      expect([refused.status, refused.headers['retry-after']]).toEqual([429, '10'])
      expect(refused.body.details.causes[0].message).toBe(
        'The disruption budget early is still being processed by the server.',
      )
    })

    it('a pod that is not ready goes where the policy says so; one of two budgets never', async () => {
      await aRunningPod('sick', { app: 'sick' }, 'False')
      await aBudget(
        'sick',
        'sick',
        { disruptionsAllowed: 0, currentHealthy: 0, desiredHealthy: 1 },
        { unhealthyPodEvictionPolicy: 'AlwaysAllow' },
      )
      expect((await evict('sick')).status).toBe(201)
      await aRunningPod('two', { app: 'two' })
      await aBudget('two-a', 'two', { disruptionsAllowed: 1 })
      await aBudget('two-b', 'two', { disruptionsAllowed: 1 })
      expect((await evict('two')).body.message).toContain('more than one PodDisruptionBudget')
    })

    it('dryRun and preconditions', async () => {
      await aRunningPod('kept')
      expect((await evict('kept', { deleteOptions: { dryRun: ['All'] } })).status).toBe(201)
      expect((await evict('kept', { deleteOptions: { preconditions: { uid: 'other' } } })).status).toBe(409)
      expect((await api.call('GET', `${pods}/kept`)).status).toBe(200)
    })
  })

  describe('ephemeralcontainers', () => {
    const add = (name: string, containers: object[]) =>
      api.call('PATCH', `${pods}/${name}/ephemeralcontainers`, { body: { spec: { ephemeralContainers: containers } } })

    it('are added, with defaults, and nothing else changes', async () => {
      await api.call('POST', pods, { body: aPod('debugged') })
      const { status, body } = await api.call('PATCH', `${pods}/debugged/ephemeralcontainers`, {
        body: {
          metadata: { labels: { not: 'taken' } },
          spec: {
            nodeName: 'n',
            ephemeralContainers: [{ name: 'debug', image: 'busybox:1', targetContainerName: 'main', tty: true }],
          },
        },
      })
      expect([status, body.metadata.labels, body.spec.nodeName]).toEqual([200, undefined, undefined])
      expect(body.spec.ephemeralContainers).toMatchObject([
        { name: 'debug', imagePullPolicy: 'IfNotPresent', tty: true },
      ])
      expect(body.metadata.generation).toBe(2)
    })

    it('are never changed or taken away, and have no ports, probes or resources', async () => {
      await api.call('POST', pods, { body: aPod('fixed') })
      await add('fixed', [{ name: 'debug', image: 'a' }])
      expect((await add('fixed', [{ name: 'debug', image: 'b' }])).body.message).toContain(
        'spec.ephemeralContainers: Forbidden: existing ephemeral containers "debug" may not be changed',
      )
      const json = { 'content-type': 'application/json-patch+json' }
      const removed = await api.call('PATCH', `${pods}/fixed/ephemeralcontainers`, {
        headers: json,
        body: [{ op: 'remove', path: '/spec/ephemeralContainers' }],
      })
      expect(removed.body.message).toContain('may not be removed')
      expect((await add('fixed', [{ name: 'main', image: 'a' }])).body.message).toContain('Duplicate value: "main"')
      const withPorts = await add('fixed', [
        { name: 'd2', image: 'a', ports: [{ containerPort: 1 }], targetContainerName: 'none' },
      ])
      expect(withPorts.body.message).toContain(
        'spec.ephemeralContainers[1].ports: Forbidden: cannot be set for an Ephemeral Container',
      )
      expect(withPorts.body.message).toContain('spec.ephemeralContainers[1].targetContainerName: Not found: "none"')
    })
  })

  describe('resize', () => {
    const resources = (cpu: string) => ({ requests: { cpu, memory: '1Gi' }, limits: { cpu: '2', memory: '1Gi' } })
    const resize = (name: string, wanted: object) =>
      api.call('PATCH', `${pods}/${name}/resize`, {
        body: { spec: { containers: [{ name: 'main', resources: wanted }] } },
      })

    it('changes cpu and memory of containers, and nothing else', async () => {
      const spec = { containers: [{ name: 'main', image: 'x', resources: resources('500m') }] }
      await api.call('POST', pods, { body: aPod('resized', spec) })
      const { body } = await api.call('PATCH', `${pods}/resized/resize`, {
        body: { spec: { containers: [{ name: 'main', image: 'other', resources: resources('1') }] } },
      })
      expect(body.spec.containers[0]).toMatchObject({ image: 'x', resources: { requests: { cpu: '1' } } })
    })

    it.each([
      [
        'another class',
        { requests: { cpu: '2', memory: '1Gi' }, limits: { cpu: '2', memory: '1Gi' } },
        'Pod QOS Class may not change',
      ],
      ['more than the limit', resources('3'), 'must be less than or equal to cpu limit of 2'],
      ['another resource', { requests: { 'ephemeral-storage': '1Gi' } }, 'only cpu and memory resources are mutable'],
    ])('refuses %s', async (what, wanted, message) => {
      const name = `r-${what.replaceAll(' ', '-')}`
      await api.call('POST', pods, {
        body: aPod(name, { containers: [{ name: 'main', image: 'x', resources: resources('500m') }] }),
      })
      const answer = await resize(name, wanted)
      expect([answer.status, answer.body.message]).toEqual([422, expect.stringContaining(message)])
    })
  })
})
