/** The roles and bindings that every cluster has, as objects. */
import type { ClusterRole, ClusterRoleBinding, PolicyRule, RbacSubject, Role, RoleBinding } from '../../api/types.ts'
import { authenticatedGroup, mastersGroup, serviceAccountsGroup, unauthenticatedGroup } from '../../api/user.ts'
import { controllerRoles } from './controller-roles.ts'
import { coordination, eventsRule, rbac, read, rule } from './rules.ts'
import { systemRoles } from './system-roles.ts'
import { gatheredRoles, partsOfRoles, userRoles } from './user-roles.ts'

export interface DefaultPolicy {
  readonly clusterRoles: readonly ClusterRole[]
  readonly clusterRoleBindings: readonly ClusterRoleBinding[]
  readonly roles: readonly Role[]
  readonly roleBindings: readonly RoleBinding[]
}

/** While it is not "false", the server puts back at its start what is missing of a default object. */
export const autoUpdate = 'rbac.authorization.kubernetes.io/autoupdate'

const controllerPrefix = 'system:controller:'
const system = 'kube-system'

/** Made anew for each call: whoever gets it may keep it. */
export function defaultPolicy(): DefaultPolicy {
  const named = (table: Readonly<Record<string, readonly PolicyRule[]>>, prefix = ''): ClusterRole[] =>
    Object.entries(table).map(([name, rules]) => ({ metadata: { name: prefix + name }, rules: [...rules] }))
  const ofUsers = Object.entries(userRoles).map(([name, role]) => ({ metadata: { name }, ...role }))
  return {
    clusterRoles: [
      ...ofUsers,
      ...gatheredRoles,
      ...partsOfRoles,
      ...named(systemRoles),
      ...named(controllerRoles, controllerPrefix),
    ].map(marked),
    clusterRoleBindings: clusterBindings().map(marked),
    roles: roles().map(marked),
    roleBindings: roleBindings().map(marked),
  }
}

function marked<T extends { metadata?: ClusterRole['metadata'] }>(object: T): T {
  const { metadata = {} } = object
  const labels = { ...metadata.labels, 'kubernetes.io/bootstrapping': 'rbac-defaults' }
  return { ...object, metadata: { ...metadata, labels, annotations: { [autoUpdate]: 'true' } } }
}

const group = (name: string): RbacSubject => ({ kind: 'Group', apiGroup: rbac, name })
const user = (name: string): RbacSubject => ({ kind: 'User', apiGroup: rbac, name })
const account = (name: string): RbacSubject => ({ kind: 'ServiceAccount', name, namespace: system })

function clusterBindings(): ClusterRoleBinding[] {
  const bind = (role: string, ...subjects: RbacSubject[]): ClusterRoleBinding => ({
    metadata: { name: role },
    roleRef: { apiGroup: rbac, kind: 'ClusterRole', name: role },
    ...(subjects.length > 0 ? { subjects } : {}),
  })
  return [
    bind('cluster-admin', group(mastersGroup)),
    bind('system:monitoring', group('system:monitoring')),
    bind('system:discovery', group(authenticatedGroup)),
    bind('system:basic-user', group(authenticatedGroup)),
    bind('system:public-info-viewer', group(authenticatedGroup), group(unauthenticatedGroup)),
    bind('system:node-proxier', user('system:kube-proxy')),
    bind('system:kube-controller-manager', user('system:kube-controller-manager')),
    bind('system:kube-dns', account('kube-dns')),
    bind('system:kube-scheduler', user('system:kube-scheduler')),
    bind('system:volume-scheduler', user('system:kube-scheduler')),
    // Bound to nobody: nodes are the Node authorizer's.
    bind('system:node'),
    bind('system:service-account-issuer-discovery', group(serviceAccountsGroup)),
    ...Object.keys(controllerRoles).map((name) => bind(controllerPrefix + name, account(name))),
  ]
}

const leaderRules = [
  rule('create get list update watch', coordination, 'leases'),
  rule('create get list update watch', coordination, 'leasecandidates'),
]

function roles(): Role[] {
  const role = (namespace: string, name: string, rules: PolicyRule[]): Role => ({
    metadata: { namespace, name },
    rules,
  })
  return [
    role(system, 'extension-apiserver-authentication-reader', [
      rule(read, 'core', 'configmaps', 'extension-apiserver-authentication'),
    ]),
    role(system, `${controllerPrefix}bootstrap-signer`, [rule(read, 'core', 'secrets')]),
    role(system, `${controllerPrefix}cloud-provider`, [rule('create get list watch', 'core', 'configmaps')]),
    role(system, `${controllerPrefix}token-cleaner`, [rule('delete get list watch', 'core', 'secrets'), eventsRule]),
    role(system, 'system::leader-locking-kube-controller-manager', leaderRules),
    role(system, 'system::leader-locking-kube-scheduler', leaderRules),
    role('kube-public', `${controllerPrefix}bootstrap-signer`, [
      rule(read, 'core', 'configmaps'),
      rule('update', 'core', 'configmaps', 'cluster-info'),
      eventsRule,
    ]),
  ]
}

function roleBindings(): RoleBinding[] {
  const bind = (namespace: string, role: string, ...subjects: RbacSubject[]): RoleBinding => ({
    metadata: { namespace, name: role },
    roleRef: { apiGroup: rbac, kind: 'Role', name: role },
    subjects,
  })
  const manager = user('system:kube-controller-manager')
  const scheduler = user('system:kube-scheduler')
  const reader = bind(system, 'extension-apiserver-authentication-reader', manager, scheduler)
  return [
    { ...reader, metadata: { namespace: system, name: 'system::extension-apiserver-authentication-reader' } },
    bind(system, 'system::leader-locking-kube-controller-manager', manager, account('kube-controller-manager')),
    bind(system, 'system::leader-locking-kube-scheduler', scheduler, account('kube-scheduler')),
    bind(system, `${controllerPrefix}bootstrap-signer`, account('bootstrap-signer')),
    bind(system, `${controllerPrefix}cloud-provider`, account('cloud-provider')),
    bind(system, `${controllerPrefix}token-cleaner`, account('token-cleaner')),
    bind('kube-public', `${controllerPrefix}bootstrap-signer`, account('bootstrap-signer')),
  ]
}
