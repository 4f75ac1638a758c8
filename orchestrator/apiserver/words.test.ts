/** What clients read when they ask for what cannot be, in Kubernetes' words; and what else they find in objects and lists. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { anApi } from '../../test/fixtures/api.ts'

const namespaces = '/api/v1/namespaces'
const maps = `${namespaces}/default/configmaps`
const pods = `${namespaces}/default/pods`
const daemonSets = '/apis/apps/v1/namespaces/default/daemonsets'

let api: Awaited<ReturnType<typeof anApi>>
beforeAll(async () => {
  api = await anApi()
  await api.call('POST', maps, { body: { metadata: { name: 'map' }, data: { a: '1' } } })
  await api.call('POST', pods, {
    body: { metadata: { name: 'pod' }, spec: { containers: [{ name: 'c', image: 'i' }] } },
  })
})
afterAll(() => api.close())

const typeOf = { json: 'json-patch', merge: 'merge-patch', strategic: 'strategic-merge-patch' }
const patch = (url: string, type: keyof typeof typeOf, body: unknown) =>
  api.call('PATCH', url, { body, headers: { 'content-type': `application/${typeOf[type]}+json` } })

describe('a body that is none', () => {
  it.each([
    ['YAML where JSON is said', 'kind: Pod', 'json', 'json parse error: .* \\(6b696e643a20506f64\\)'],
    [
      'cut off, and long',
      `{"kind":"Pod","metadata":{"name":"${'x'.repeat(50)}"`,
      'json',
      '\\({"kind":"Pod","metadata":{"nam \\.\\.\\.\\)',
    ],
    ['no YAML', 'a: [', 'yaml', 'error converting YAML to JSON: .* \\(613a205b\\)'],
    ['no protobuf', 'k8s', 'vnd.kubernetes.protobuf', '\\(6b3873\\)'],
  ])('%s: what it should have been, and how it begins', async (_name, body, type, words) => {
    const { status, body: answer } = await api.call('POST', namespaces, {
      body,
      headers: { 'content-type': `application/${type}` },
    })
    expect([status, answer.reason]).toEqual([400, 'BadRequest'])
    expect(answer.message).toMatch(/^the object provided is unrecognized \(must be of type Namespace\): /)
    expect(answer.message).toMatch(new RegExp(words))
  })
})

describe('a patch of which no object comes', () => {
  const text = (fields: unknown) => `"${JSON.stringify(fields).replaceAll('"', '\\"')}"`

  it('strategic: the patch in Go’s form, and the words of the converter', async () => {
    const said = async (fields: unknown) => {
      const { status, body } = await patch(`${pods}/pod`, 'strategic', fields)
      expect([status, body.reason, body.details.name]).toEqual([422, 'Invalid', undefined])
      return body.message as string
    }
    expect(await said({ metadata: { labels: 'invalid' } })).toBe(
      ' "" is invalid: patch: Invalid value: "map[metadata:map[labels:invalid]]": cannot restore map from string',
    )
    expect(await said({ spec: { tolerations: 'x', priority: null } })).toMatch(
      'map[spec:map[priority:<nil> tolerations:x]]": cannot restore slice from string',
    )
    expect(await said({ spec: { securityContext: [] } })).toMatch('cannot restore struct from: slice')
    expect(await said({ spec: { hostNetwork: 'yes' } })).toMatch('unrecognized type: bool')
    expect(await said({ spec: { priority: 'high' } })).toMatch('unrecognized type: int32')
    expect(await said({ spec: { priority: 1.5 } })).toMatch('cannot convert float64 to int32')
    expect(await said({ metadata: { labels: { a: 1 } } })).toMatch('cannot convert int64 to string')
    expect(await said({ spec: { activeDeadlineSeconds: { a: true } } })).toMatch('unrecognized type: int64')
  })

  it.each(['merge', 'json'] as const)(
    '%s: the object that would have been, and the words of the JSON decoder',
    async (type) => {
      const fields = { metadata: { labels: 'x' } }
      const asked = type === 'merge' ? fields : [{ op: 'add', path: '/metadata/labels', value: 'x' }]
      const { status, body } = await patch(`${maps}/map`, type, asked)
      expect([status, body.reason]).toEqual([422, 'Invalid'])
      const { body: map } = await api.call('GET', `${maps}/map`)
      const { metadata, ...rest } = map
      const would = text({ ...rest, metadata: { ...metadata, labels: 'x' } })
      expect(body.message.length).toBe(
        ` "" is invalid: patch: Invalid value: ${would}: json: cannot unmarshal string into Go struct field ObjectMeta.metadata.labels of type map[string]string`
          .length,
      )
      expect(body.message).toContain('json: cannot unmarshal string into Go struct field ObjectMeta.metadata.labels')
    },
  )

  it.each([
    { op: 'remove', path: '/data/none' },
    { op: 'frob', path: '/data' },
    { op: 'add', value: 1 },
  ])('json: %j cannot be done, which is told by its code, and no more', async (operation) => {
    const { status, body } = await patch(`${maps}/map`, 'json', [operation])
    const message = 'the server rejected our request due to an error in our request'
    expect([status, body]).toMatchObject([422, { reason: 'Invalid', message, details: {} }])
    expect(body.details.causes).toBeUndefined()
  })

  it('json: too many operations', async () => {
    const { status, body } = await patch(`${maps}/map`, 'json', Array(10_001).fill({ op: 'test', path: '/kind' }))
    const message = 'Request entity too large: The allowed maximum operations in a JSON patch is 10000, got 10001'
    expect([status, body]).toMatchObject([413, { reason: 'RequestEntityTooLarge', message }])
  })

  it.each([
    [
      'json',
      'text',
      'error decoding patch: json: cannot unmarshal string into Go value of type []handlers.jsonPatchOp',
    ],
    ['merge', [], 'error decoding patch: json: cannot unmarshal array into Go value of type map[string]interface {}'],
    ['strategic', 7, 'json: cannot unmarshal number into Go value of type map[string]interface {}'],
  ] as const)('%s: %j is none', async (type, none, message) => {
    const { status, body } = await patch(`${maps}/map`, type, JSON.stringify(none))
    expect([status, body]).toMatchObject([400, { reason: 'BadRequest', message }])
  })

  it.each(['merge', 'json', 'strategic'] as const)('%s: no other name, no other namespace', async (type) => {
    const change = (field: string, value: unknown) =>
      patch(
        `${maps}/map`,
        type,
        type === 'json' ? [{ op: 'replace', path: `/metadata/${field}`, value }] : { metadata: { [field]: value } },
      )
    expect(await change('name', 'other')).toMatchObject({
      status: 400,
      body: { message: 'the name of the object (other) does not match the name on the URL (map)' },
    })
    expect(await change('namespace', 'other')).toMatchObject({
      status: 400,
      body: { message: 'the namespace of the provided object does not match the namespace sent on the request' },
    })
  })
})

describe('a field selector', () => {
  it('of a field that cannot be selected by', async () => {
    const said = async (url: string) => (await api.call('GET', `${url}?fieldSelector=status.x%3D1`)).body
    expect(await said(pods)).toMatchObject({ code: 400, message: 'field label not supported: status.x' })
    expect(await said(maps)).toMatchObject({
      code: 400,
      message: '"status.x" is not a known field selector: only "metadata.name", "metadata.namespace"',
    })
  })
})

describe('options', () => {
  it.each([
    [
      'POST',
      `${maps}?dryRun=Some`,
      { metadata: { name: 'o' } },
      'CreateOptions.meta.k8s.io "" is invalid: dryRun: Unsupported value: ["Some"]: supported values: "All"',
    ],
    [
      'PUT',
      `${maps}/map?fieldValidation=Hard`,
      { metadata: { name: 'map' } },
      'UpdateOptions.meta.k8s.io "" is invalid: fieldValidation: Unsupported value: "Hard": supported values: "", "Ignore", "Strict", "Warn"',
    ],
    [
      'DELETE',
      `${maps}/map`,
      { propagationPolicy: 'Odd' },
      'DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Unsupported value: "Odd": supported values: "Background", "Foreground", "Orphan", "nil"',
    ],
    [
      'DELETE',
      `${maps}/map`,
      { propagationPolicy: 'Orphan', orphanDependents: true },
      'DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Invalid value: "Orphan": orphanDependents and deletionPropagation cannot be both set',
    ],
  ] as const)('%s %s', async (method, url, body, message) => {
    expect(await api.call(method, url, { body })).toMatchObject({ status: 422, body: { message } })
  })
})

describe('a path without a namespace, for what is in one', () => {
  it.each([
    ['GET', '/api/v1/configmaps/map', 404],
    ['DELETE', '/api/v1/configmaps/map', 404],
    ['GET', '/api/v1/pods/pod/status', 404],
    ['POST', '/api/v1/configmaps', 405],
    ['DELETE', '/api/v1/configmaps', 405],
    ['GET', '/api/v1/configmaps', 200],
  ] as const)('%s %s: %i', async (method, url, code) => {
    const body = method === 'POST' ? { body: { metadata: { name: 'x' } } } : {}
    const { status, body: answer } = await api.call(method, url, body)
    expect(status).toBe(code)
    if (code === 404)
      expect(answer).toMatchObject({ reason: 'NotFound', message: 'the server could not find the requested resource' })
  })
})

describe('resourceVersion of what is written', () => {
  it('0 takes what there is, in a PUT and in a patch', async () => {
    const body = (value: string) => ({ metadata: { name: 'map', resourceVersion: '0' }, data: { a: value } })
    expect(await api.call('PUT', `${maps}/map`, { body: body('2') })).toMatchObject({
      status: 200,
      body: { data: { a: '2' } },
    })
    expect(await patch(`${maps}/map`, 'merge', body('3'))).toMatchObject({ status: 200, body: { data: { a: '3' } } })
    expect((await api.call('GET', `${maps}/map`)).body.metadata.resourceVersion).not.toBe('0')
  })

  it('another one than there is: a conflict, in a patch of any type', async () => {
    const answers = [
      patch(`${maps}/map`, 'merge', { metadata: { resourceVersion: '1' } }),
      patch(`${maps}/map`, 'strategic', { metadata: { resourceVersion: '1' } }),
      patch(`${maps}/map`, 'json', [{ op: 'replace', path: '/metadata/resourceVersion', value: '1' }]),
    ]
    expect((await Promise.all(answers)).map(({ status }) => status)).toEqual([409, 409, 409])
  })
})

describe('a DaemonSet', () => {
  it('counts its templates in an annotation that nobody else writes', async () => {
    const template = (image: string) => ({
      metadata: { labels: { a: 'b' } },
      spec: { containers: [{ name: 'c', image }] },
    })
    const body = (image: string, more: object = {}) => ({
      metadata: { name: 'ds', ...more },
      spec: { selector: { matchLabels: { a: 'b' } }, template: template(image) },
    })
    const counted = ({ body }: { body: { metadata: { annotations: Record<string, string> } } }) =>
      body.metadata.annotations['deprecated.daemonset.template.generation']
    const created = await api.call('POST', daemonSets, { body: body('one') })
    expect(counted(created)).toBe('1')
    expect(created.body.metadata.managedFields[0].fieldsV1['f:metadata']['f:annotations']).toHaveProperty([
      'f:deprecated.daemonset.template.generation',
    ])
    const forged = { annotations: { 'deprecated.daemonset.template.generation': '9' } }
    expect(counted(await api.call('PUT', `${daemonSets}/ds`, { body: body('one', forged) }))).toBe('1')
    expect(counted(await api.call('PUT', `${daemonSets}/ds`, { body: body('two') }))).toBe('2')
    expect(counted(await patch(`${daemonSets}/ds`, 'merge', { spec: { minReadySeconds: 5 } }))).toBe('2')
    expect(counted(await patch(`${daemonSets}/ds/status`, 'merge', { metadata: { annotations: null } }))).toBe('2')
  })
})

describe('what nobody has written', () => {
  it.each([
    ['/apis/coordination.k8s.io/v1/namespaces/default/leases', {}],
    ['/apis/policy/v1/namespaces/default/poddisruptionbudgets', {}],
    ['/api/v1/namespaces/default/resourcequotas', {}],
  ])('%s: has a specification, if an empty one', async (url, spec) => {
    expect((await api.call('POST', url, { body: { metadata: { name: 'bare' } } })).body.spec).toEqual(spec)
  })
})

describe('discovery', () => {
  it('storageVersionHash: that of the stored version, as kube-apiserver computes it', async () => {
    const hashOf = async (path: string, name: string) =>
      (await api.call('GET', path)).body.resources.find((one: { name: string }) => one.name === name).storageVersionHash
    expect(await hashOf('/api/v1', 'pods')).toBe('xPOwRZ+Yhw8=')
    expect(await hashOf('/api/v1', 'events')).toBe('r2yiGXH7wu8=')
    expect(await hashOf('/apis/events.k8s.io/v1', 'events')).toBe('r2yiGXH7wu8=')
    expect(await hashOf('/api/v1', 'pods/status')).toBeUndefined()
    expect(await hashOf('/apis/authorization.k8s.io/v1', 'subjectaccessreviews')).toBeUndefined()
  })
})
