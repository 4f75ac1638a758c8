import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { anApi } from '../../test/fixtures/api.ts'

const deployments = '/apis/apps/v1/namespaces/default/deployments'
const maps = '/api/v1/namespaces/default/configmaps'

describe('server-side apply over HTTP', () => {
  let api: Awaited<ReturnType<typeof anApi>>
  beforeAll(async () => {
    api = await anApi()
  })
  afterAll(() => api.close())

  const apply = (url: string, config: object, { manager = 'me', force = false } = {}) =>
    api.call('PATCH', `${url}?fieldManager=${manager}${force ? '&force=true' : ''}`, {
      headers: { 'content-type': 'application/apply-patch+yaml' },
      body: config,
    })

  const aMap = (name: string, data?: object, rest: object = {}) => ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name },
    ...(data ? { data } : {}),
    ...rest,
  })

  const aDeployment = (name: string, spec: object = {}) => ({
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name },
    spec: {
      selector: { matchLabels: { app: name } },
      template: {
        metadata: { labels: { app: name } },
        spec: { containers: [{ name: 'a', image: 'a', resources: { limits: { cpu: '1000m' } } }] },
      },
      ...spec,
    },
  })

  it('makes what is not there, and owns what it names', async () => {
    const made = await apply(`${maps}/made`, aMap('made', { a: '1' }))
    expect(made.status).toBe(201)
    const [entry, ...others] = made.body.metadata.managedFields
    expect(others).toEqual([])
    expect(entry).toMatchObject({
      manager: 'me',
      operation: 'Apply',
      apiVersion: 'v1',
      fieldsType: 'FieldsV1',
      fieldsV1: { 'f:data': { 'f:a': {} } },
    })
    expect(entry.time).toMatch(/^20/)
  })

  it('applied twice is applied once: the same revision', async () => {
    const first = await apply(`${deployments}/twice`, aDeployment('twice', { replicas: 2 }))
    const second = await apply(`${deployments}/twice`, aDeployment('twice', { replicas: 2 }))
    expect([first.status, second.status]).toEqual([201, 200])
    expect(second.body).toEqual(first.body)
  })

  it('what is named no longer goes, unless another applier has it', async () => {
    await apply(`${maps}/pruned`, aMap('pruned', { mine: '1', shared: '2' }), { manager: 'one' })
    await apply(`${maps}/pruned`, aMap('pruned', { shared: '2' }), { manager: 'two' })
    const { body } = await apply(`${maps}/pruned`, aMap('pruned', {}), { manager: 'one' })
    expect(body.data).toEqual({ shared: '2' })
    const last = await apply(`${maps}/pruned`, aMap('pruned'), { manager: 'two' })
    expect(last.body.data).toBeUndefined()
  })

  it('a field of somebody else with another value is a conflict that names him; force takes it', async () => {
    await apply(`${deployments}/contended`, aDeployment('contended', { replicas: 1 }), { manager: 'one' })
    const refused = await apply(`${deployments}/contended`, aDeployment('contended', { replicas: 3 }), {
      manager: 'two',
    })
    expect(refused.status).toBe(409)
    expect(refused.body).toMatchObject({
      reason: 'Conflict',
      message: 'Apply failed with 1 conflict: conflict with "one": .spec.replicas',
      details: {
        causes: [{ reason: 'FieldManagerConflict', message: 'conflict with "one"', field: '.spec.replicas' }],
      },
    })
    const same = await apply(`${deployments}/contended`, aDeployment('contended', { replicas: 1 }), { manager: 'two' })
    expect(same.status).toBe(200)
    const taken = await apply(`${deployments}/contended`, aDeployment('contended', { replicas: 3 }), {
      manager: 'two',
      force: true,
    })
    expect(taken.body.spec.replicas).toBe(3)
    const owners = taken.body.metadata.managedFields.filter(
      (entry: { fieldsV1: { 'f:spec'?: object } }) => 'f:replicas' in (entry.fieldsV1['f:spec'] ?? {}),
    )
    expect(owners.map(({ manager }: { manager: string }) => manager)).toEqual(['two'])
  })

  it('an update takes fields from appliers, item by item in lists with keys', async () => {
    await apply(`${deployments}/updated`, aDeployment('updated'), { manager: 'one' })
    const patch = {
      spec: {
        template: {
          spec: {
            containers: [
              { name: 'a', image: 'b' },
              { name: 'c', image: 'c' },
            ],
          },
        },
      },
    }
    const updated = await api.call('PATCH', `${deployments}/updated?fieldManager=editor`, { body: patch })
    const editor = updated.body.metadata.managedFields.find(({ manager }: { manager: string }) => manager === 'editor')
    expect(editor.fieldsV1['f:spec']['f:template']['f:spec']['f:containers']).toMatchObject({
      'k:{"name":"a"}': { 'f:image': {} },
      'k:{"name":"c"}': { '.': {}, 'f:image': {}, 'f:name': {} },
    })
    const refused = await apply(`${deployments}/updated`, aDeployment('updated'), { manager: 'one' })
    expect(refused.body.message).toMatch(
      /^Apply failed with 1 conflict: conflict with "editor" using apps\/v1 at .*: \.spec\.template\.spec\.containers\[name="a"\]\.image$/,
    )
  })

  it('other spellings of a quantity are no change', async () => {
    await apply(`${deployments}/spelled`, aDeployment('spelled'))
    const limits = { cpu: '1' }
    const spec = { containers: [{ name: 'a', image: 'a', resources: { limits } }] }
    const config = aDeployment('spelled')
    config.spec.template.spec = spec as never
    const { status } = await apply(`${deployments}/spelled`, config, { manager: 'other' })
    expect(status).toBe(200)
  })

  it('what kubectl has applied in the older way is taken over without a conflict', async () => {
    const applied = aMap('older', { a: '1', b: '1' })
    const annotations = { 'kubectl.kubernetes.io/last-applied-configuration': JSON.stringify(applied) }
    await api.call('POST', `${maps}?fieldManager=kubectl-client-side-apply`, {
      body: { ...applied, metadata: { name: 'older', annotations } },
    })
    const config = aMap('older', { a: '2', b: '1' })
    expect((await apply(`${maps}/older`, config, { manager: 'somebody' })).status).toBe(409)
    const taken = await apply(`${maps}/older`, config, { manager: 'kubectl' })
    expect(taken.body.data).toEqual({ a: '2', b: '1' })
    const text = taken.body.metadata.annotations['kubectl.kubernetes.io/last-applied-configuration']
    expect(JSON.parse(text).data).toEqual(config.data)
  })

  it('objects whose owners were taken away: who applies first names those who came before', async () => {
    await api.call('POST', maps, { body: aMap('ownerless', { a: '1' }) })
    const cleared = await api.call('PATCH', `${maps}/ownerless`, {
      headers: { 'content-type': 'application/merge-patch+json' },
      body: { metadata: { managedFields: [{}] } },
    })
    expect(cleared.body.metadata.managedFields).toBeUndefined()
    const { body } = await apply(`${maps}/ownerless`, aMap('ownerless', { b: '2' }))
    expect(body.metadata.managedFields.map(({ manager }: { manager: string }) => manager)).toEqual([
      'me',
      'before-first-apply',
    ])
  })

  it('status: of its own, the rest is not touched', async () => {
    await apply(`${deployments}/with-status`, aDeployment('with-status'))
    const config = {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'with-status' },
      status: { replicas: 3 },
    }
    const { body } = await apply(`${deployments}/with-status/status`, config, { manager: 'controller' })
    expect(body.status.replicas).toBe(3)
    const owner = body.metadata.managedFields.find(({ manager }: { manager: string }) => manager === 'controller')
    expect(owner).toMatchObject({ subresource: 'status', fieldsV1: { 'f:status': { 'f:replicas': {} } } })
    const again = await apply(`${deployments}/with-status`, aDeployment('with-status'))
    expect(again.body.status.replicas).toBe(3)
  })

  it('dryRun: changes nothing', async () => {
    const { status } = await api.call('PATCH', `${maps}/dry?fieldManager=me&dryRun=All`, {
      headers: { 'content-type': 'application/apply-patch+yaml' },
      body: aMap('dry', { a: '1' }),
    })
    expect(status).toBe(201)
    expect((await api.call('GET', `${maps}/dry`)).status).toBe(404)
  })

  it('what its type does not have: refused, by its place', async () => {
    const said = async (config: object) => {
      const { status, body } = await apply(`${deployments}/misfit`, config)
      expect([status, body.status, body.reason]).toEqual([422, 'Failure', undefined])
      return body.message as string
    }
    const subject = 'failed to create typed patch object (default/misfit; apps/v1, Kind=Deployment): '
    const metadata = { name: 'misfit', namespace: 'default' }
    const deployment = { apiVersion: 'apps/v1', kind: 'Deployment', metadata }
    const withPod = (spec: object) => ({ ...deployment, spec: { template: { spec } } })
    expect(await said({ ...deployment, nope: 1 })).toBe(`${subject}.nope: field not declared in schema`)
    expect(await said(withPod({ containers: [{ name: 'a', nope: 1 }], tolerations: [{}, { nope: 1 }] }))).toBe(
      `${subject}errors:\n  .spec.template.spec.containers[name="a"].nope: field not declared in schema\n  .spec.template.spec.tolerations[1].nope: field not declared in schema`,
    )
    expect(await said(withPod({ containers: [{ name: 'a' }, { name: 'a' }] }))).toBe(
      `${subject}.spec.template.spec.containers: duplicate entries for key [name="a"]`,
    )
    expect(await said(withPod({ containers: [{ image: 'a' }] }))).toBe(
      `${subject}.spec.template.spec.containers: element 0: associative list with keys has an element that omits all key fields ["name"] (and doesn't have default values for any key fields)`,
    )
    expect((await api.call('GET', `${deployments}/misfit`)).status).toBe(404)
  })

  it('another type: refused by what it says that it is', async () => {
    const said = async (config: object) => (await apply(`${maps}/x`, config)).body.message
    expect(await said({ apiVersion: 'v2', kind: 'ConfigMap' })).toBe('invalid object type: /v2, Kind=ConfigMap')
    expect(await said({ apiVersion: 'apps/v1', kind: 'Other' })).toBe('invalid object type: apps/v1, Kind=Other')
    expect(await said({ apiVersion: 'v1' })).toBe('invalid object type: /v1, Kind=')
  })

  it.each([
    ['no manager', `${maps}/x`, {}, 422],
    ['a force for a merge patch', `${maps}/x?force=true&fieldManager=me`, {}, 422],
    ['no kind', `${maps}/x?fieldManager=me`, { apiVersion: 'v1' }, 400],
    ['another kind', `${maps}/x?fieldManager=me`, { apiVersion: 'v1', kind: 'Secret' }, 400],
    [
      'another name',
      `${maps}/x?fieldManager=me`,
      { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'y' } },
      400,
    ],
    [
      'owners',
      `${maps}/x?fieldManager=me`,
      { ...{ apiVersion: 'v1', kind: 'ConfigMap' }, metadata: { managedFields: [{ manager: 'a' }] } },
      400,
    ],
    [
      'a uid of nothing',
      `${maps}/x?fieldManager=me`,
      { apiVersion: 'v1', kind: 'ConfigMap', metadata: { uid: 'u' } },
      409,
    ],
    ['no object at all', `${maps}/x?fieldManager=me`, [], 400],
  ])('refuses %s', async (what, url, body, status) => {
    const isMerge = what.includes('merge')
    const type = isMerge ? 'application/merge-patch+json' : 'application/apply-patch+yaml'
    const answer = await api.call('PATCH', url, { headers: { 'content-type': type }, body })
    expect(answer.status, JSON.stringify(answer.body)).toBe(status)
  })
})
