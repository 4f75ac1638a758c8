import { imageError } from '../errors.ts'

/** A user of a registry: by password, or by one of the tokens, which then come first. */
export interface Credentials {
  username: string
  password: string
  /** What a token server gives access for (OAuth2 refresh token), as `docker login` keeps it. */
  identityToken?: string
  /** Given to the registry as it is. */
  registryToken?: string
}

/** One way of identifying oneself that a server asks for. RFC 9110, section 11.6.1. */
export interface Challenge {
  scheme: string
  parameters: Readonly<Record<string, string>>
}

/** Reads `Bearer realm="…",service="…", Basic realm="…"`. Unreadable parts are left out. */
export function parseChallenges(header: string): Challenge[] {
  const challenges: { scheme: string; parameters: Record<string, string> }[] = []
  const token = /\s*(?:,\s*)*([!#$%&'*+.^_`|~\w-]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+)))?/gy
  for (let match = token.exec(header); match; match = token.exec(header)) {
    const [, word = '', quoted, plain] = match
    const value = quoted?.replace(/\\(.)/g, '$1') ?? plain
    if (value === undefined) challenges.push({ scheme: word.toLowerCase(), parameters: {} })
    else Object.assign(challenges.at(-1)?.parameters ?? {}, { [word.toLowerCase()]: value })
  }
  return challenges
}

export function basic({ username, password }: Credentials): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`
}

/** What a token server is asked for. Docker registry specification, auth/token.md. */
export interface TokenRequest {
  realm: URL
  service: string | undefined
  scopes: string[]
}

/**
 * What a Bearer challenge asks for, together with the `wanted` scopes, which it need not name. Throws `IMAGE_REGISTRY` on a
 * bad realm.
 */
export function tokenRequest({ parameters }: Challenge, wanted: readonly string[], registry: string): TokenRequest {
  const realm = URL.parse(parameters.realm ?? '')
  if (!realm || !/^https?:$/.test(realm.protocol)) {
    throw imageError('IMAGE_REGISTRY', `ask ${registry} for access: its token server ${parameters.realm} is no address`)
  }
  const asked = parameters.scope?.split(' ').filter((scope) => scope !== '') ?? []
  const covered = new Set(asked.map(resourceOf))
  const scopes = [...asked, ...wanted.filter((scope) => !covered.has(resourceOf(scope)))]
  return { realm, service: parameters.service, scopes }
}

/** `repository:a/b` of `repository:a/b:pull,push`. */
const resourceOf = (scope: string) => scope.slice(0, scope.lastIndexOf(':'))

export function tokenUrl({ realm, service, scopes }: TokenRequest, credentials: Credentials | undefined): URL {
  const url = new URL(realm)
  if (service !== undefined) url.searchParams.set('service', service)
  for (const scope of scopes) url.searchParams.append('scope', scope)
  if (credentials?.username) url.searchParams.set('account', credentials.username)
  return url
}

/** The form that a refresh token is exchanged with. Docker registry specification, auth/oauth.md. */
export function tokenForm({ service, scopes }: TokenRequest, refreshToken: string): string {
  return new URLSearchParams({
    grant_type: 'refresh_token',
    service: service ?? '',
    client_id: 'coracle',
    scope: scopes.join(' '),
    refresh_token: refreshToken,
  }).toString()
}

export interface Token {
  authorization: string
  /** Milliseconds since the epoch. */
  expires: number
  /** Instead of the refresh token that this was got with. */
  refreshToken?: string
}

const defaultLifeSeconds = 60
/** A token that is about to expire would do so in the middle of a request. */
const marginSeconds = 10

/**
 * The answer of a token server; `now` in milliseconds. `issued_at` counts only when it is past: a clock that is ahead of
 * ours must not make tokens live longer. Throws `IMAGE_REGISTRY`.
 */
export function parseToken(body: unknown, now: number, registry: string): Token {
  const { token, access_token, expires_in, issued_at, refresh_token } = (body ?? {}) as Record<string, unknown>
  const text = [token, access_token].find((value) => typeof value === 'string' && value !== '')
  if (typeof text !== 'string') throw imageError('IMAGE_REGISTRY', `ask ${registry} for access: no token in the answer`)
  if (!/^[\x21-\x7e]+$/.test(text)) throw imageError('IMAGE_REGISTRY', `ask ${registry} for access: a broken token`)
  const lifeSeconds = typeof expires_in === 'number' && expires_in > 0 ? expires_in : defaultLifeSeconds
  const issued = typeof issued_at === 'string' ? Date.parse(issued_at) : Number.NaN
  const end = Math.min(now, Number.isNaN(issued) ? now : issued) + (lifeSeconds - marginSeconds) * 1000
  return {
    authorization: `Bearer ${text}`,
    expires: Math.max(end, now + 1000),
    ...(typeof refresh_token === 'string' && refresh_token !== '' ? { refreshToken: refresh_token } : {}),
  }
}
