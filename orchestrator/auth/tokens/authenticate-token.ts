import { hasCode } from '../../../runtime/base/errors.ts'
import { authenticatedGroup, type User } from '../../api/user.ts'
import { authError } from '../errors.ts'
import { authenticateBootstrap } from './bootstrap.ts'
import { type Authenticated, authenticateServiceAccount, type ServiceAccountTokens } from './service-account.ts'

/**
 * Whose token this is, for one of `audiences` (the server's own when left out). Throws INVALID_TOKEN, with the reason:
 * for logs and reviews, never for who presented it.
 */
export async function authenticateToken(
  tokens: ServiceAccountTokens,
  token: string,
  audiences?: readonly string[],
): Promise<Authenticated> {
  const found = (await authenticateServiceAccount(tokens, token, audiences)) ?? ofBootstrap(tokens, token, audiences)
  if (!found) throw authError('INVALID_TOKEN', 'invalid bearer token')
  return { ...found, user: withGroup(found.user) }
}

function ofBootstrap(
  { objects, clock, authority }: ServiceAccountTokens,
  token: string,
  audiences: readonly string[] = authority.audiences,
): Authenticated | undefined {
  const user = authenticateBootstrap(objects, clock, token)
  return user && { user, audiences: audiences.filter((each) => authority.audiences.includes(each)) }
}

function withGroup(user: User): User {
  return { ...user, groups: [...user.groups, authenticatedGroup] }
}

/** True for what `authenticateToken` throws when it does not believe the token. */
export const isInvalidToken = (error: unknown) => hasCode(error, 'INVALID_TOKEN')
