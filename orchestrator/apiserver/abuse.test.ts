import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { systemClock } from '../../runtime/base/clock.ts'
import { silentLog } from '../../runtime/base/log.ts'
import { builtInKinds } from '../api/kinds/table.ts'
import { openEmbeddedStore } from '../store/embedded/embedded-store.ts'
import type { Store } from '../store/store.ts'
import { createSystemNamespaces } from './bootstrap.ts'
import { directClient } from './direct-client.ts'
import { handle } from './handler.ts'
import { createRegistry } from './server.ts'
import type { Serving } from './serving.ts'

const admin = { name: 'admin', groups: ['system:masters'] }

describe('abuse', () => {
  const folder = mkdtempSync(join(tmpdir(), 'coracle-abuse-'))
  let store: Store
  let serving: Serving

  beforeAll(async () => {
    store = await openEmbeddedStore(join(folder, 'store.db'))
    const registry = await createRegistry(store, { clock: systemClock, serviceCidr: '10.96.0.0/16' })
    await createSystemNamespaces(directClient(registry, { user: admin, manager: 'admin' }))
    const access = { caPem: '', client: { certificatePem: '', privateKeyPem: '' } }
    serving = { registry, authorizer: registry.authorizer, checks: {}, log: silentLog, access, pages: new Map() }
  })
  afterAll(async () => {
    await store.close()
    rmSync(folder, { recursive: true })
  })

  async function statusOf(request: {
    method: string
    path: string
    query: string
    type: string
    accept: string
    body: string
  }): Promise<number> {
    const { method, path, query, type, accept, body } = request
    const headers = { 'content-type': type, accept }
    const answer = await handle(serving, {
      method,
      path,
      query: new URLSearchParams(query),
      headers,
      body: Buffer.from(body),
      user: admin,
      warnings: [],
    })
    return 'status' in answer ? answer.status : 200
  }

  const resource = fc.constantFrom(...builtInKinds.map((kind) => kind))
  const name = fc.constantFrom('a', 'b', 'default', 'constructor', '__proto__', 'Bad_', '..', '%00', 'a/b', '')
  const key = fc.constantFrom(
    ...[
      'metadata',
      'name',
      'namespace',
      'labels',
      'finalizers',
      'spec',
      'containers',
      'image',
      'resources',
      'limits',
      'cpu',
      'ports',
      'containerPort',
    ],
    ...[
      'data',
      'stringData',
      'type',
      'subsets',
      'endpoints',
      'addresses',
      'involvedObject',
      'clusterIP',
      'nodePort',
      'priorityClassName',
      'target',
      'status',
    ],
    ...[
      'volumes',
      'env',
      'valueFrom',
      'tolerations',
      'selector',
      'constructor',
      '__proto__',
      'toString',
      '$patch',
      '$setElementOrder/containers',
      '$retainKeys',
    ],
  )
  const leaf = fc.oneof(
    fc.constantFrom<unknown>(null, true, '', 'a', 'constructor', 'delete', 'None', '1Gi', -1, 0, 80, 1.5, 1e300),
    fc.string(),
  )
  const { value } = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 5 },
      leaf,
      fc.array(tie('value'), { maxLength: 3 }),
      fc.dictionary(key, tie('value'), { maxKeys: 4 }),
    ),
  }))
  const body = fc.oneof(
    {
      weight: 4,
      arbitrary: fc
        .record({ metadata: fc.record({ name }), spec: value, data: value })
        .map((each) => JSON.stringify(each)),
    },
    { weight: 3, arbitrary: value.map((each) => JSON.stringify(each)) },
    { weight: 1, arbitrary: fc.string() },
  )
  const subresource = fc.constantFrom('', '', '', '/status', '/binding', '/finalize', '/log', '/exec', '/nonsense')
  const path = fc
    .tuple(resource, name, name, subresource, fc.boolean())
    .map(([kind, namespace, object, sub, hasName]) => {
      const root = kind.group === '' ? '/api/v1' : `/apis/${kind.group}/v1`
      const scope = kind.namespaced ? `/namespaces/${namespace || 'default'}` : ''
      return `${root}${scope}/${kind.resource}${hasName ? `/${object}${sub}` : ''}`
    })
  const type = fc.constantFrom(
    ...[
      'application/json',
      'application/yaml',
      'application/vnd.kubernetes.protobuf',
      'application/merge-patch+json',
      'constructor',
    ],
    ...['application/json-patch+json', 'application/strategic-merge-patch+json', 'application/apply-patch+yaml'],
  )
  const query = fc.constantFrom(
    '',
    '',
    'dryRun=All',
    'fieldValidation=Strict',
    'labelSelector=a',
    'fieldSelector=constructor=1',
    'limit=1',
    'continue=e30',
    'resourceVersion=1',
    'timeoutSeconds=x',
    'gracePeriodSeconds=-1',
  )
  const accept = fc.constantFrom(
    '',
    'application/json',
    'application/yaml',
    'application/json;as=Table;v=v1;g=meta.k8s.io',
    'text/html',
  )

  it('no request makes the server fail', { timeout: 60_000 }, async () => {
    const method = fc.constantFrom('GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS')
    await fc.assert(
      fc.asyncProperty(fc.record({ method, path, query, type, accept, body }), async (request) => {
        expect(await statusOf(request)).toBeLessThan(500)
      }),
      { numRuns: 3000 },
    )
    expect(await store.check()).toEqual([])
  })

  it('what is nested without end is refused', async () => {
    const deep = (depth: number) => `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`
    for (const [contentType, method] of [
      ['application/json', 'POST'],
      ['application/merge-patch+json', 'PATCH'],
      ['application/yaml', 'POST'],
    ] as const) {
      const request = {
        method,
        path: `/api/v1/namespaces/default/configmaps${method === 'PATCH' ? '/kube' : ''}`,
        query: '',
        type: contentType,
        accept: '',
      }
      await statusOf({
        ...request,
        method: 'POST',
        path: '/api/v1/namespaces/default/configmaps',
        type: 'application/json',
        body: '{"metadata":{"name":"kube"}}',
      })
      const status = await statusOf({
        ...request,
        body: `{"metadata":{"name":"kube"},"data":${deep(contentType === 'application/yaml' ? 3000 : 200_000)}}`,
      })
      expect(status).toBeGreaterThanOrEqual(400)
      expect(status).toBeLessThan(500)
    }
  })

  it('a number of a million digits is no amount', async () => {
    const pod = {
      metadata: { name: 'digits' },
      spec: { containers: [{ name: 'a', image: 'x:1', resources: { limits: { cpu: '9'.repeat(1_000_000) } } }] },
    }
    const before = performance.now()
    expect(
      await statusOf({
        method: 'POST',
        path: '/api/v1/namespaces/default/pods',
        query: '',
        type: 'application/json',
        accept: '',
        body: JSON.stringify(pod),
      }),
    ).toBe(400)
    expect(performance.now() - before).toBeLessThan(1000)
  })
})
