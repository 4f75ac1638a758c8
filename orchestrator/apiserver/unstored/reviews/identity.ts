/** Who am I, and whose token is this? Source: k8s.io/kubernetes/pkg/registry/authentication. */
import { messageOf } from '../../../../runtime/base/errors.ts'
import { badRequest } from '../../../api/status.ts'
import type { SelfSubjectReview, TokenReview } from '../../../api/types.ts'
import type { User } from '../../../api/user.ts'
import { authenticateToken, isInvalidToken } from '../../../auth/tokens/authenticate-token.ts'
import { review } from './question.ts'

export const answerSelfSubject = review<SelfSubjectReview>((_serving, { request }) => ({
  userInfo: userInfoOf(request.incoming.user),
}))

/** The token is in the question, and therefore in the answer; it is nowhere else. */
export const answerToken = review<TokenReview>(async ({ registry }, { review: { spec } }) => {
  if (!spec?.token) throw badRequest('token is required for TokenReview in authentication')
  const { tokens } = registry
  if (!tokens) return { authenticated: false, error: 'invalid bearer token' }
  try {
    const { user, audiences } = await authenticateToken(
      tokens,
      spec.token,
      spec.audiences?.length ? spec.audiences : undefined,
    )
    return { authenticated: true, user: userInfoOf(user), audiences: [...audiences] }
  } catch (error) {
    if (!isInvalidToken(error)) throw error
    return { authenticated: false, error: messageOf(error) }
  }
})

function userInfoOf({ name, uid, groups, extra = {} }: User) {
  const copied = Object.fromEntries(Object.entries(extra).map(([key, values]) => [key, [...values]]))
  return {
    username: name,
    ...(uid ? { uid } : {}),
    groups: [...groups],
    ...(Object.keys(copied).length > 0 ? { extra: copied } : {}),
  }
}
