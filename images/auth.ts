import { imageError } from './errors.ts'

/** A user of a registry. */
export interface Credentials {
  username: string
  password: string
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
  scope: string
}

/** What a Bearer challenge asks for; `scope` is used where it names none. Throws `IMAGE_REGISTRY` on a bad realm. */
export function tokenRequest({ parameters }: Challenge, scope: string, registry: string): TokenRequest {
  const realm = URL.parse(parameters.realm ?? '')
  if (!realm || !/^https?:$/.test(realm.protocol)) {
    throw imageError('IMAGE_REGISTRY', `ask ${registry} for access: its token server ${parameters.realm} is no address`)
  }
  return { realm, service: parameters.service, scope: parameters.scope ?? scope }
}

export function tokenUrl({ realm, service, scope }: TokenRequest, credentials: Credentials | undefined): URL {
  const url = new URL(realm)
  if (service !== undefined) url.searchParams.set('service', service)
  for (const one of scope.split(' ')) url.searchParams.append('scope', one)
  if (credentials) url.searchParams.set('account', credentials.username)
  return url
}

export interface Token {
  authorization: string
  /** Milliseconds since the epoch. */
  expires: number
}

const defaultLifeSeconds = 60
/** A token that is about to expire would do so in the middle of a request. */
const marginSeconds = 10

/** The answer of a token server; `now` in milliseconds. Throws `IMAGE_REGISTRY`. */
export function parseToken(body: unknown, now: number, registry: string): Token {
  const { token, access_token, expires_in } = (body ?? {}) as Record<string, unknown>
  const text = [token, access_token].find((value) => typeof value === 'string' && value !== '')
  if (typeof text !== 'string') throw imageError('IMAGE_REGISTRY', `ask ${registry} for access: no token in the answer`)
  const life = typeof expires_in === 'number' && expires_in > 0 ? expires_in : defaultLifeSeconds
  return { authorization: `Bearer ${text}`, expires: now + Math.max(life - marginSeconds, 1) * 1000 }
}
