/** Every verb in protobuf, over HTTP, as typed Go clients speak it: bodies and answers, errors and watches. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { anApi } from '../../test/fixtures/api.ts'
import { builtInKinds } from '../api/kinds/table.ts'
import { decodeProtobuf } from '../api/protobuf/decode.ts'
import { encodeProtobuf } from '../api/protobuf/encode.ts'
import { fieldsOf, textOf } from '../api/protobuf/wire.ts'
import { decodeObject } from '../api/schema/decode.ts'

const protobuf = 'application/vnd.kubernetes.protobuf'
const statusType = 'io.k8s.apimachinery.pkg.apis.meta.v1.Status'
const base = '/api/v1/namespaces/default'
const maps = `${base}/configmaps`
const deployments = '/apis/apps/v1/namespaces/default/deployments'

interface Typed {
  apiVersion?: string
  kind: string
  // biome-ignore lint/suspicious/noExplicitAny: an object of any kind, looked into by the test
  [field: string]: any
}

/** Definitions of what is no kind of its own. */
const others: Readonly<Record<string, string>> = {
  'v1/Status': statusType,
  'v1/DeleteOptions': 'io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions',
  'v1/Binding': 'io.k8s.api.core.v1.Binding',
  'policy/v1/Eviction': 'io.k8s.api.policy.v1.Eviction',
  'autoscaling/v1/Scale': 'io.k8s.api.autoscaling.v1.Scale',
  'authentication.k8s.io/v1/TokenRequest': 'io.k8s.api.authentication.v1.TokenRequest',
}

function definitionOf({ apiVersion = '', kind }: Typed): string {
  const item = kind.replace(/List$/, '')
  const found = builtInKinds.find(
    (each) => each.kind === item && [each.group, each.version].filter(Boolean).join('/') === apiVersion,
  )
  const definition = found ? found.definition + (item === kind ? '' : 'List') : others[`${apiVersion}/${kind}`]
  if (!definition) throw new Error(`${apiVersion} ${kind}: unknown to the test`)
  return definition
}

const partOf = (message: Uint8Array, number: number) =>
  fieldsOf(message).find((field) => field.number === number)?.bytes ?? new Uint8Array()

/** What the envelope says that it is, read as that. */
function read(body: Uint8Array): Typed {
  const type = partOf(body.subarray(4), 1)
  const [apiVersion, kind] = [textOf(partOf(type, 1)), textOf(partOf(type, 2))]
  return decodeProtobuf(body, definitionOf({ apiVersion, kind })) as unknown as Typed
}

let api: Awaited<ReturnType<typeof anApi>>

type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

async function call(method: Method, url: string, body?: Typed | Uint8Array, more: Record<string, string> = {}) {
  const bytes = body instanceof Uint8Array ? body : body && encodeProtobuf(definitionOf(body), body)
  const headers = { accept: `${protobuf},application/json`, 'content-type': protobuf, ...more }
  const { status, headers: told, raw } = await api.call(method, url, { headers, ...(bytes ? { body: bytes } : {}) })
  return { status, type: told['content-type'], object: read(raw), raw }
}

async function patch(url: string, type: string, body: unknown) {
  const text = Buffer.from(JSON.stringify(body))
  return call('PATCH', url, text, { 'content-type': `application/${type}` })
}

const aMap = (name: string, data: Record<string, string> = { a: '1' }): Typed => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name },
  data,
})
const aPod = (name: string): Typed => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, labels: { app: name } },
  spec: { containers: [{ name: 'c', image: 'i', resources: { requests: { cpu: '100m' } } }] },
})
const aDeployment: Typed = {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'd' },
  spec: {
    replicas: 2,
    selector: { matchLabels: { app: 'd' } },
    template: { metadata: { labels: { app: 'd' } }, spec: { containers: [{ name: 'c', image: 'i' }] } },
  },
}

beforeAll(async () => {
  api = await anApi()
  await api.call('POST', '/api/v1/nodes', { body: { metadata: { name: 'n1' } } })
})
afterAll(() => api.close())

describe('verbs on objects', () => {
  it('create, get, update, delete: each answers in protobuf, with what JSON tells, too', async () => {
    for (const object of [aMap('m'), aPod('p'), aDeployment]) {
      const { group, version, resource } =
        builtInKinds.find(({ definition }) => definition === definitionOf(object)) ?? {}
      const collection = group ? `/apis/${group}/${version}/namespaces/default/${resource}` : `${base}/${resource}`
      const name = object.metadata.name
      const made = await call('POST', collection, object)
      expect([made.status, made.type, made.object.kind, made.object.metadata.name]).toEqual([
        201,
        protobuf,
        object.kind,
        name,
      ])
      const got = await call('GET', `${collection}/${name}`)
      const { body } = await api.call('GET', `${collection}/${name}`)
      const definition = definitionOf(object)
      expect(decodeObject(definition, got.object).value).toEqual(decodeObject(definition, withoutEmpty(body)).value)
      const labels = { ...body.metadata.labels, changed: 'yes' }
      const updated = await call('PUT', `${collection}/${name}`, {
        ...got.object,
        metadata: { ...got.object.metadata, labels },
      })
      expect([updated.status, updated.type, updated.object.metadata.labels.changed]).toEqual([200, protobuf, 'yes'])
      const stale = await call('PUT', `${collection}/${name}`, got.object)
      expect([stale.status, stale.object.reason]).toEqual([409, 'Conflict'])
    }
  })

  it('list: the items, and the metadata of the page', async () => {
    await call('POST', maps, aMap('m2'))
    const { status, type, object } = await call('GET', `${maps}?limit=1`)
    expect([status, type, object.kind, object.items[0].metadata.name]).toEqual([200, protobuf, 'ConfigMapList', 'm'])
    expect(object.metadata).toMatchObject({ continue: expect.any(String), remainingItemCount: 1 })
    const rest = await call('GET', `${maps}?continue=${object.metadata.continue}`)
    expect(rest.object.items.map(({ metadata }: Typed) => metadata.name)).toEqual(['m2'])
  })

  it.each([
    ['merge-patch+json', { data: { patched: 'merge' } }, 'merge'],
    ['strategic-merge-patch+json', { data: { patched: 'strategic' } }, 'strategic'],
    ['json-patch+json', [{ op: 'add', path: '/data/patched', value: 'json' }], 'json'],
  ])('patch: %s stays JSON, the answer does not', async (type, body, expected) => {
    const { status, type: told, object } = await patch(`${maps}/m`, type, body)
    expect([status, told, object.data.patched]).toEqual([200, protobuf, expected])
  })

  it('apply: YAML in, protobuf out; a patch in protobuf is refused', async () => {
    const { status, type, object } = await patch(
      `${maps}/applied?fieldManager=test`,
      'apply-patch+yaml',
      aMap('applied'),
    )
    expect([status, type, object.metadata.name]).toEqual([201, protobuf, 'applied'])
    const refused = await call('PATCH', `${maps}/m`, aMap('m'))
    expect([refused.status, refused.type, refused.object.reason]).toEqual([415, protobuf, 'UnsupportedMediaType'])
  })

  it('dry run, generateName and unknown field numbers', async () => {
    const dry = await call('POST', `${maps}?dryRun=All`, aMap('dry'))
    expect([dry.status, (await call('GET', `${maps}/dry`)).status]).toEqual([201, 404])
    const generated = await call('POST', maps, { ...aMap(''), metadata: { generateName: 'made-' } })
    expect(generated.object.metadata.name).toMatch(/^made-.{5}$/)
  })

  it('delete: options in protobuf count; a Status, or the object while it waits', async () => {
    const options = (fields: object): Typed => ({ apiVersion: 'v1', kind: 'DeleteOptions', ...fields })
    const wrong = await call('DELETE', `${maps}/m2`, options({ preconditions: { uid: 'another' } }))
    expect([wrong.status, wrong.type, wrong.object.reason]).toEqual([409, protobuf, 'Conflict'])
    const dry = await call('DELETE', `${maps}/m2`, options({ dryRun: ['All'] }))
    expect([dry.status, (await call('GET', `${maps}/m2`)).status]).toEqual([200, 200])
    const { uid } = (await call('GET', `${maps}/m2`)).object.metadata
    const gone = await call(
      'DELETE',
      `${maps}/m2`,
      options({ preconditions: { uid }, propagationPolicy: 'Background' }),
    )
    expect([gone.status, gone.type]).toEqual([200, protobuf])
    expect(gone.object).toMatchObject({
      kind: 'Status',
      status: 'Success',
      details: { name: 'm2', kind: 'configmaps', uid },
    })
    await call('POST', `${base}/pods`, aPod('slow'))
    await call('POST', `${base}/pods/slow/binding`, aBinding('slow'))
    const waiting = await call('DELETE', `${base}/pods/slow`, options({ gracePeriodSeconds: 7 }))
    expect([waiting.status, waiting.type, waiting.object.metadata.deletionGracePeriodSeconds]).toEqual([
      200,
      protobuf,
      7,
    ])
    const now = await call('DELETE', `${base}/pods/slow`, options({ gracePeriodSeconds: 0 }))
    expect(now.object).toMatchObject({ kind: 'Pod', metadata: { name: 'slow' } })
  })

  it('deletecollection: options in protobuf, the list of what went', async () => {
    for (const name of ['x1', 'x2'])
      await call('POST', maps, { ...aMap(name), metadata: { name, labels: { of: 'x' } } })
    const { status, type, object } = await call('DELETE', `${maps}?labelSelector=of%3Dx`, {
      apiVersion: 'v1',
      kind: 'DeleteOptions',
      propagationPolicy: 'Background',
    })
    expect([status, type, object.kind]).toEqual([200, protobuf, 'ConfigMapList'])
    expect(object.items.map(({ metadata }: Typed) => metadata.name)).toEqual(['x1', 'x2'])
  })
})

const aBinding = (name: string): Typed => ({
  apiVersion: 'v1',
  kind: 'Binding',
  metadata: { name },
  target: { kind: 'Node', name: 'n1' },
})

describe('subresources', () => {
  it('status: put and patch', async () => {
    const { object } = await call('GET', `${deployments}/d`)
    const put = await call('PUT', `${deployments}/d/status`, { ...object, status: { replicas: 2, readyReplicas: 1 } })
    expect([put.status, put.type, put.object.status]).toEqual([200, protobuf, { replicas: 2, readyReplicas: 1 }])
    const patched = await patch(`${deployments}/d/status`, 'merge-patch+json', { status: { readyReplicas: 2 } })
    expect(patched.object.status.readyReplicas).toBe(2)
  })

  it('scale: get, put and patch', async () => {
    const got = await call('GET', `${deployments}/d/scale`)
    expect(got.object).toMatchObject({
      kind: 'Scale',
      spec: { replicas: 2 },
      status: { replicas: 2, selector: 'app=d' },
    })
    const put = await call('PUT', `${deployments}/d/scale`, { ...got.object, spec: { replicas: 5 } })
    expect([put.status, put.type, put.object.spec]).toEqual([200, protobuf, { replicas: 5 }])
    const patched = await patch(`${deployments}/d/scale`, 'merge-patch+json', { spec: { replicas: 0 } })
    expect([patched.type, patched.object.kind, patched.object.spec.replicas ?? 0]).toEqual([protobuf, 'Scale', 0])
  })

  it('binding and eviction: a Status', async () => {
    const bound = await call('POST', `${base}/pods/p/binding`, aBinding('p'))
    expect([bound.status, bound.type, bound.object.status]).toEqual([201, protobuf, 'Success'])
    const eviction = {
      apiVersion: 'policy/v1',
      kind: 'Eviction',
      metadata: { name: 'p' },
      deleteOptions: { gracePeriodSeconds: 3 },
    }
    const evicted = await call('POST', `${base}/pods/p/eviction`, eviction)
    expect([evicted.status, evicted.type, evicted.object.status]).toEqual([201, protobuf, 'Success'])
    const { object } = await call('GET', `${base}/pods/p`)
    expect(object.metadata.deletionGracePeriodSeconds).toBe(3)
  })

  it('ephemeralcontainers and resize: the pod', async () => {
    await call('POST', `${base}/pods`, aPod('debugged'))
    const { object } = await call('GET', `${base}/pods/debugged`)
    const spec = { ...object.spec, ephemeralContainers: [{ name: 'debug', image: 'i', targetContainerName: 'c' }] }
    const put = await call('PUT', `${base}/pods/debugged/ephemeralcontainers`, { ...object, spec })
    expect([put.status, put.type, put.object.spec.ephemeralContainers[0].name]).toEqual([200, protobuf, 'debug'])
    const containers = [{ name: 'c', resources: { requests: { cpu: '200m' } } }]
    const resized = await patch(`${base}/pods/debugged/resize`, 'strategic-merge-patch+json', { spec: { containers } })
    expect([resized.status, resized.type]).toEqual([200, protobuf])
    expect(resized.object.spec.containers[0].resources.requests.cpu).toBe('200m')
  })

  it('token: asked for and given', async () => {
    const { status, type, object } = await call('POST', `${base}/serviceaccounts/default/token`, {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec: { audiences: ['x'], expirationSeconds: 900 },
    })
    expect([status, type, object.kind, object.spec.audiences]).toEqual([201, protobuf, 'TokenRequest', ['x']])
    expect(object.status).toEqual({ token: expect.stringMatching(/^ey/), expirationTimestamp: expect.any(String) })
  })

  it('finalize: the namespace', async () => {
    await call('POST', '/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'ending' } })
    const { object } = await call('GET', '/api/v1/namespaces/ending')
    const {
      status,
      type,
      object: done,
    } = await call('PUT', '/api/v1/namespaces/ending/finalize', { ...object, spec: {} })
    expect([status, type, done.kind, done.spec?.finalizers]).toEqual([200, protobuf, 'Namespace', undefined])
  })
})

const reviews: readonly (readonly [path: string, body: Typed, status: object])[] = [
  [
    '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews',
    {
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SelfSubjectAccessReview',
      spec: { resourceAttributes: { verb: 'list', resource: 'pods' } },
    },
    { allowed: true },
  ],
  [
    '/apis/authorization.k8s.io/v1/subjectaccessreviews',
    {
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SubjectAccessReview',
      spec: { user: 'x', extra: { a: ['b', 'c'] }, nonResourceAttributes: { verb: 'get', path: '/metrics' } },
    },
    {},
  ],
  [
    '/apis/authorization.k8s.io/v1/namespaces/default/localsubjectaccessreviews',
    {
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'LocalSubjectAccessReview',
      metadata: { namespace: 'default' },
      spec: { groups: ['system:masters'], resourceAttributes: { namespace: 'default', verb: 'get', resource: 'pods' } },
    },
    { allowed: true },
  ],
  [
    '/apis/authorization.k8s.io/v1/selfsubjectrulesreviews',
    { apiVersion: 'authorization.k8s.io/v1', kind: 'SelfSubjectRulesReview', spec: { namespace: 'default' } },
    { resourceRules: [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }] },
  ],
  [
    '/apis/authentication.k8s.io/v1/selfsubjectreviews',
    { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' },
    { userInfo: { username: 'admin', groups: ['system:masters'] } },
  ],
  [
    '/apis/authentication.k8s.io/v1/tokenreviews',
    { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', spec: { token: 'nonsense' } },
    {},
  ],
]

describe('reviews', () => {
  it.each(reviews)('%s', async (path, body, expected) => {
    const { status, type, object } = await call('POST', path, body)
    expect([status, type, object.kind]).toEqual([201, protobuf, body.kind])
    expect(object.status ?? {}).toMatchObject(expected)
  })
})

describe('errors', () => {
  it.each<[string, Method, string, Typed | Uint8Array | undefined, number, string]>([
    ['an object that is not there', 'GET', `${maps}/lost`, undefined, 404, 'NotFound'],
    ['a kind that there is not', 'GET', `${base}/nonsense`, undefined, 404, 'NotFound'],
    ['a verb that there is not', 'POST', `${maps}/m`, aMap('m'), 405, 'MethodNotAllowed'],
    ['a name that is taken', 'POST', maps, aMap('m'), 409, 'AlreadyExists'],
    ['what is not valid', 'POST', maps, aMap('Not a name'), 422, 'Invalid'],
    ['bytes that are no protobuf', 'POST', maps, Buffer.from('k8s\0\xff', 'latin1'), 400, 'BadRequest'],
    ['another kind', 'POST', maps, aPod('x'), 400, 'BadRequest'],
    [
      'a page that is gone',
      'GET',
      `${maps}?resourceVersion=999999999&resourceVersionMatch=Exact`,
      undefined,
      504,
      'Timeout',
    ],
  ])('%s', async (_what, method, url, body, code, reason) => {
    const { status, type, object } = await call(method, url, body)
    expect([status, type]).toEqual([code, protobuf])
    expect(object).toMatchObject({
      apiVersion: 'v1',
      kind: 'Status',
      status: 'Failure',
      code,
      reason,
      message: expect.any(String),
    })
  })

  it('causes are in it; who may not is told in protobuf; YAML is for who reads YAML', async () => {
    const { object } = await call('POST', maps, aMap('Not a name'))
    expect(object.details).toMatchObject({ kind: 'ConfigMap', causes: [{ field: 'metadata.name' }] })
    const eve = { name: 'eve', groups: [] }
    const refused = await api.call('GET', maps, { as: eve, headers: { accept: `${protobuf},application/json` } })
    expect([refused.status, read(refused.raw).reason]).toEqual([403, 'Forbidden'])
    // What is not let in, as with 429; and 4 MB are not read.
    const stopped = await call('GET', `${maps}?timeout=soon`)
    expect([stopped.status, stopped.type, stopped.object.reason]).toEqual([400, protobuf, 'BadRequest'])
    const large = await call('POST', maps, aMap('large', { a: 'x'.repeat(4_000_000) }))
    expect([large.status, large.type, large.object.reason]).toEqual([413, protobuf, 'RequestEntityTooLarge'])
    const yaml = await api.call('GET', `${maps}/lost`, { headers: { accept: 'application/yaml' } })
    expect([yaml.headers['content-type'], yaml.body]).toEqual([
      'application/yaml',
      expect.stringContaining('reason: NotFound'),
    ])
    const table = `application/json;as=Table;v=v1;g=meta.k8s.io`
    expect((await api.call('GET', `${maps}/lost`, { headers: { accept: table } })).body.reason).toBe('NotFound')
    expect((await api.call('GET', `${maps}/lost`, { headers: { accept: 'text/html' } })).body.kind).toBe('Status')
  })
})

describe('watch', () => {
  /** `ADDED m`, by the frames of a watch: each has its length before it. */
  async function frames(query: string) {
    const { status, headers, raw } = await api.call('GET', `${maps}?watch=1&timeoutSeconds=1&${query}`, {
      headers: { accept: `${protobuf},application/json` },
    })
    expect([status, headers['content-type']]).toEqual([200, `${protobuf};stream=watch`])
    const events: { type: string; object: Typed }[] = []
    for (let at = 0; at < raw.length; ) {
      const end = at + 4 + raw.readUInt32BE(at)
      const event = raw.subarray(at + 4, end)
      events.push({ type: textOf(partOf(event, 1)), object: read(partOf(partOf(event, 2), 1)) })
      at = end
    }
    return events
  }

  it('ADDED, MODIFIED, DELETED and bookmarks', async () => {
    const { object } = await call('GET', `${maps}?limit=1`)
    const watching = frames(`resourceVersion=${object.metadata.resourceVersion}&allowWatchBookmarks=true`)
    await new Promise((resolve) => setTimeout(resolve, 200))
    await call('POST', maps, aMap('watched'))
    await patch(`${maps}/watched`, 'merge-patch+json', { data: { a: '2' } })
    await call('DELETE', `${maps}/watched`)
    const seen = await watching
    expect(seen.map(({ type, object: { kind, metadata } }) => `${type} ${kind} ${metadata.name ?? ''}`)).toEqual([
      'ADDED ConfigMap watched',
      'MODIFIED ConfigMap watched',
      'DELETED ConfigMap watched',
      'BOOKMARK ConfigMap ',
    ])
    expect(seen[1]?.object.data).toEqual({ a: '2' })
    expect(Number(seen[3]?.object.metadata.resourceVersion)).toBeGreaterThan(Number(object.metadata.resourceVersion))
  })

  it('the end of the initial events', async () => {
    const seen = await frames('sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true')
    const mark = seen.find(({ type }) => type === 'BOOKMARK')
    expect(mark?.object.metadata.annotations).toEqual({ 'k8s.io/initial-events-end': 'true' })
  })

  it('an error is a Status in a frame of its own', async () => {
    const query = 'sendInitialEvents=true&resourceVersionMatch=NotOlderThan&resourceVersion=999999999'
    expect(await frames(query)).toMatchObject([
      {
        type: 'ERROR',
        object: {
          kind: 'Status',
          code: 504,
          reason: 'Timeout',
          details: { retryAfterSeconds: 1, causes: [{ reason: 'ResourceVersionTooLarge' }] },
        },
      },
    ])
  })
})

/** Protobuf does not tell what is empty from what is not there. */
function withoutEmpty(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutEmpty)
  if (typeof value !== 'object' || value === null) return value
  const kept = Object.entries(value).filter(([, inner]) => inner !== null)
  return Object.fromEntries(kept.map(([key, inner]) => [key, withoutEmpty(inner)]))
}
