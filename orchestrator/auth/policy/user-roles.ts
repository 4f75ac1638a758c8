/** Roles for people, and what everybody may do. Source: k8s.io/kubernetes/plugin/pkg/auth/authorizer/rbac/bootstrappolicy/policy.go. */
import type { ClusterRole } from '../../api/types.ts'
import {
  authentication,
  authorization,
  coordination,
  discovery,
  networking,
  paths,
  rbac,
  read,
  readWrite,
  resource,
  rule,
  write,
} from './rules.ts'

type RoleTable = Readonly<Record<string, Pick<ClusterRole, 'rules'>>>

/** By name. */
export const userRoles: RoleTable = {
  'cluster-admin': { rules: [rule('*', '*', '*'), paths('*', '*')] },
  'system:discovery': {
    rules: [paths('get', '/livez /readyz /healthz /version /version/ /openapi /openapi/* /api /api/* /apis /apis/*')],
  },
  'system:public-info-viewer': { rules: [paths('get', '/livez /readyz /healthz /version /version/')] },
  'system:monitoring': {
    rules: [paths('get', '/metrics /metrics/slis /livez /readyz /healthz /livez/* /readyz/* /healthz/*')],
  },
  'system:basic-user': {
    rules: [
      rule('create', authorization, 'selfsubjectaccessreviews selfsubjectrulesreviews'),
      rule('create', authentication, 'selfsubjectreviews'),
    ],
  },
  'system:service-account-issuer-discovery': {
    rules: [
      paths(
        'get',
        '/.well-known/openid-configuration /.well-known/openid-configuration/ /openid/v1/jwks /openid/v1/jwks/',
      ),
    ],
  },
}

const aggregateTo = (role: string) => `rbac.authorization.k8s.io/aggregate-to-${role}`

/** Roles that are made of others: a controller gathers the rules of all roles with the label. */
export const gatheredRoles: readonly ClusterRole[] = [
  gathered('admin', undefined),
  gathered('edit', 'admin'),
  gathered('view', 'edit'),
]

function gathered(name: string, partOf: string | undefined): ClusterRole {
  return {
    metadata: { name, ...(partOf ? { labels: { [aggregateTo(partOf)]: 'true' } } : {}) },
    aggregationRule: { clusterRoleSelectors: [{ matchLabels: { [aggregateTo(name)]: 'true' } }] },
  }
}

/** The parts of those three that are always there. */
export const partsOfRoles: readonly ClusterRole[] = [
  part('admin', [
    rule('create', authorization, 'localsubjectaccessreviews'),
    rule(readWrite, rbac, 'rolebindings roles'),
  ]),
  part('edit', [
    rule(read, 'core', 'pods/attach pods/exec pods/portforward pods/proxy secrets services/proxy'),
    rule('impersonate', 'core', 'serviceaccounts'),
    rule(write, 'core', 'pods pods/attach pods/exec pods/portforward pods/proxy'),
    rule('create', 'core', 'pods/eviction'),
    rule('patch update', 'core', 'pods/resize'),
    rule(
      write,
      'core',
      'configmaps events persistentvolumeclaims replicationcontrollers replicationcontrollers/scale secrets serviceaccounts services services/proxy',
    ),
    rule('create', 'core', 'serviceaccounts/token'),
    rule(
      write,
      'apps',
      'daemonsets deployments deployments/rollback deployments/scale replicasets replicasets/scale statefulsets statefulsets/scale',
    ),
    rule(write, 'autoscaling', 'horizontalpodautoscalers'),
    rule(write, 'batch', 'cronjobs jobs'),
    rule(write, 'policy', 'poddisruptionbudgets'),
    rule(write, networking, 'ingresses networkpolicies'),
    rule(readWrite, coordination, 'leases'),
    rule(
      write,
      'extensions',
      'daemonsets deployments deployments/rollback deployments/scale ingresses networkpolicies replicasets replicasets/scale replicationcontrollers/scale',
    ),
    rule(write, resource, 'resourceclaims resourceclaimtemplates'),
  ]),
  part('view', [
    rule(
      read,
      'core',
      'configmaps endpoints persistentvolumeclaims persistentvolumeclaims/status pods replicationcontrollers replicationcontrollers/scale serviceaccounts services services/status',
    ),
    rule(
      read,
      'core',
      'bindings events limitranges namespaces/status pods/log pods/status replicationcontrollers/status resourcequotas resourcequotas/status',
    ),
    // In a namespace this is the namespace itself.
    rule(read, 'core', 'namespaces'),
    rule(read, discovery, 'endpointslices'),
    rule(
      read,
      'apps',
      'controllerrevisions daemonsets daemonsets/status deployments deployments/scale deployments/status replicasets replicasets/scale replicasets/status statefulsets statefulsets/scale statefulsets/status',
    ),
    rule(read, 'autoscaling', 'horizontalpodautoscalers horizontalpodautoscalers/status'),
    rule(read, 'batch', 'cronjobs cronjobs/status jobs jobs/status'),
    rule(read, 'policy', 'poddisruptionbudgets poddisruptionbudgets/status'),
    rule(read, networking, 'ingresses ingresses/status networkpolicies'),
    rule(
      read,
      'extensions',
      'daemonsets daemonsets/status deployments deployments/scale deployments/status ingresses ingresses/status networkpolicies replicasets replicasets/scale replicasets/status replicationcontrollers/scale',
    ),
    rule(read, resource, 'resourceclaims resourceclaims/status resourceclaimtemplates'),
  ]),
]

function part(role: string, rules: NonNullable<ClusterRole['rules']>): ClusterRole {
  return { metadata: { name: `system:aggregate-to-${role}`, labels: { [aggregateTo(role)]: 'true' } }, rules }
}
