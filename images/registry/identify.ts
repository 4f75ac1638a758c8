import type { Clock } from '../../runtime/base/clock.ts'
import type { CoracleError } from '../../runtime/base/errors.ts'
import { imageError } from '../errors.ts'
import { maximumDocumentBytes } from '../manifest.ts'
import { readAtMost, refusal } from './answers.ts'
import {
  basic,
  type Credentials,
  parseChallenges,
  parseToken,
  type Token,
  type TokenRequest,
  tokenForm,
  tokenRequest,
  tokenUrl,
} from './auth.ts'
import type { Answer, HttpRequest } from './http.ts'

/** On whose behalf a registry is spoken to, and what for. */
export interface Identity {
  /** The registry's host. */
  host: string
  /** `repository:a/b:pull` and the like. */
  scopes: readonly string[]
  auth: Credentials | undefined
}

type Ask = (url: URL, request: Pick<HttpRequest, 'method' | 'headers' | 'body'>) => Promise<Answer>

/** What registries have been told and have given for it; kept in memory only, for one identity each. */
export class Identities {
  readonly #clock: Clock
  readonly #tokens = new Map<string, Token>()
  /** By identity token as it was given: the one that the server has replaced it by. */
  readonly #refreshTokens = new Map<string, string>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** The `Authorization` that worked before and is not out of date. */
  known(identity: Identity): string | undefined {
    const token = this.#tokens.get(keyOf(identity))
    return token && token.expires > this.#clock.now() ? token.authorization : undefined
  }

  /** Answers a `WWW-Authenticate` header. Throws `IMAGE_UNAUTHORIZED`, `IMAGE_REGISTRY`, and what `ask` throws. */
  async answer(header: string, identity: Identity, ask: Ask): Promise<string> {
    const { auth, host, scopes } = identity
    const challenges = parseChallenges(header)
    const bearer = challenges.find(({ scheme }) => scheme === 'bearer')
    if (bearer) {
      const token = auth?.registryToken
        ? { authorization: `Bearer ${auth.registryToken}`, expires: Number.POSITIVE_INFINITY }
        : await this.#fetchToken(tokenRequest(bearer, scopes, host), identity, ask)
      this.#tokens.set(keyOf(identity), token)
      return token.authorization
    }
    if (challenges.some(({ scheme }) => scheme === 'basic') && auth?.username) {
      const authorization = basic(auth)
      this.#tokens.set(keyOf(identity), { authorization, expires: Number.POSITIVE_INFINITY })
      return authorization
    }
    throw unauthorized(host, auth ? `it asks for ${header || 'nothing known'}` : 'it asks for user and password')
  }

  async #fetchToken(wanted: TokenRequest, { auth }: Identity, ask: Ask): Promise<Token> {
    const { realm } = wanted
    const given = auth?.identityToken
    const answer = given
      ? await ask(realm, {
          method: 'POST',
          headers: { 'content-type': 'application/x-www-form-urlencoded' },
          body: Buffer.from(tokenForm(wanted, this.#refreshTokens.get(given) ?? given)),
        })
      : await ask(tokenUrl(wanted, auth), { headers: auth?.username ? { authorization: basic(auth) } : {} })
    if (answer.status === 401 || answer.status === 403) {
      answer.discard()
      throw unauthorized(realm.host, `this token server refuses ${whoIs(auth)}`)
    }
    if (answer.status !== 200) throw await refusal(answer, `ask ${realm.host} for access`, this.#clock.now())
    const text = await readAtMost(answer, maximumDocumentBytes, `ask ${realm.host} for access`)
    const token = parseToken(parseAnswer(text, realm.host), this.#clock.now(), realm.host)
    if (given && token.refreshToken) this.#refreshTokens.set(given, token.refreshToken)
    return token
  }
}

function parseAnswer(text: Buffer, host: string): unknown {
  try {
    return JSON.parse(text.toString())
  } catch (error) {
    throw imageError('IMAGE_REGISTRY', `ask ${host} for access: its answer is no JSON`, { cause: error })
  }
}

const keyOf = ({ host, scopes, auth }: Identity) => JSON.stringify([host, scopes, auth])

export function whoIs(auth: Credentials | undefined): string {
  if (!auth) return 'anonymous access'
  return auth.username ? `user ${auth.username}` : 'the token'
}

export function unauthorized(registry: string, reason: string): CoracleError {
  return imageError('IMAGE_UNAUTHORIZED', `use registry ${registry}: ${reason}`, {
    hint: 'give user and password for this registry; a repository that does not exist may be refused like this too',
  })
}
