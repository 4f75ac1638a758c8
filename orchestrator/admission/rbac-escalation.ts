/**
 * Nobody grants what he does not hold, unless he may `escalate` the role or `bind` it.
 * Source: k8s.io/kubernetes/pkg/registry/rbac/{role,clusterrole,rolebinding,clusterrolebinding}/policybased.
 */
import { isEqual } from '../api/equal.ts'
import { forbidden } from '../api/status.ts'
import type { ClusterRole, KubeObject, PolicyRule, RoleBinding } from '../api/types.ts'
import { mastersGroup, type User } from '../api/user.ts'
import type { AdmissionPlugin, AdmissionRequest } from './admission.ts'

export interface EscalationChecks {
  isAllowed(
    user: User,
    asked: {
      readonly verb: 'escalate' | 'bind'
      readonly resource: string
      readonly namespace?: string
      readonly name: string
    },
  ): boolean
  /** Which of `rules` the user does not hold in `namespace` (empty for the cluster), as a text; undefined when he holds all. */
  escalationOf(user: User, namespace: string, rules: readonly PolicyRule[]): string | undefined
  /** Throws NOT_FOUND. */
  rulesOfRole(ref: { readonly kind: string; readonly name: string }, namespace: string): readonly PolicyRule[]
}

const everything: readonly PolicyRule[] = [
  { verbs: ['*'], apiGroups: ['*'], resources: ['*'] },
  { verbs: ['*'], nonResourceURLs: ['*'] },
]

export function rbacEscalation(checks: EscalationChecks): AdmissionPlugin {
  return {
    name: 'RBACEscalation',
    validate(request) {
      const { kind, object, user, subresource } = request
      if (kind.group !== 'rbac.authorization.k8s.io' || !object || subresource) return
      if (user.groups.includes(mastersGroup) || isHousekeeping(request)) return
      if (kind.resource === 'roles' || kind.resource === 'clusterroles') refuseRole(checks, request, object)
      else refuseBinding(checks, request, object as RoleBinding)
    },
  }
}

/** What the garbage collector does to an object grants nothing. */
function isHousekeeping({ object, old }: AdmissionRequest): boolean {
  if (!old || !object) return false
  const rest = ({ metadata, ...fields }: KubeObject) => {
    const { ownerReferences: _o, finalizers: _f, managedFields: _m, resourceVersion: _r, ...own } = metadata ?? {}
    return { ...fields, kind: '', apiVersion: '', metadata: own }
  }
  return isEqual(rest(object), rest(old))
}

function refuseRole(checks: EscalationChecks, request: AdmissionRequest, role: ClusterRole): void {
  const { kind, user, namespace, verb, old } = request
  // As in Kubernetes: for what is being made, the name is not asked for.
  const name = verb === 'create' ? '' : request.name
  const asked = { verb: 'escalate' as const, resource: kind.resource, name, ...(namespace ? { namespace } : {}) }
  if (checks.isAllowed(user, asked)) return
  if (role.aggregationRule || (old as ClusterRole | undefined)?.aggregationRule) {
    const missing = checks.escalationOf(user, '', everything)
    if (missing === undefined) return
    throw forbidden(kind, request.name, `must have cluster-admin privileges to use an aggregationRule: ${missing}`)
  }
  const missing = checks.escalationOf(user, namespace ?? '', role.rules ?? [])
  if (missing !== undefined) throw forbidden(kind, request.name, missing)
}

function refuseBinding(checks: EscalationChecks, request: AdmissionRequest, { roleRef }: RoleBinding): void {
  const { kind, user, namespace } = request
  const resource = roleRef.kind === 'ClusterRole' ? 'clusterroles' : 'roles'
  const asked = { verb: 'bind' as const, resource, name: roleRef.name, ...(namespace ? { namespace } : {}) }
  if (checks.isAllowed(user, asked)) return
  const missing = checks.escalationOf(user, namespace ?? '', checks.rulesOfRole(roleRef, namespace ?? ''))
  if (missing !== undefined) throw forbidden(kind, request.name, missing)
}
