import { describe, expect, it } from 'vitest'
import type { Pod } from '../../api/types.ts'
import type { User } from '../../api/user.ts'
import type { ResourceAttributes } from '../authorize.ts'
import { nodeAuthorizer } from './node-authorizer.ts'
import { NodeGraph } from './node-graph.ts'

const node = (name: string): User => ({ name: `system:node:${name}`, groups: ['system:nodes', 'system:authenticated'] })

const aPod = (name: string, nodeName: string, spec: Partial<Pod['spec'] & {}> = {}): Pod => ({
  metadata: { name, namespace: 'x' },
  spec: { nodeName, serviceAccountName: 'sa', containers: [{ name: 'c', image: 'i' }], ...spec },
})

function aGraph() {
  const graph = new NodeGraph()
  const pod = aPod('p', 'n1', {
    imagePullSecrets: [{ name: 'pull' }],
    containers: [
      {
        name: 'c',
        env: [{ name: 'A', valueFrom: { secretKeyRef: { name: 'env', key: 'k' } } }],
        envFrom: [{ configMapRef: { name: 'from' } }],
      },
    ],
    volumes: [
      { name: 'a', secret: { secretName: 'vol' } },
      { name: 'b', projected: { sources: [{ configMap: { name: 'proj' } }] } },
      { name: 'c', persistentVolumeClaim: { claimName: 'claim' } },
      { name: 'd', ephemeral: {} },
    ],
  })
  graph.putVolume({
    metadata: { name: 'pv' },
    spec: {
      claimRef: { namespace: 'x', name: 'claim' },
      csi: { driver: 'd', volumeHandle: 'h', nodeStageSecretRef: { name: 'stage', namespace: 'csi' } },
    },
  })
  graph.putPod(pod)
  graph.putPod({
    ...aPod('mirror', 'n1', { serviceAccountName: 'stolen' }),
    metadata: { name: 'mirror', namespace: 'x', annotations: { 'kubernetes.io/config.mirror': 'h' } },
  })
  graph.putAttachment({ metadata: { name: 'va' }, spec: { nodeName: 'n1', attacher: 'd', source: {} } })
  return { graph, pod }
}

/** `get core/secrets/sub name namespace` */
function ask(text: string): { verb: string; path: string; resource: ResourceAttributes } {
  const [verb = '', what = '', name = '', namespace = 'x'] = text.split(' ')
  const [group = '', resource = '', subresource = ''] = what.split('/')
  const place = {
    group: group === 'core' ? '' : group,
    resource,
    subresource,
    namespace,
    name: name === '-' ? '' : name,
  }
  return { verb, path: '', resource: place }
}

const unrelated = "no relationship found between node 'n1' and this object"

describe('nodeAuthorizer', () => {
  const { graph } = aGraph()
  const decide = (user: User, question: string, fields?: Record<string, string>) => {
    const asked = ask(question)
    return nodeAuthorizer(graph).decide({
      ...asked,
      user,
      resource: { ...asked.resource, ...(fields ? { fields } : {}) },
    })
  }

  it.each(
    'get core/secrets env,get core/secrets pull,get core/secrets vol,watch core/secrets env,get core/secrets stage csi,get core/configmaps from,list core/configmaps proj,get core/persistentvolumeclaims claim,get core/persistentvolumeclaims p-d,patch core/persistentvolumeclaims/status claim,get core/persistentvolumes pv,create core/serviceaccounts/token sa,get core/serviceaccounts sa,get core/pods p,get core/pods mirror,update core/pods/status p,delete core/pods p,create core/pods/eviction p,get core/nodes n1,patch core/nodes/status n1,update coordination.k8s.io/leases n1 kube-node-lease,create coordination.k8s.io/leases - kube-node-lease,get storage.k8s.io/csinodes n1,get storage.k8s.io/volumeattachments va,list core/services -,create core/events -,create authentication.k8s.io/tokenreviews -'.split(
      ',',
    ),
  )('n1 may %s', (question) => {
    expect(decide(node('n1'), question)).toEqual({ allowed: true, reason: '' })
  })

  it.each([
    ['get core/secrets other', unrelated],
    ['get core/secrets env y', unrelated],
    ['list core/secrets -', 'No Object name found'],
    ['update core/secrets env', 'can only read resources of this type'],
    ['create core/serviceaccounts/token stolen', unrelated],
    ['get core/serviceaccounts stolen', unrelated],
    ['list core/serviceaccounts -', 'can only create tokens for individual service accounts'],
    ['get core/persistentvolumes other', unrelated],
    ['list core/pods -', 'can only list/watch pods with spec.nodeName field selector'],
    ['list core/nodes -', "node 'n1' cannot read all nodes, only its own Node object"],
    ['get core/nodes n2', "node 'n1' cannot read 'n2', only its own Node object"],
    ['delete core/nodes n1', ''],
    [
      'get coordination.k8s.io/leases n2 kube-node-lease',
      'can only access node lease with the same name as the requesting node',
    ],
    ['get coordination.k8s.io/leases n1 x', 'can only access leases in the "kube-node-lease" system namespace'],
    ['get storage.k8s.io/csinodes n2', 'can only access CSINode with the same name as the requesting node'],
    ['get storage.k8s.io/volumeattachments other', unrelated],
    ['get apps/deployments d', ''],
  ])('n1 may not %s', (question, reason) => {
    expect(decide(node('n1'), question)).toEqual({ allowed: false, reason })
  })

  it('pods are listed by the own name only', () => {
    expect(decide(node('n1'), 'watch core/pods -', { 'spec.nodeName': 'n1' }).allowed).toBe(true)
    expect(decide(node('n1'), 'watch core/pods -', { 'spec.nodeName': 'n2' }).allowed).toBe(false)
  })

  it('another node, or somebody who only has the name, gets nothing of it', () => {
    expect(decide(node('n2'), 'get core/secrets env').allowed).toBe(false)
    expect(decide({ name: 'system:node:n1', groups: [] }, 'get core/secrets env').allowed).toBe(false)
    expect(decide(node(''), 'list core/services -').reason).toBe('unknown node for user "system:node:"')
  })

  it('what a pod used is over when it goes, unless another pod uses it too', () => {
    const { graph: changing, pod } = aGraph()
    const may = (question: string) => nodeAuthorizer(changing).decide({ ...ask(question), user: node('n1') }).allowed
    changing.putPod(aPod('second', 'n1', { imagePullSecrets: [{ name: 'pull' }] }))
    changing.removePod(pod)
    expect([may('get core/secrets pull'), may('get core/secrets env'), may('get core/secrets stage csi')]).toEqual([
      true,
      false,
      false,
    ])
    changing.putPod(pod)
    expect(may('get core/secrets stage csi')).toBe(true)
    changing.removeVolume({ metadata: { name: 'pv' } })
    expect([may('get core/persistentvolumes pv'), may('get core/secrets stage csi')]).toEqual([false, false])
  })
})
