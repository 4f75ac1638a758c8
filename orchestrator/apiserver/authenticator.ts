import type { IncomingMessage } from 'node:http'
import type { TLSSocket } from 'node:tls'
import type { Clock } from '../../runtime/base/clock.ts'
import type { User } from '../api/user.ts'
import { userOfConnection } from '../auth/authenticate.ts'
import { authenticateToken, isInvalidToken } from '../auth/tokens/authenticate-token.ts'
import { bearerTokenOf } from '../auth/tokens/bearer.ts'
import type { ServiceAccountTokens } from '../auth/tokens/service-account.ts'

/** `null` is nobody; `'invalid'` is somebody who showed a credential that is not believed: he is not even nobody. */
export type Caller = User | null | 'invalid'

export type Authenticate = (request: IncomingMessage) => Caller | Promise<Caller>

/** By client certificate, then by bearer token. */
export function requestAuthenticator(options: { tokens?: ServiceAccountTokens; clock: Clock }): Authenticate {
  const { tokens, clock } = options
  return (request) => {
    const user = userOfConnection(request.socket as TLSSocket, clock)
    if (user) return user
    const token = bearerTokenOf(request.headers)
    if (token === undefined) return null
    return tokens ? callerOfToken(tokens, token) : 'invalid'
  }
}

async function callerOfToken(tokens: ServiceAccountTokens, token: string): Promise<Caller> {
  try {
    return (await authenticateToken(tokens, token)).user
  } catch (error) {
    if (isInvalidToken(error)) return 'invalid'
    throw error
  }
}
