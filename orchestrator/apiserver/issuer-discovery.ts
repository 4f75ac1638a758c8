/** How others check our tokens: OpenID Connect Discovery 1.0, as KEP-1393 has it. */
import type { TokenAuthority } from '../auth/tokens/token-authority.ts'
import type { Answer } from './answer.ts'

const jwksPath = '/openid/v1/jwks'

/** The answer to the two paths; undefined for all others. */
export async function answerIssuer(path: string, authority: TokenAuthority | undefined): Promise<Answer | undefined> {
  if (!authority) return undefined
  if (path === jwksPath) return answer('application/jwk-set+json', await authority.jwks())
  if (path !== '/.well-known/openid-configuration') return undefined
  return answer('application/json', {
    issuer: authority.issuer,
    jwks_uri: new URL(jwksPath, authority.issuer).href,
    response_types_supported: ['id_token'],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: authority.algorithms,
  })
}

function answer(contentType: string, body: object): Answer {
  return {
    status: 200,
    contentType,
    body: JSON.stringify(body),
    headers: { 'Cache-Control': 'public, max-age=3600' },
  }
}
