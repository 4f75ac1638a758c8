/** Our own parts are users like any other: what they may is what Kubernetes lets their namesakes, and it is written down. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { silentLog } from '../../runtime/base/log.ts'
import { anApi } from '../../test/fixtures/api.ts'
import { persistentVolumeClaimKind, persistentVolumeKind } from '../api/kinds/persistent-volume.ts'
import {
  apiServerPart,
  controllerManagerPart,
  controllerPart,
  nodePart,
  type Part,
  schedulerPart,
} from '../api/parts.ts'
import { resources } from '../api/resources.ts'
import type { Pod, Secret } from '../api/types.ts'
import type { ApiClient } from '../client/api-client.ts'
import { controllers } from '../controllers/index.ts'
import { Scheduler } from '../scheduler/index.ts'

let api: Awaited<ReturnType<typeof anApi>>
beforeAll(async () => {
  api = await anApi()
  await api.client.create(resources.namespaces, { metadata: { name: 'n' } })
  for (const name of ['n1', 'n2']) await api.client.create(resources.nodes, { metadata: { name } })
  await api.client.create(resources.secrets, { metadata: { name: 's', namespace: 'n' } })
  await api.client.create(resources.configMaps, { metadata: { name: 'm', namespace: 'n' } })
  for (const [name, nodeName] of [
    ['here', 'n1'],
    ['there', 'n2'],
  ] as const)
    await api.client.create(resources.pods, aPod(name, nodeName))
})
afterAll(() => api.close())

const aPod = (name: string, nodeName?: string): Pod => ({
  metadata: { name, namespace: 'n' },
  spec: { ...(nodeName ? { nodeName } : {}), containers: [{ name: 'c', image: 'i' }] },
})
const named = (name: string) => ({ metadata: { name, namespace: 'n' } })
const at = (name: string) => ({ namespace: 'n', name })
const lines = () => api.auditLines.map((line) => JSON.parse(line))

const role = (name: string) => ({ metadata: { name }, rules: [] })
const statusOf = (status: object) => ({ type: 'merge' as const, body: { status }, subresource: 'status' as const })
const claim = {
  ...named('v'),
  spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
}
const volume = {
  metadata: { name: 'v' },
  spec: { accessModes: ['ReadWriteOnce'], capacity: { storage: '1Gi' }, hostPath: { path: '/x' } },
}

type Act = (client: ApiClient) => Promise<unknown>

/** What it may do, and what it may not: each a thing that it could do if it still were one of system:masters. */
const rights: readonly (readonly [Part, Act, Act])[] = [
  [schedulerPart, (client) => client.list(resources.nodes), (client) => client.list(resources.secrets)],
  [
    schedulerPart,
    (client) => client.patch(resources.pods, at('here'), statusOf({ phase: 'Running' })),
    (client) => client.patch(resources.nodes, { name: 'n1' }, statusOf({})),
  ],
  [
    controllerManagerPart,
    (client) => client.create(resources.secrets, named('made')),
    (client) => client.create(resources.configMaps, named('made')),
  ],
  [
    controllerPart('namespace-controller'),
    (client) => client.delete(resources.configMaps, at('m')),
    (client) => client.create(resources.namespaces, { metadata: { name: 'x' } }),
  ],
  [
    controllerPart('service-account-controller'),
    (client) => client.create(resources.serviceAccounts, named('made')),
    (client) => client.delete(resources.serviceAccounts, at('made')),
  ],
  [
    controllerPart('root-ca-cert-publisher'),
    (client) => client.create(resources.configMaps, named('published')),
    (client) => client.get(resources.configMaps, at('published')),
  ],
  [
    controllerPart('resourcequota-controller'),
    (client) => client.list(resources.secrets),
    (client) => client.get(resources.secrets, at('s')),
  ],
  [
    controllerPart('pvc-protection-controller'),
    (client) => client.get(persistentVolumeClaimKind, at('v')),
    (client) => client.delete(persistentVolumeClaimKind, at('v')),
  ],
  [
    controllerPart('pv-protection-controller'),
    (client) => client.get(persistentVolumeKind, { name: 'v' }),
    (client) => client.delete(persistentVolumeKind, { name: 'v' }),
  ],
  [
    controllerPart('clusterrole-aggregation-controller'),
    (client) => client.patch(resources.clusterRoles, { name: 'r' }, { type: 'merge', body: { rules: [] } }),
    (client) => client.create(resources.clusterRoles, role('another')),
  ],
  [
    nodePart('n1'),
    (client) => client.patch(resources.pods, at('here'), statusOf({ phase: 'Running' })),
    (client) => client.patch(resources.pods, at('there'), statusOf({ phase: 'Running' })),
  ],
  [
    nodePart('n1'),
    (client) => client.list(resources.pods, { fieldSelector: 'spec.nodeName=n1' }),
    (client) => client.list(resources.pods, { fieldSelector: 'spec.nodeName=n2' }),
  ],
  [
    nodePart('n1'),
    (client) => client.get(resources.serviceAccounts, at('default')),
    (client) => client.get(resources.secrets, at('s')),
  ],
]

describe('parts by direct call', () => {
  beforeAll(async () => {
    await api.client.create(persistentVolumeClaimKind, claim)
    await api.client.create(persistentVolumeKind, volume)
    await api.client.create(resources.clusterRoles, role('r'))
  })

  it.each(rights)('$user.name does what it may, and is refused the rest', async (part, may, mayNot) => {
    const client = api.clientOf(part)
    await may(client)
    await expect(mayNot(client)).rejects.toMatchObject({ code: 'FORBIDDEN', facts: { status: 403 } })
  })

  it('a watch is asked for its rights, too', async () => {
    const { signal } = new AbortController()
    const events = api.clientOf(schedulerPart).watch(resources.secrets, { resourceVersion: '0', signal })
    await expect(events[Symbol.asyncIterator]().next()).rejects.toMatchObject({
      code: 'FORBIDDEN',
      message: expect.stringContaining('User "system:kube-scheduler" cannot watch resource "secrets"'),
    })
  })

  it('the audit log tells who did it, by which role, and what was refused', async () => {
    const before = api.auditLines.length
    const node = api.clientOf(nodePart('n1'))
    await node.patch(resources.pods, at('here'), statusOf({ reason: 'told' }))
    await node.delete(resources.pods, at('there')).catch(() => {})
    await api.clientOf(schedulerPart).get(resources.nodes, { name: 'n2' })
    const told = lines().slice(before)
    expect(told).toMatchObject([
      {
        verb: 'patch',
        requestURI: '/api/v1/namespaces/n/pods/here/status',
        user: { username: 'system:node:n1', groups: ['system:nodes', 'system:authenticated'] },
        objectRef: { resource: 'pods', namespace: 'n', name: 'here', apiVersion: 'v1', subresource: 'status' },
        userAgent: 'kubelet',
        responseStatus: { code: 200 },
        annotations: { 'authorization.k8s.io/decision': 'allow' },
      },
      // The authorizer lets nodes delete pods; which ones is for admission to say.
      { verb: 'delete', user: { username: 'system:node:n1' }, responseStatus: { code: 403, reason: 'Forbidden' } },
      {
        requestURI: '/api/v1/nodes/n2',
        userAgent: 'kube-scheduler',
        annotations: { 'authorization.k8s.io/reason': expect.stringContaining('"system:kube-scheduler"') },
      },
    ])
  })

  it('who wrote a field is named after the program', async () => {
    await api.clientOf(nodePart('n1')).patch(resources.pods, at('here'), statusOf({ message: 'm' }))
    const { metadata } = await api.client.get(resources.pods, at('here'))
    const managers = (metadata?.managedFields ?? []).map(({ manager, subresource }) => [manager, subresource])
    expect(managers).toContainEqual(['kubelet', 'status'])
    expect(apiServerPart.manager).toBe('kube-apiserver')
  })
})

describe('the loops with their own rights', () => {
  it('do all that they have to, and nothing of it is refused', async () => {
    const before = api.auditLines.length
    const { clock } = api
    const issueLegacyToken = async () => 'a.b.c'
    const loops = controllers({
      client: api.clientOf(controllerManagerPart),
      clientOf: (account) => api.clientOf(controllerPart(account)),
      clock,
      log: silentLog,
      tokens: { caPem: 'ca', issueLegacyToken },
    })
    const scheduler = new Scheduler({ client: api.clientOf(schedulerPart), clock, log: silentLog, random: () => 0.5 })
    await Promise.all([loops.start(), scheduler.start()])
    await api.client.patch(resources.nodes, { name: 'n1' }, statusOf({ allocatable: { cpu: '4', pods: '9' } }))
    const annotations = { 'kubernetes.io/service-account.name': 'default' }
    const token: Secret = {
      metadata: { name: 'token', namespace: 'n', annotations },
      type: 'kubernetes.io/service-account-token',
    }
    await api.client.create(resources.secrets, token)
    await api.call('POST', '/api/v1/namespaces/n/resourcequotas', {
      body: { metadata: { name: 'q' }, spec: { hard: { pods: '9' } } },
    })
    await api.client.create(resources.clusterRoles, {
      metadata: { name: 'all' },
      aggregationRule: { clusterRoleSelectors: [{ matchLabels: { part: 'x' } }] },
    })
    await api.client.create(resources.clusterRoles, {
      metadata: { name: 'some', labels: { part: 'x' } },
      rules: [{ verbs: ['get'], apiGroups: [''], resources: ['pods'] }],
    })
    await api.client.create(resources.pods, aPod('waiting'))
    const told = () => lines().slice(before)
    const wrote = (user: string, verb: string, resource: string) =>
      told().some(
        (line) =>
          line.user.username === user &&
          line.verb === verb &&
          line.objectRef.resource === resource &&
          line.responseStatus.code < 300,
      )
    const account = (name: string) => `system:serviceaccount:kube-system:${name}`
    await expect
      .poll(
        () => wrote('system:kube-scheduler', 'create', 'pods') && wrote('system:kube-scheduler', 'create', 'events'),
      )
      .toBe(true)
    await expect.poll(() => wrote('system:kube-controller-manager', 'update', 'secrets')).toBe(true)
    await expect.poll(() => wrote(account('resourcequota-controller'), 'update', 'resourcequotas')).toBe(true)
    await expect.poll(() => wrote(account('root-ca-cert-publisher'), 'create', 'configmaps')).toBe(true)
    await expect.poll(() => wrote(account('clusterrole-aggregation-controller'), 'update', 'clusterroles')).toBe(true)
    await api.client.delete(persistentVolumeClaimKind, at('v'))
    await api.client.delete(persistentVolumeKind, { name: 'v' })
    await expect.poll(() => wrote(account('pvc-protection-controller'), 'update', 'persistentvolumeclaims')).toBe(true)
    await expect.poll(() => wrote(account('pv-protection-controller'), 'update', 'persistentvolumes')).toBe(true)
    await api.client.delete(resources.namespaces, { name: 'n' })
    await expect.poll(() => wrote(account('namespace-controller'), 'delete', 'secrets')).toBe(true)
    await Promise.all([loops.close(), scheduler.close()])
    expect(told().filter((line) => line.annotations['authorization.k8s.io/decision'] === 'forbid')).toEqual([])
  }, 30_000)
})
