/** Signs tokens of service accounts and checks signatures. Keys and claims: no object of the cluster is looked at here. */
import { hash, randomUUID } from 'node:crypto'
import type { Clock } from '../../../runtime/base/clock.ts'
import { serviceAccountUser } from '../../api/user.ts'
import { authError } from '../errors.ts'
import { type KubernetesClaims, legacyClaims, legacyIssuer, type TokenClaims } from './claims.ts'
import type { TokenKeys } from './keys.ts'

export interface TokenAuthorityOptions {
  readonly keys: TokenKeys
  readonly clock: Clock
  /** As kube-apiserver's `--service-account-issuer`: a URL that is in every token. */
  readonly issuer: string
  /** As kube-apiserver's `--api-audiences`: for whom a token has to be made to be good here. The issuer unless given. */
  readonly audiences?: readonly string[]
}

export interface TokenRequestClaims extends KubernetesClaims {
  readonly audiences: readonly string[]
  readonly seconds: number
}

/** So many checked signatures are remembered. */
const remembered = 4096

export class TokenAuthority {
  readonly issuer: string
  readonly audiences: readonly string[]
  readonly #keys: TokenKeys
  readonly #clock: Clock
  /** By hash of the token: tokens themselves are not kept. */
  readonly #verified = new Map<string, Readonly<Record<string, unknown>>>()

  constructor({ keys, clock, issuer, audiences }: TokenAuthorityOptions) {
    this.issuer = issuer
    this.audiences = audiences && audiences.length > 0 ? audiences : [issuer]
    this.#keys = keys
    this.#clock = clock
  }

  /** A token that ends after `seconds`, or with what it is bound to. */
  async issue({ audiences, seconds, ...claims }: TokenRequestClaims): Promise<string> {
    const now = Math.floor(this.#clock.now() / 1000)
    const token = { aud: audiences, exp: now + seconds, iat: now, nbf: now, jti: randomUUID(), 'kubernetes.io': claims }
    return this.#sign({
      iss: this.issuer,
      sub: serviceAccountUser(claims.namespace, claims.serviceaccount.name),
      ...token,
    })
  }

  /** A token for a secret: it lasts as long as the secret does. */
  async issueLegacy(claims: KubernetesClaims): Promise<string> {
    const sub = serviceAccountUser(claims.namespace, claims.serviceaccount.name)
    return this.#sign({ iss: legacyIssuer, sub, ...legacyClaims(claims) })
  }

  /**
   * What a token says, when one of our keys has signed it and now is within its time; undefined for a text that does
   * not claim to be a token of ours. A signature is checked once. Throws INVALID_TOKEN.
   */
  async verify(token: string): Promise<(TokenClaims & Readonly<Record<string, unknown>>) | undefined> {
    const jose = await import('jose')
    const claimed = readUnchecked(jose.decodeJwt, token)
    if (!claimed || ![this.issuer, legacyIssuer].includes(String(claimed.iss))) return undefined
    const key = hash('sha256', token, 'base64')
    let claims = this.#verified.get(key)
    if (!claims) {
      claims = await this.#checkSignature(token)
      this.#remember(key, claims)
    }
    this.#refuseOutOfTime(claims as unknown as TokenClaims)
    return claims as unknown as TokenClaims & Readonly<Record<string, unknown>>
  }

  /** The public keys as a JWK set (RFC 7517). */
  async jwks(): Promise<{ keys: object[] }> {
    const { exportJWK } = await import('jose')
    const keys = this.#keys.trusted.map(async ({ id, algorithm, key }) => {
      return { use: 'sig', kid: id, alg: algorithm, ...(await exportJWK(key)) }
    })
    return { keys: await Promise.all(keys) }
  }

  /** The algorithms of all trusted keys. */
  get algorithms(): string[] {
    return [...new Set(this.#keys.trusted.map(({ algorithm }) => algorithm))]
  }

  async #sign(claims: Record<string, unknown>): Promise<string> {
    const { SignJWT } = await import('jose')
    const { id, algorithm } = this.#keys.signing
    return new SignJWT(claims).setProtectedHeader({ alg: algorithm, kid: id }).sign(this.#keys.privateKey)
  }

  /** The algorithm is the key's, never the token's: `none` and an HMAC with a public key have no chance. */
  async #checkSignature(token: string): Promise<Readonly<Record<string, unknown>>> {
    const { compactVerify, decodeProtectedHeader } = await import('jose')
    try {
      const { kid } = decodeProtectedHeader(token)
      const candidates = this.#keys.trusted.filter(({ id }) => kid === undefined || id === kid)
      for (const { key, algorithm } of candidates) {
        const checked = await compactVerify(token, key, { algorithms: [algorithm] }).catch(() => undefined)
        if (checked) return JSON.parse(new TextDecoder().decode(checked.payload)) as Record<string, unknown>
      }
    } catch (error) {
      throw authError('INVALID_TOKEN', 'the token cannot be read', error)
    }
    throw authError('INVALID_TOKEN', 'the signature of the token is not one of ours')
  }

  #refuseOutOfTime({ iss, exp, nbf }: TokenClaims): void {
    const now = this.#clock.now() / 1000
    if (exp === undefined && iss === legacyIssuer) return
    if (exp === undefined || now >= exp) throw authError('INVALID_TOKEN', 'service account token has expired')
    if (nbf !== undefined && now < nbf) throw authError('INVALID_TOKEN', 'service account token is not valid yet')
  }

  #remember(key: string, claims: Readonly<Record<string, unknown>>): void {
    if (this.#verified.size >= remembered) this.#verified.delete(this.#verified.keys().next().value ?? '')
    this.#verified.set(key, claims)
  }
}

function readUnchecked<T>(decode: (token: string) => T, token: string): T | undefined {
  try {
    return decode(token)
  } catch {
    return undefined
  }
}
