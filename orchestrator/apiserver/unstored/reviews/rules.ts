/** What may I do in this namespace? Source: k8s.io/kubernetes/pkg/registry/authorization/selfsubjectrulesreview. */
import { badRequest } from '../../../api/status.ts'
import type { PolicyRule, SelfSubjectRulesReview } from '../../../api/types.ts'
import { review } from './question.ts'

export const answerSelfSubjectRules = review<SelfSubjectRulesReview>(
  ({ authorizer }, { review: { spec }, request }) => {
    const namespace = spec?.namespace
    if (!namespace) throw badRequest('no namespace on request')
    const { rules, errors } = authorizer.rulesFor(request.incoming.user, namespace)
    return {
      resourceRules: rules.filter(({ resources }) => resources?.length).map(resourceRule),
      nonResourceRules: rules
        .filter(({ nonResourceURLs }) => nonResourceURLs?.length)
        .map(({ verbs, nonResourceURLs = [] }) => ({ verbs, nonResourceURLs })),
      incomplete: errors.length > 0,
      ...(errors.length > 0 ? { evaluationError: errors.join(', ') } : {}),
    }
  },
)

function resourceRule({ verbs, apiGroups, resources, resourceNames }: PolicyRule) {
  return {
    verbs,
    ...(apiGroups ? { apiGroups } : {}),
    ...(resources ? { resources } : {}),
    ...(resourceNames ? { resourceNames } : {}),
  }
}
