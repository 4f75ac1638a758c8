/** Who may do what: the question, the answer, and a chain of those who can be asked. */
import type { PolicyRule } from '../api/types.ts'
import { mastersGroup, type User } from '../api/user.ts'

/** What is asked for, in the words of the Kubernetes authorizers. */
export interface Attributes {
  readonly user: User
  readonly verb: string
  /** Unset for a path that is no resource. */
  readonly resource?: ResourceAttributes
  readonly path: string
}

export interface ResourceAttributes {
  readonly group: string
  readonly resource: string
  readonly subresource: string
  readonly namespace?: string
  /** Empty for a collection, unless a field selector picks one object of it. */
  readonly name: string
  /** What a field selector demands to be equal, by field. */
  readonly fields?: Readonly<Record<string, string>>
}

export interface Decision {
  readonly allowed: boolean
  /** Which rule allows it, or what stands in the way; often nothing is known but that nobody allows it. */
  readonly reason: string
}

/** All that a user may do in a namespace. */
export interface ResolvedRules {
  readonly rules: readonly PolicyRule[]
  /** What could not be found out; then the rules are not all. */
  readonly errors: readonly string[]
}

export interface Authorizer {
  decide(attributes: Attributes): Decision
  rulesFor(user: User, namespace: string): ResolvedRules
}

export const noOpinion: Decision = { allowed: false, reason: '' }

/** Members of system:masters may do everything, whatever the roles say. */
export const mastersAuthorizer: Authorizer = {
  decide: ({ user }) => (user.groups.includes(mastersGroup) ? { allowed: true, reason: '' } : noOpinion),
  // The default role cluster-admin says it in the words of rules.
  rulesFor: () => ({ rules: [], errors: [] }),
}

/** The first who allows decides; nobody can forbid what another one allows. */
export function chainOf(authorizers: readonly Authorizer[]): Authorizer {
  return {
    decide(attributes) {
      let reasons = ''
      for (const authorizer of authorizers) {
        const decision = authorizer.decide(attributes)
        if (decision.allowed) return decision
        if (decision.reason !== '') reasons += reasons === '' ? decision.reason : `\n${decision.reason}`
      }
      return reasons === '' ? noOpinion : { allowed: false, reason: reasons }
    },
    rulesFor(user, namespace) {
      const all = authorizers.map((authorizer) => authorizer.rulesFor(user, namespace))
      return { rules: all.flatMap(({ rules }) => rules), errors: all.flatMap(({ errors }) => errors) }
    },
  }
}

/** `pods`, `pods/log`: how rules name what is asked for. */
export function resourceText({ resource, subresource }: Pick<ResourceAttributes, 'resource' | 'subresource'>): string {
  return subresource === '' ? resource : `${resource}/${subresource}`
}

/** Why not, in Kubernetes' words. Source: k8s.io/apiserver/pkg/endpoints/handlers/responsewriters/errors.go. */
export function refusalOf({ user, verb, resource, path }: Attributes, reason = ''): string {
  const who = `User ${JSON.stringify(user.name)} cannot ${verb}`
  const because = reason === '' ? '' : `: ${reason}`
  if (!resource) return `${who} path ${JSON.stringify(path)}${because}`
  const where = resource.namespace ? `in the namespace ${JSON.stringify(resource.namespace)}` : 'at the cluster scope'
  const what = `resource ${JSON.stringify(resourceText(resource))} in API group ${JSON.stringify(resource.group)}`
  return `${who} ${what} ${where}${because}`
}
