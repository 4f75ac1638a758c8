/** May somebody do something? Source: k8s.io/kubernetes/pkg/registry/authorization. */
import { badRequest, invalid } from '../../../api/status.ts'
import type { LocalSubjectAccessReview, SelfSubjectAccessReview, SubjectAccessReview } from '../../../api/types.ts'
import type { User } from '../../../api/user.ts'
import { invalidValue, type Problem } from '../../../api/validate/problem.ts'
import type { Attributes, Authorizer } from '../../../auth/authorize.ts'
import { demandedBy } from '../../authorization.ts'
import type { UnstoredRequest } from '../unstored.ts'
import { review } from './question.ts'

type SelfSpec = SelfSubjectAccessReview['spec']
type Spec = SubjectAccessReview['spec']

/** Of anybody. */
export const answerSubjectAccess = review<SubjectAccessReview>(({ authorizer }, { review: { spec }, request }) => {
  refuseIfWrong(request, [...problemsOfWhat(spec), ...problemsOfWho(spec)])
  return statusOf(authorizer, attributesOf(userOf(spec), spec))
})

/** Of anybody, in the namespace of the request. */
export const answerLocalSubjectAccess = review<LocalSubjectAccessReview>(
  ({ authorizer }, { review: { spec, metadata }, request }) => {
    const { namespace } = request.info
    refuseIfWrong(request, [...problemsOfWhat(spec), ...problemsOfWho(spec), ...problemsOfLocal(spec, metadata?.name)])
    const field = 'spec.resourceAttributes.namespace'
    if (spec.resourceAttributes?.namespace !== namespace) {
      throw badRequest(`${field} must match namespace: ${namespace}`)
    }
    return statusOf(authorizer, attributesOf(userOf(spec), spec))
  },
)

/** Of whoever asks. */
export const answerSelfSubjectAccess = review<SelfSubjectAccessReview>(
  ({ authorizer }, { review: { spec }, request }) => {
    refuseIfWrong(request, problemsOfWhat(spec))
    return statusOf(authorizer, attributesOf(request.incoming.user, spec))
  },
)

function refuseIfWrong({ kind }: UnstoredRequest, problems: readonly Problem[]): void {
  if (problems.length > 0) throw invalid(kind, '', problems)
}

const both = 'cannot be specified in combination with resourceAttributes'

function problemsOfWhat(spec: SelfSpec | undefined): readonly Problem[] {
  const { resourceAttributes, nonResourceAttributes } = spec ?? {}
  if (resourceAttributes && nonResourceAttributes) {
    return [invalidValue('spec.nonResourceAttributes', nonResourceAttributes, both)]
  }
  if (resourceAttributes || nonResourceAttributes) return []
  const text = 'exactly one of nonResourceAttributes or resourceAttributes must be specified'
  return [invalidValue('spec.resourceAttributes', null, text)]
}

function problemsOfWho({ user, groups }: Spec): readonly Problem[] {
  if (user || groups?.length) return []
  return [invalidValue('spec.user', '', 'at least one of user or group must be specified')]
}

function problemsOfLocal({ nonResourceAttributes }: Spec, name: string | undefined): readonly Problem[] {
  return [
    ...(name ? [invalidValue('metadata', name, 'must be empty except for namespace')] : []),
    ...(nonResourceAttributes
      ? [invalidValue('spec.nonResourceAttributes', nonResourceAttributes, 'disallowed on this kind of request')]
      : []),
  ]
}

function userOf({ user = '', groups = [], uid, extra }: Spec): User {
  return { name: user, groups, ...(uid ? { uid } : {}), ...(extra ? { extra } : {}) }
}

function attributesOf(user: User, { resourceAttributes, nonResourceAttributes }: SelfSpec): Attributes {
  if (!resourceAttributes) {
    return { user, verb: nonResourceAttributes?.verb ?? '', path: nonResourceAttributes?.path ?? '' }
  }
  const { verb = '', group = '', resource = '', subresource = '', namespace, name = '' } = resourceAttributes
  const fields = fieldsOf(resourceAttributes.fieldSelector)
  const asked = {
    group,
    resource,
    subresource,
    name,
    ...(namespace ? { namespace } : {}),
    ...(fields ? { fields } : {}),
  }
  return { user, verb, path: '', resource: asked }
}

type FieldSelectorAttributes = NonNullable<NonNullable<SelfSpec['resourceAttributes']>['fieldSelector']>

function fieldsOf(selector: FieldSelectorAttributes | undefined): Record<string, string> | undefined {
  if (!selector) return undefined
  if (selector.rawSelector) return demandedBy(selector.rawSelector)
  const equal = (selector.requirements ?? []).filter(
    ({ operator, values }) => operator === 'In' && values?.length === 1,
  )
  return Object.fromEntries(equal.map(({ key, values }) => [key, values?.[0] ?? '']))
}

function statusOf(authorizer: Authorizer, attributes: Attributes): { allowed: boolean; reason?: string } {
  const { allowed, reason } = authorizer.decide(attributes)
  return { allowed, ...(reason ? { reason } : {}) }
}
