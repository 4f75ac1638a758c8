/**
 * Our default policy as it stands, so that no rule changes unseen. It was compared by hand with the golden files of kube-apiserver
 * (plugin/pkg/auth/authorizer/rbac/bootstrappolicy/testdata), of which some were older than 1.36.
 */
import { describe, expect, it } from 'vitest'
import type { PolicyRule } from '../../api/types.ts'
import { defaultPolicy } from './default-policy.ts'

const controllers = [
  'attachdetach-controller',
  'certificate-controller',
  'clusterrole-aggregation-controller',
  'cronjob-controller',
  'daemon-set-controller',
  'deployment-controller',
  'disruption-controller',
  'endpoint-controller',
  'endpointslice-controller',
  'endpointslicemirroring-controller',
  'ephemeral-volume-controller',
  'expand-controller',
  'generic-garbage-collector',
  'horizontal-pod-autoscaler',
  'job-controller',
  'legacy-service-account-token-cleaner',
  'namespace-controller',
  'node-controller',
  'persistent-volume-binder',
  'pod-garbage-collector',
  'pv-protection-controller',
  'pvc-protection-controller',
  'replicaset-controller',
  'replication-controller',
  'resource-claim-controller',
  'resourcequota-controller',
  'root-ca-cert-publisher',
  'route-controller',
  'selinux-warning-controller',
  'service-account-controller',
  'service-cidrs-controller',
  'service-controller',
  'statefulset-controller',
  'ttl-after-finished-controller',
  'ttl-controller',
  'validatingadmissionpolicy-status-controller',
  'volumeattributesclass-protection-controller',
]

const policy = defaultPolicy()
const nameOf = ({ metadata }: { metadata?: { name?: string; namespace?: string } }) =>
  metadata?.namespace === undefined ? `${metadata?.name}` : `${metadata.namespace}/${metadata.name}`

/** One line for each right, whatever rules it is packed in. */
function rights(rules: readonly PolicyRule[] = []): string[] {
  const lines = rules.flatMap(({ verbs, apiGroups = [], resources = [], resourceNames = [], nonResourceURLs = [] }) =>
    [...apiGroups.flatMap((group) => resources.map((each) => `${group || 'core'}/${each}`)), ...nonResourceURLs].map(
      (what) => `${what}${resourceNames.length > 0 ? ` (${[...resourceNames].sort().join(' ')})` : ''}\t${verbs}`,
    ),
  )
  const byWhat = new Map<string, Set<string>>()
  for (const line of lines) {
    const [what = '', verbs = ''] = line.split('\t')
    byWhat.set(what, new Set([...(byWhat.get(what) ?? []), ...verbs.split(',')]))
  }
  return [...byWhat].map(([what, verbs]) => `  ${what}: ${[...verbs].sort().join(' ')}`).sort()
}

describe('defaultPolicy', () => {
  it('a role and a binding for each controller', () => {
    const prefix = 'system:controller:'
    const named = (objects: readonly { metadata?: { name?: string } }[]) =>
      objects.map(nameOf).filter((name) => name.startsWith(prefix))
    const wanted = controllers.map((name) => prefix + name)
    expect(named(policy.clusterRoles).sort()).toEqual(wanted)
    expect(named(policy.clusterRoleBindings).sort()).toEqual(wanted)
  })

  it('every right of every role', async () => {
    const all = [...policy.clusterRoles, ...policy.roles].sort((left, right) => (nameOf(left) < nameOf(right) ? -1 : 1))
    const text = all.map((role) => [nameOf(role), ...rights(role.rules), ''].join('\n')).join('\n')
    await expect(text).toMatchFileSnapshot('../../../test/golden/default-policy.txt')
  })

  it('who has which role', () => {
    const bound = [...policy.clusterRoleBindings, ...policy.roleBindings]
      .filter((binding) => !nameOf(binding).startsWith('system:controller:'))
      .map((binding) => [nameOf(binding), (binding.subjects ?? []).map(({ name }) => name).sort()])
    expect(Object.fromEntries(bound)).toEqual({
      'cluster-admin': ['system:masters'],
      'system:monitoring': ['system:monitoring'],
      'system:discovery': ['system:authenticated'],
      'system:basic-user': ['system:authenticated'],
      'system:public-info-viewer': ['system:authenticated', 'system:unauthenticated'],
      'system:node-proxier': ['system:kube-proxy'],
      'system:kube-controller-manager': ['system:kube-controller-manager'],
      'system:kube-dns': ['kube-dns'],
      'system:kube-scheduler': ['system:kube-scheduler'],
      'system:volume-scheduler': ['system:kube-scheduler'],
      'system:node': [],
      'system:service-account-issuer-discovery': ['system:serviceaccounts'],
      'kube-system/system::extension-apiserver-authentication-reader': [
        'system:kube-controller-manager',
        'system:kube-scheduler',
      ],
      'kube-system/system::leader-locking-kube-controller-manager': [
        'kube-controller-manager',
        'system:kube-controller-manager',
      ],
      'kube-system/system::leader-locking-kube-scheduler': ['kube-scheduler', 'system:kube-scheduler'],
      'kube-system/system:controller:bootstrap-signer': ['bootstrap-signer'],
      'kube-system/system:controller:cloud-provider': ['cloud-provider'],
      'kube-system/system:controller:token-cleaner': ['token-cleaner'],
      'kube-public/system:controller:bootstrap-signer': ['bootstrap-signer'],
    })
  })
})
