/** Questions: they are answered and not stored (`apiserver/unstored/reviews/`). */
import type { TokenRequest } from '../types.ts'
import { inGroup } from './define.ts'
import type { Kind } from './kind.ts'

const authentication = inGroup('authentication.k8s.io', 'v1', 'io.k8s.api.authentication.v1.')
/** What kubectl 1.27 asks. It says the same; Kubernetes 1.36 itself no longer serves it. */
const older = inGroup('authentication.k8s.io', 'v1beta1', 'io.k8s.api.authentication.v1.')
const authorization = inGroup('authorization.k8s.io', 'v1', 'io.k8s.api.authorization.v1.')

const question = { namespaced: false, storedAt: '', verbs: ['create'] } as const

export const reviewKinds: readonly Kind[] = [
  authentication({ ...question, kind: 'SelfSubjectReview', resource: 'selfsubjectreviews' }),
  authentication({ ...question, kind: 'TokenReview', resource: 'tokenreviews' }),
  older({ ...question, kind: 'SelfSubjectReview', resource: 'selfsubjectreviews' }),
  authorization({
    ...question,
    kind: 'LocalSubjectAccessReview',
    resource: 'localsubjectaccessreviews',
    namespaced: true,
  }),
  authorization({ ...question, kind: 'SelfSubjectAccessReview', resource: 'selfsubjectaccessreviews' }),
  authorization({ ...question, kind: 'SelfSubjectRulesReview', resource: 'selfsubjectrulesreviews' }),
  authorization({ ...question, kind: 'SubjectAccessReview', resource: 'subjectaccessreviews' }),
]

/** What `serviceaccounts/…/token` speaks. It is no resource of its own. */
export const tokenRequestKind = authentication<TokenRequest>({
  kind: 'TokenRequest',
  resource: 'tokenrequests',
  namespaced: true,
  storedAt: '',
  verbs: [],
})
