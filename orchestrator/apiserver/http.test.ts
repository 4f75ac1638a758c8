import { gunzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { admin, anApi, type Call } from '../../test/fixtures/api.ts'
import { resources } from '../api/resources.ts'
import { createObject } from './verbs/create.ts'

describe('API over HTTP', () => {
  let api: Awaited<ReturnType<typeof anApi>>
  const call = (method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE', url: string, options?: Call) =>
    api.call(method, url, options)

  beforeAll(async () => {
    api = await anApi()
    await api.client.create(resources.nodes, { metadata: { name: 'n1' } })
  })
  afterAll(() => api.close())

  const maps = '/api/v1/namespaces/default/configmaps'
  const pods = '/api/v1/namespaces/default/pods'
  const aMap = (name: string, fields: object = {}) => ({ metadata: { name }, data: { a: '1' }, ...fields })
  const aPod = (name: string, spec: object = {}) => ({
    metadata: { name },
    spec: { containers: [{ name: 'main', image: 'x:1' }], ...spec },
  })

  it('pages: what other parts tell, for masters only', async () => {
    expect(await call('GET', '/told/known')).toMatchObject({ status: 200, body: { name: 'known' } })
    expect((await call('GET', '/told/unknown')).status).toBe(404)
    expect((await call('GET', '/told/known', { as: { name: 'eve', groups: [] } })).status).toBe(403)
  })

  describe('who', () => {
    it('nobody sees anything but health and version', async () => {
      expect(await call('GET', '/api', { as: null })).toMatchObject({
        status: 401,
        body: { reason: 'Unauthorized', message: 'Unauthorized' },
      })
      expect((await call('GET', '/livez', { as: null })).body).toBe('ok')
      expect((await call('GET', '/version', { as: null })).body.major).toBe('1')
      expect((await call('GET', '/versions', { as: null })).status).toBe(401)
      expect((await call('GET', '/healthz/../api', { as: null })).status).not.toBe(200)
    })

    it('a stranger is refused in the words of Kubernetes', async () => {
      const { status, body } = await call('GET', `${pods}/x`, { as: { name: 'eve', groups: [] } })
      expect(status).toBe(403)
      expect(body.message).toBe(
        'pods "x" is forbidden: User "eve" cannot get resource "pods" in API group "" in the namespace "default"',
      )
    })

    it('a kubelet changes the status of its own node only', async () => {
      const kubelet = { name: 'system:node:n1', groups: ['system:nodes'] }
      await call('POST', '/api/v1/nodes', { body: { metadata: { name: 'n2' } } })
      const patch = { body: { status: { phase: '' } }, as: kubelet }
      expect((await call('PATCH', '/api/v1/nodes/n1/status', patch)).status).toBe(200)
      expect((await call('PATCH', '/api/v1/nodes/n2/status', patch)).status).toBe(403)
      expect((await call('DELETE', '/api/v1/nodes/n1', { as: kubelet })).status).toBe(403)
    })
  })

  describe('create', () => {
    it('gives what the server gives', async () => {
      const { status, body } = await call('POST', maps, { body: aMap('created') })
      expect(status).toBe(201)
      expect(body).toMatchObject({
        kind: 'ConfigMap',
        apiVersion: 'v1',
        metadata: { name: 'created', namespace: 'default' },
      })
      expect(body.metadata.uid).toMatch(/^[0-9a-f-]{36}$/)
      expect(body.metadata.creationTimestamp).toMatch(/Z$/)
      expect(Number(body.metadata.resourceVersion)).toBeGreaterThan(0)
      expect(await call('POST', maps, { body: aMap('created') })).toMatchObject({
        status: 409,
        body: {
          reason: 'AlreadyExists',
          message: 'configmaps "created" already exists',
          details: { name: 'created', kind: 'configmaps' },
        },
      })
    })

    it('makes a name from generateName', async () => {
      const { body } = await call('POST', maps, { body: { metadata: { generateName: 'some-' } } })
      expect(body.metadata.name).toMatch(/^some-[bcdfghjklmnpqrstvwxz2456789]{5}$/)
    })

    it('generateName: a name that is taken is made up again, eight times', async () => {
      const options = { user: admin, dryRun: false, manager: 'test', warn: () => {} }
      const kind = api.registry.kinds.find({ group: '', version: 'v1', resource: 'configmaps' })
      if (!kind) throw new Error('no ConfigMaps')
      // The letters of a name are five in a row: the first three names are the same.
      const createWith = (same: number) => {
        let asked = 0
        const registry = { ...api.registry, random: () => Math.max(0, Math.ceil((++asked - same * 5) / 5)) }
        const object = { metadata: { generateName: `taken-${same}-` } }
        return createObject(registry, { kind, namespace: 'default' }, { ...options, object })
      }
      await createWith(3)
      expect((await createWith(3)).metadata?.name).toBe('taken-3-ccccc')
      await createWith(9)
      await expect(createWith(9)).rejects.toMatchObject({ code: 'ALREADY_EXISTS' })
    })

    it('dry run: answers, and stores nothing', async () => {
      expect((await call('POST', `${maps}?dryRun=All`, { body: aMap('dry') })).status).toBe(201)
      expect((await call('GET', `${maps}/dry`)).status).toBe(404)
      expect((await call('POST', `${maps}?dryRun=Some`, { body: aMap('dry') })).status).toBe(422)
    })

    it('in a namespace that is missing', async () => {
      const { status, body } = await call('POST', '/api/v1/namespaces/none/configmaps', { body: aMap('x') })
      expect([status, body.message]).toEqual([404, 'namespaces "none" not found'])
    })

    it.each([
      ['another namespace', aMap('x', { metadata: { name: 'x', namespace: 'kube-system' } }), 400],
      ['another kind', aMap('x', { kind: 'Secret' }), 400],
      ['another version', aMap('x', { apiVersion: 'v2' }), 400],
      ['a list', [], 400],
      ['broken JSON', '{', 400],
      ['no body', undefined, 400],
      ['a bad name', aMap('Bad_Name'), 422],
      ['no name', { data: {} }, 422],
      ['a bad key', aMap('x', { data: { 'a b': '' } }), 422],
      ['a bad label', aMap('x', { metadata: { name: 'x', labels: { a: '?' } } }), 422],
    ])('refuses %s', async (_name, body, status) => {
      const answer = await call('POST', maps, { body })
      expect(answer.status).toBe(status)
      expect(answer.body.kind).toBe('Status')
    })

    it('unknown fields: strict, warn, ignore', async () => {
      const body = { ...aPod('unknown'), spec: { foo: 1, containers: [{ name: 'main', image: 'x:1' }] } }
      const strict = await call('POST', `${pods}?fieldValidation=Strict`, { body })
      expect(strict).toMatchObject({
        status: 400,
        body: {
          message: 'Pod in version "v1" cannot be handled as a Pod: strict decoding error: unknown field "spec.foo"',
        },
      })
      const warned = await call('POST', `${pods}?dryRun=All`, { body })
      expect(warned.status).toBe(201)
      expect(warned.headers.warning).toBe('299 - "unknown field \\"spec.foo\\""')
      expect(
        (await call('POST', `${pods}?dryRun=All&fieldValidation=Ignore`, { body })).headers.warning,
      ).toBeUndefined()
    })

    it('too large without saying so: 413 when it is read, and nothing is stored', async () => {
      const body = JSON.stringify(aMap('chunked', { data: { a: 'x'.repeat(4 * 1024 * 1024) } }))
      const headers = { 'transfer-encoding': 'chunked' }
      expect((await call('POST', maps, { body, headers })).status).toBe(413)
      expect((await call('GET', `${maps}/chunked`)).status).toBe(404)
    })

    it('a path that cannot be decoded', async () => {
      expect(await call('GET', `${maps}/%zz`)).toMatchObject({ status: 400, body: { reason: 'BadRequest' } })
    })

    it('large answers are packed for those who ask', async () => {
      const data = { a: 'x'.repeat(200_000) }
      await call('POST', maps, { body: aMap('packed', { data }) })
      const { headers, raw } = await call('GET', `${maps}/packed`, { headers: { 'accept-encoding': 'gzip' } })
      expect(headers).toMatchObject({ 'content-encoding': 'gzip', vary: 'Accept-Encoding' })
      expect(JSON.parse(gunzipSync(raw).toString()).data).toEqual(data)
      expect((await call('GET', `${maps}/packed`)).body.data).toEqual(data)
    })

    it('too large, unknown and protobuf bodies', async () => {
      const large = await call('POST', maps, { body: aMap('x', { data: { a: 'x'.repeat(4_000_000) } }) })
      expect(large).toMatchObject({ status: 413, body: { reason: 'RequestEntityTooLarge' } })
      const headers = { 'content-type': 'application/vnd.kubernetes.protobuf' }
      expect((await call('POST', maps, { body: 'k8s', headers })).status).toBe(400)
      expect((await call('POST', maps, { body: 'k8s', headers: { 'content-type': 'text/plain' } })).status).toBe(415)
      const yaml = { 'content-type': 'application/yaml' }
      expect((await call('POST', maps, { body: 'metadata: {name: from-yaml}', headers: yaml })).status).toBe(201)
      expect((await call('POST', maps, { body: 'a: [', headers: yaml })).status).toBe(400)
    })
  })

  describe('update and patch', () => {
    it('put: with the old revision is a conflict, without one wins', async () => {
      const { body: old } = await call('POST', maps, { body: aMap('put') })
      const changed = await call('PUT', `${maps}/put`, { body: { ...old, data: { a: '2' } } })
      expect(changed.body.data).toEqual({ a: '2' })
      expect(await call('PUT', `${maps}/put`, { body: { ...old, data: { a: '3' } } })).toMatchObject({
        status: 409,
        body: { reason: 'Conflict' },
      })
      expect((await call('PUT', `${maps}/put`, { body: aMap('put', { data: { a: '4' } }) })).status).toBe(200)
      expect((await call('PUT', `${maps}/put`, { body: aMap('other') })).status).toBe(400)
    })

    it('put: what changes nothing writes nothing', async () => {
      const { body: old } = await call('POST', maps, { body: aMap('same') })
      const again = await call('PUT', `${maps}/same`, { body: aMap('same') })
      expect(again.body.metadata.resourceVersion).toBe(old.metadata.resourceVersion)
    })

    it('patch: three types, and apply only by a named manager', async () => {
      await call('POST', maps, { body: aMap('patched') })
      const patch = (type: string, body: unknown) =>
        call('PATCH', `${maps}/patched`, { body, headers: { 'content-type': type } })
      expect((await patch('application/merge-patch+json', { data: { b: '2' } })).body.data).toEqual({ a: '1', b: '2' })
      expect((await patch('application/json-patch+json', [{ op: 'remove', path: '/data/a' }])).body.data).toEqual({
        b: '2',
      })
      expect((await patch('application/json-patch+json', [{ op: 'test', path: '/data/b', value: '9' }])).status).toBe(
        422,
      )
      expect(
        (await patch('application/strategic-merge-patch+json', { metadata: { labels: { x: 'y' } } })).body.metadata
          .labels,
      ).toEqual({ x: 'y' })
      expect((await patch('application/apply-patch+yaml', {})).status).toBe(422)
      expect(
        (await patch('application/merge-patch+json', { metadata: { resourceVersion: '1' }, data: { c: '3' } })).status,
      ).toBe(409)
    })

    it('patch: of 20 at once none is lost', async () => {
      await call('POST', maps, { body: aMap('busy') })
      const answers = await Promise.all(
        Array.from({ length: 20 }, (_, at) => call('PATCH', `${maps}/busy`, { body: { data: { [`k${at}`]: 'v' } } })),
      )
      expect(answers.map(({ status }) => status).filter((status) => status !== 200)).toEqual([])
      expect(Object.keys((await call('GET', `${maps}/busy`)).body.data)).toHaveLength(21)
    })

    it('status: changes nothing but the status, and the rest not the status', async () => {
      const { body: pod } = await call('POST', pods, { body: aPod('with-status') })
      expect(pod.status).toEqual({ phase: 'Pending', qosClass: 'BestEffort' })
      const spec = { ...pod.spec, nodeName: 'n9' }
      const status = await call('PUT', `${pods}/with-status/status`, {
        body: { ...pod, spec, status: { phase: 'Running' } },
      })
      expect(status.body.spec.nodeName).toBeUndefined()
      expect(status.body.status).toEqual({ phase: 'Running', qosClass: 'BestEffort' })
      const label = await call('PATCH', `${pods}/with-status`, {
        body: { metadata: { labels: { a: 'b' } }, status: { phase: 'Failed' } },
      })
      expect(label.body.status.phase).toBe('Running')
      expect(label.body.metadata.generation).toBe(1)
      expect(label.body.spec).toMatchObject({ priority: 0, preemptionPolicy: 'PreemptLowerPriority' })
    })

    it('binding: once, and only while the pod lives', async () => {
      await call('POST', pods, { body: aPod('bound') })
      const body = { target: { kind: 'Node', name: 'n1' } }
      expect(await call('POST', `${pods}/bound/binding`, { body })).toMatchObject({
        status: 201,
        body: { status: 'Success' },
      })
      const { body: pod } = await call('GET', `${pods}/bound`)
      expect(pod.spec.nodeName).toBe('n1')
      expect(pod.status.conditions).toMatchObject([{ type: 'PodScheduled', status: 'True' }])
      const again = await call('POST', `${pods}/bound/binding`, { body })
      expect([again.status, again.body.message]).toEqual([
        409,
        'Operation cannot be fulfilled on pods/binding "bound": pod bound is already assigned to node "n1"',
      ])
    })
  })

  describe('delete', () => {
    it('at once, with a Status', async () => {
      const { body: map } = await call('POST', maps, { body: aMap('gone') })
      const precondition = { preconditions: { uid: 'other' } }
      expect((await call('DELETE', `${maps}/gone`, { body: precondition })).status).toBe(409)
      expect(await call('DELETE', `${maps}/gone`)).toMatchObject({
        status: 200,
        body: { status: 'Success', details: { name: 'gone', kind: 'configmaps', uid: map.metadata.uid } },
      })
      expect(await call('DELETE', `${maps}/gone`)).toMatchObject({
        status: 404,
        body: { message: 'configmaps "gone" not found' },
      })
    })

    it('finalizers hold an object until the last one is taken away', async () => {
      await call('POST', maps, { body: aMap('held', { metadata: { name: 'held', finalizers: ['example.com/x'] } }) })
      const { body } = await call('DELETE', `${maps}/held`)
      expect(body.metadata.deletionTimestamp).toBeDefined()
      expect(
        (await call('PATCH', `${maps}/held`, { body: { metadata: { finalizers: ['example.com/y'] } } })).status,
      ).toBe(422)
      await call('PATCH', `${maps}/held`, { body: { metadata: { finalizers: null } } })
      expect((await call('GET', `${maps}/held`)).status).toBe(404)
    })

    it('a pod on a node has its grace period; the kubelet ends it', async () => {
      await call('POST', pods, { body: aPod('graceful', { nodeName: 'n1' }) })
      const { body } = await call('DELETE', `${pods}/graceful`)
      expect(body.metadata.deletionGracePeriodSeconds).toBe(30)
      expect(
        (await call('DELETE', `${pods}/graceful`, { body: { gracePeriodSeconds: 60 } })).body.metadata
          .deletionGracePeriodSeconds,
      ).toBe(30)
      expect(
        (await call('DELETE', `${pods}/graceful`, { body: { gracePeriodSeconds: 5 } })).body.metadata
          .deletionGracePeriodSeconds,
      ).toBe(5)
      expect((await call('DELETE', `${pods}/graceful?gracePeriodSeconds=0`)).status).toBe(200)
      expect((await call('GET', `${pods}/graceful`)).status).toBe(404)
    })

    it('a pod without a node goes at once', async () => {
      await call('POST', pods, { body: aPod('free') })
      expect((await call('DELETE', `${pods}/free`)).body.kind).toBe('Pod')
      expect((await call('GET', `${pods}/free`)).status).toBe(404)
    })

    it('a namespace ends by its controller, and takes nothing new meanwhile', async () => {
      await call('POST', '/api/v1/namespaces', { body: { metadata: { name: 'ending' } } })
      const { body } = await call('DELETE', '/api/v1/namespaces/ending')
      expect(body.status.phase).toBe('Terminating')
      const refused = await call('POST', '/api/v1/namespaces/ending/configmaps', { body: aMap('x') })
      expect(refused).toMatchObject({
        status: 403,
        body: { details: { causes: [{ reason: 'NamespaceTerminating' }] } },
      })
      await call('PUT', '/api/v1/namespaces/ending/finalize', { body: { ...body, spec: {} } })
      expect((await call('GET', '/api/v1/namespaces/ending')).status).toBe(404)
      expect((await call('DELETE', '/api/v1/namespaces/default')).status).toBe(403)
    })

    it('a collection: what the selector selects', async () => {
      for (const [name, app] of Object.entries({ c1: 'x', c2: 'x', c3: 'y' })) {
        await call('POST', maps, { body: aMap(name, { metadata: { name, labels: { collected: app } } }) })
      }
      expect((await call('DELETE', `${maps}?labelSelector=collected%3Dx`)).body.items).toHaveLength(2)
      expect((await call('GET', `${maps}?labelSelector=collected`)).body.items).toHaveLength(1)
    })

    const ownedBy = (uid: string) => ({
      ownerReferences: [{ apiVersion: 'v1', kind: 'ConfigMap', name: 'owner', uid }],
    })
    async function anOwner() {
      const { uid } = (await call('POST', maps, { body: aMap('owner') })).body.metadata
      await call('POST', maps, { body: { metadata: { name: 'owned', ...ownedBy(uid) } } })
    }

    it.each([{ propagationPolicy: 'Orphan' }, { orphanDependents: true }])(
      'orphan (%j): the dependents lose their owner, and nothing else',
      async (options) => {
        await anOwner()
        expect((await call('DELETE', `${maps}/owner`, { body: options })).status).toBe(200)
        const { body } = await call('GET', `${maps}/owned`)
        expect([body.metadata.name, body.metadata.ownerReferences]).toEqual(['owned', undefined])
        await call('DELETE', `${maps}/owned`)
      },
    )

    it('foreground: at once without dependents, refused with them', async () => {
      await anOwner()
      const foreground = { body: { propagationPolicy: 'Foreground' } }
      const { status, body } = await call('DELETE', `${maps}/owner`, foreground)
      expect([status, body.message]).toEqual([422, expect.stringContaining('not supported for an owner of 1 objects')])
      expect((await call('DELETE', `${maps}/owned`, foreground)).status).toBe(200)
      expect((await call('DELETE', `${maps}/owner`, foreground)).status).toBe(200)
    })
  })

  describe('list', () => {
    const paged = '/api/v1/namespaces/kube-public/configmaps'
    beforeAll(async () => {
      for (let at = 0; at < 7; at++) await call('POST', paged, { body: aMap(`p${at}`) })
    })
    const names = (body: { items: { metadata: { name: string } }[] }) => body.items.map(({ metadata }) => metadata.name)

    it('pages show one revision, whatever happens meanwhile', async () => {
      const first = await call('GET', `${paged}?limit=3`)
      expect(names(first.body)).toEqual(['p0', 'p1', 'p2'])
      expect(first.body.metadata.remainingItemCount).toBe(4)
      await call('POST', paged, { body: aMap('p3b') })
      const second = await call('GET', `${paged}?limit=3&continue=${first.body.metadata.continue}`)
      expect(names(second.body)).toEqual(['p3', 'p4', 'p5'])
      expect(second.body.metadata.remainingItemCount).toBe(1)
      expect(second.body.metadata.resourceVersion).toBe(first.body.metadata.resourceVersion)
      const third = await call('GET', `${paged}?limit=3&continue=${second.body.metadata.continue}`)
      expect([names(third.body), third.body.metadata.continue]).toEqual([['p6'], undefined])
      const exact = await call(
        'GET',
        `${paged}?resourceVersion=${first.body.metadata.resourceVersion}&resourceVersionMatch=Exact`,
      )
      expect(names(exact.body)).toHaveLength(7)
      expect((await call('GET', `${paged}?continue=nonsense`)).status).toBe(400)
    })

    it('items have no kind of their own, as in Kubernetes', async () => {
      const { body } = await call('GET', `${paged}?limit=1`)
      expect([body.kind, body.items[0].kind]).toEqual(['ConfigMapList', undefined])
    })

    it('fields: those that the kind knows', async () => {
      expect(names((await call('GET', `${paged}?fieldSelector=metadata.name%3Dp1`)).body)).toEqual(['p1'])
      expect((await call('GET', '/api/v1/pods?fieldSelector=spec.nodeName%3Dn1,status.phase!%3DFailed')).status).toBe(
        200,
      )
      const wrong = await call('GET', `${paged}?fieldSelector=spec.x%3D1`)
      expect([wrong.status, wrong.body.message]).toEqual([
        400,
        '"spec.x" is not a known field selector: only "metadata.name", "metadata.namespace"',
      ])
    })

    it('Table and PartialObjectMetadata', async () => {
      const asTable = { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json' }
      const { body: table } = await call('GET', `${paged}?limit=1`, { headers: asTable })
      expect(table.kind).toBe('Table')
      expect(table.columnDefinitions.map(({ name }: { name: string }) => name)).toEqual(['Name', 'Data', 'Age'])
      expect(table.rows[0]).toMatchObject({
        cells: ['p0', '1', expect.any(String)],
        object: { kind: 'PartialObjectMetadata' },
      })
      const asPartial = { accept: 'application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io' }
      expect((await call('GET', paged, { headers: asPartial })).body.items[0].data).toBeUndefined()
      expect((await call('GET', paged, { headers: { accept: 'text/html' } })).status).toBe(406)
      expect((await call('GET', paged, { headers: { accept: 'application/yaml' } })).body).toContain(
        'kind: ConfigMapList',
      )
    })

    it('revisions: any, not older than, in the future', async () => {
      expect((await call('GET', `${paged}?resourceVersion=0`)).status).toBe(200)
      expect((await call('GET', `${paged}?resourceVersion=x`)).status).toBe(400)
      expect((await call('GET', `${paged}?resourceVersionMatch=Exact`)).status).toBe(422)
      const future = await call('GET', `${paged}?resourceVersion=999999999`)
      expect([future.status, future.body.reason]).toEqual([504, 'Timeout'])
    })
  })

  describe('discovery', () => {
    it('old and aggregated', async () => {
      expect((await call('GET', '/api')).body.versions).toEqual(['v1'])
      const names = (body: { resources: { name: string }[] }) => body.resources.map(({ name }) => name)
      expect(names((await call('GET', '/api/v1')).body)).toContain('pods/binding')
      expect((await call('GET', '/apis')).body.groups.map(({ name }: { name: string }) => name)).toContain(
        'coordination.k8s.io',
      )
      const aggregated = { accept: 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList' }
      expect((await call('GET', '/apis', { headers: aggregated })).body.kind).toBe('APIGroupDiscoveryList')
      expect((await call('GET', '/apis/none.io/v1')).status).toBe(404)
    })

    it('unknown paths and methods', async () => {
      expect(await call('GET', '/api/v1/nonsense')).toMatchObject({
        status: 404,
        body: { message: 'the server could not find the requested resource' },
      })
      expect((await call('GET', '/nonsense')).status).toBe(404)
      expect((await call('POST', `${pods}/x/status`, { body: {} })).status).toBe(405)
      expect((await call('POST', '/api', { body: {} })).status).toBe(405)
    })

    it('OpenAPI: both versions, with descriptions', async () => {
      const asked = { accept: 'application/com.github.proto-openapi.spec.v2@v1.0+protobuf' }
      const gnostic = await call('GET', '/openapi/v2', { headers: asked })
      // kubectl reads no type with an `@`.
      expect(gnostic.headers['content-type']).toBe('application/com.github.proto-openapi.spec.v2.v1.0+protobuf')
      const { body: v2 } = await call('GET', '/openapi/v2')
      expect(v2.definitions['io.k8s.api.core.v1.Container'].properties.image.description).toContain(
        'Container image name',
      )
      const { body: index } = await call('GET', '/openapi/v3')
      const { body: v3, headers } = await call('GET', index.paths['api/v1'].serverRelativeURL)
      const { patch } = v3.paths['/api/v1/namespaces/{namespace}/pods/{name}']
      expect(patch.parameters.map(({ name }: { name: string }) => name)).toContain('fieldValidation')
      expect(
        (await call('GET', '/openapi/v3/api/v1', { headers: { 'if-none-match': String(headers.etag) } })).status,
      ).toBe(304)
    })
  })
})
