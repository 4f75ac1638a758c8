/** RBAC: what no rule allows is not allowed. Source: k8s.io/kubernetes/plugin/pkg/auth/authorizer/rbac/rbac.go. */
import type { PolicyRule } from '../../api/types.ts'
import type { Attributes, Authorizer, Decision } from '../authorize.ts'
import type { Grant, RbacIndex } from './rbac-index.ts'

export function rbacAuthorizer(index: RbacIndex): Authorizer {
  return {
    decide: (attributes) => decide(index, attributes),
    rulesFor(user, namespace) {
      const rules: PolicyRule[] = []
      const errors: string[] = []
      index.visit(user, namespace, (grant, granted) => {
        if (granted) rules.push(...granted.map(({ rule }) => rule))
        else errors.push(missingRole(grant))
        return false
      })
      return { rules, errors }
    },
  }
}

function decide(index: RbacIndex, attributes: Attributes): Decision {
  let allowedBy: Grant | undefined
  const missing: string[] = []
  index.visit(attributes.user, attributes.resource?.namespace ?? '', (grant, rules) => {
    if (!rules) missing.push(missingRole(grant))
    else if (rules.some((rule) => rule.allows(attributes))) allowedBy = grant
    return allowedBy !== undefined
  })
  if (allowedBy) return { allowed: true, reason: `RBAC: allowed by ${describeGrant(allowedBy)}` }
  if (missing.length === 0) return { allowed: false, reason: '' }
  const texts = [...new Set(missing)]
  return { allowed: false, reason: `RBAC: ${texts.length === 1 ? texts[0] : `[${texts.join(', ')}]`}` }
}

const quoted = (text: string) => JSON.stringify(text)

function missingRole({ binding: { roleRef } }: Grant): string {
  return `${roleRef.kind.toLowerCase()}.rbac.authorization.k8s.io ${quoted(roleRef.name)} not found`
}

function describeGrant({ binding: { metadata, roleRef }, subject }: Grant): string {
  const { name, namespace } = metadata ?? {}
  const who =
    subject.kind === 'ServiceAccount' ? `${subject.name}/${subject.namespace || (namespace ?? '')}` : subject.name
  const binding = namespace
    ? `RoleBinding ${quoted(`${name}/${namespace}`)}`
    : `ClusterRoleBinding ${quoted(name ?? '')}`
  return `${binding} of ${roleRef.kind} ${quoted(roleRef.name)} to ${subject.kind} ${quoted(who)}`
}
