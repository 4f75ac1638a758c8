import { unauthorized } from '../api/status.ts'
import { anonymousName, type User, unauthenticatedGroup } from '../api/user.ts'
import type { RequestAudit } from './audit.ts'
import type { Caller } from './authenticator.ts'
import { attributesOf, refusal } from './authorization.ts'
import { impersonatedBy } from './impersonation.ts'
import { isOpenPath } from './paths.ts'
import type { RequestInfo } from './request-info.ts'
import type { Serving } from './serving.ts'

/** Who asks when nobody has to be anybody. */
const anonymous: User = { name: anonymousName, groups: [unauthenticatedGroup] }

/** Who acts, when he may do what he asks for. Throws UNAUTHORIZED, FORBIDDEN, BAD_REQUEST. */
export function allowedUser(
  { authorizer, anonymousAuth = true }: Pick<Serving, 'authorizer' | 'anonymousAuth'>,
  request: { user: Caller; path: string; query: URLSearchParams; rawHeaders: readonly string[] },
  { info, record }: { info: RequestInfo; record?: RequestAudit | undefined },
): User {
  const { user: caller, path, query, rawHeaders } = request
  if (caller === 'invalid') throw unauthorized()
  if (!caller) {
    if (!anonymousAuth || !isOpenPath(path)) throw unauthorized()
    record?.by(anonymous)
    return anonymous
  }
  record?.by(caller)
  const impersonated = impersonatedBy(authorizer, caller, rawHeaders)
  if (impersonated) record?.as(impersonated)
  const user = impersonated ?? caller
  const attributes = attributesOf({ user, path, query }, info)
  const decision = authorizer.decide(attributes)
  record?.decided(decision)
  if (!decision.allowed) throw refusal(attributes, decision)
  return user
}
