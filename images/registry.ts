import type { Clock } from '../runtime/base/clock.ts'
import { CoracleError, hasCode, messageOf } from '../runtime/base/errors.ts'
import { basic, type Credentials, parseChallenges, parseToken, type Token, tokenRequest, tokenUrl } from './auth.ts'
import { type Digest, digestOf } from './digest.ts'
import { imageError } from './errors.ts'
import { type Descriptor, maximumDocumentBytes, mediaTypes } from './manifest.ts'
import { allowsHttp, type FetchOptions, httpFetch, schemesFor } from './registry-http.ts'

/** A repository in a registry: `library/nginx` in `docker.io`. Distribution specification 1.1. */
export interface Repository {
  domain: string
  path: string
}

export interface RegistryOptions {
  clock: Clock
  /** Registries that may be spoken to without TLS; loopback addresses always may. */
  insecureRegistries: readonly string[]
}

/** A document with the digest that its bytes have. */
export interface FetchedManifest {
  bytes: Buffer
  mediaType: string | undefined
  digest: Digest
}

/** What a request is for: whoever only reads asks for no more. */
export type Action = 'pull' | 'push'

interface Request {
  repository: Repository
  /** Below `/v2/<path>/`, or an absolute address that the registry itself has given. */
  path: string
  action?: Action
  method?: 'GET' | 'HEAD' | 'POST' | 'PUT'
  body?: Uint8Array | ReadableStream
  headers?: Record<string, string>
  auth: Credentials | undefined
  signal: AbortSignal | undefined
}

export type Access = Pick<Request, 'auth' | 'signal'>

const accept = [mediaTypes.ociIndex, mediaTypes.ociManifest, mediaTypes.dockerList, mediaTypes.dockerManifest].join(
  ', ',
)
const attempts = 3
const firstPauseMs = 200

/**
 * Reads from registries: anonymous, Basic and Bearer. Every error names registry, repository and cause; those that may
 * pass are tried again a few times.
 */
export class RegistryClient {
  readonly #options: RegistryOptions
  readonly #tokens = new Map<string, Token>()
  /** Which scheme a registry that may be insecure speaks, once known. */
  readonly #schemes = new Map<string, string>()

  constructor(options: RegistryOptions) {
    this.#options = options
  }

  /**
   * The manifest or index of a tag or digest. Throws `IMAGE_NOT_FOUND`, `IMAGE_UNAUTHORIZED`, `IMAGE_REGISTRY`,
   * `IMAGE_DIGEST_MISMATCH`.
   */
  async manifest(repository: Repository, tagOrDigest: string, access: Access): Promise<FetchedManifest> {
    const what = `${nameOf(repository)} ${tagOrDigest}`
    return this.#retrying(access.signal, async () => {
      const path = `manifests/${tagOrDigest}`
      const response = await this.#get({ repository, path, headers: { accept }, ...access })
      const bytes = await readAtMost(response, maximumDocumentBytes, what)
      const digest = digestOf(bytes)
      if (tagOrDigest.startsWith('sha256:') && tagOrDigest !== digest) {
        throw imageError('IMAGE_DIGEST_MISMATCH', `fetch manifest ${what}: the answer is ${digest}`)
      }
      return { bytes, digest, mediaType: response.headers.get('content-type')?.split(';')[0]?.trim() }
    })
  }

  /**
   * The bytes of a blob, unverified. A connection that breaks is resumed where it broke. Throws like `manifest`.
   */
  async *blob(repository: Repository, descriptor: Descriptor, access: Access): AsyncGenerator<Uint8Array> {
    let received = 0
    for (let attempt = 1; ; attempt++) {
      try {
        for await (const chunk of this.#blobFrom(repository, descriptor, { ...access, from: received })) {
          received += chunk.length
          yield chunk
        }
        return
      } catch (error) {
        if (!(error instanceof CoracleError && error.retryable) || attempt >= attempts) throw error
        await this.#options.clock.sleep(firstPauseMs * 2 ** attempt, access.signal)
      }
    }
  }

  async *#blobFrom(
    repository: Repository,
    { digest }: Descriptor,
    o: Access & { from: number },
  ): AsyncGenerator<Uint8Array> {
    const headers = o.from > 0 ? { range: `bytes=${o.from}-` } : {}
    const response = await this.#get({ repository, path: `blobs/${digest}`, headers, ...o })
    // A server that knows no ranges sends everything again.
    let skip = response.status === 206 ? 0 : o.from
    try {
      for await (const chunk of response.body ?? []) {
        const rest = chunk.subarray(Math.min(skip, chunk.length))
        skip -= chunk.length - rest.length
        if (rest.length > 0) yield rest
      }
    } catch (error) {
      o.signal?.throwIfAborted()
      throw unreachable(repository, `fetch blob ${digest} of`, error)
    }
  }

  /**
   * Any other request of the distribution specification; the answer may be of any status but 401 and 403. A body that is
   * a stream must come after a request without one: it could not be sent again after identifying. Throws
   * `IMAGE_UNAUTHORIZED`, `IMAGE_REGISTRY`.
   */
  async request(request: Request): Promise<Response> {
    const response = await this.#identified(request)
    if (response.status !== 401 && response.status !== 403) return response
    return this.#successful(response, request)
  }

  async #retrying<Result>(signal: AbortSignal | undefined, act: () => Promise<Result>): Promise<Result> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await act()
      } catch (error) {
        if (!(error instanceof CoracleError && error.retryable) || attempt >= attempts) throw error
        await this.#options.clock.sleep(firstPauseMs * 2 ** attempt, signal)
      }
    }
  }

  /** A successful answer. Identifies itself the way the registry asks for. */
  async #get(request: Request): Promise<Response> {
    return this.#successful(await this.#identified(request), request)
  }

  async #identified(request: Request): Promise<Response> {
    const key = tokenKey(request)
    const known = this.#tokens.get(key)
    const usable = known && known.expires > this.#options.clock.now() ? known.authorization : undefined
    const first = await this.#send(request, usable)
    if (first.status !== 401 || request.body instanceof ReadableStream) return first
    await first.body?.cancel()
    return this.#send(request, await this.#authorize(first.headers.get('www-authenticate') ?? '', request))
  }

  async #authorize(header: string, request: Request): Promise<string> {
    const { repository, auth } = request
    const challenges = parseChallenges(header)
    const bearer = challenges.find(({ scheme }) => scheme === 'bearer')
    if (bearer) {
      const token = await this.#fetchToken(
        tokenRequest(bearer, `repository:${repository.path}:${scopeOf(request)}`, repository.domain),
        request,
      )
      this.#tokens.set(tokenKey(request), token)
      return token.authorization
    }
    if (challenges.some(({ scheme }) => scheme === 'basic') && auth) {
      const authorization = basic(auth)
      this.#tokens.set(tokenKey(request), { authorization, expires: Number.POSITIVE_INFINITY })
      return authorization
    }
    throw unauthorized(repository, auth ? `it asks for ${header || 'nothing known'}` : 'it asks for user and password')
  }

  async #fetchToken(wanted: ReturnType<typeof tokenRequest>, { repository, auth, signal }: Request): Promise<Token> {
    const { realm } = wanted
    if (realm.protocol === 'http:' && !allowsHttp(realm.host, this.#options.insecureRegistries)) {
      throw imageError(
        'IMAGE_INSECURE',
        `ask ${repository.domain} for access: its token server ${realm.host} has no TLS`,
      )
    }
    const headers = auth ? { authorization: basic(auth) } : {}
    const response = await this.#fetch(tokenUrl(wanted, auth), { headers, signal, repository })
    if (response.status === 401 || response.status === 403) {
      throw unauthorized(
        repository,
        `its token server ${realm.host} refuses ${auth ? `user ${auth.username}` : 'anonymous access'}`,
      )
    }
    if (!response.ok) throw await refusal(response, repository, 'ask for access to')
    const text = await readAtMost(response, maximumDocumentBytes, `token of ${realm.host}`)
    try {
      return parseToken(JSON.parse(text.toString()), this.#options.clock.now(), repository.domain)
    } catch (error) {
      if (error instanceof CoracleError) throw error
      throw imageError('IMAGE_REGISTRY', `ask ${realm.host} for access: its answer is no JSON`, { cause: error })
    }
  }

  async #successful(response: Response, { repository, path, auth }: Request): Promise<Response> {
    if (response.ok) return response
    if (response.status === 401 || response.status === 403) {
      await response.body?.cancel()
      throw unauthorized(repository, auth ? `it refuses user ${auth.username}` : 'it refuses anonymous access')
    }
    throw await refusal(response, repository, `fetch ${path} of`)
  }

  async #send(request: Request, authorization: string | undefined): Promise<Response> {
    const { repository, path, signal } = request
    const host = repository.domain === 'docker.io' ? 'registry-1.docker.io' : repository.domain
    const known = this.#schemes.get(host)
    const schemes = known ? [known] : schemesFor(host, this.#options.insecureRegistries)
    for (const [at, scheme] of schemes.entries()) {
      try {
        const url = new URL(path, `${scheme}://${host}/v2/${repository.path}/`)
        // An address that the registry gave may be another server's: what we identify with is not for that one.
        const headers = { ...request.headers, ...(authorization && url.host === host ? { authorization } : {}) }
        const response = await this.#fetch(url, { ...optionalsOf(request), headers, signal, repository })
        this.#schemes.set(host, scheme)
        return response
      } catch (error) {
        if (at === schemes.length - 1 || !hasCode(error, 'IMAGE_REGISTRY')) throw error
      }
    }
    throw imageError('IMAGE_REGISTRY', `reach registry ${host}: no scheme to try`)
  }

  async #fetch(url: URL, o: Omit<FetchOptions, 'insecureRegistries'> & { repository: Repository }): Promise<Response> {
    try {
      return await httpFetch(url, { ...o, insecureRegistries: this.#options.insecureRegistries })
    } catch (error) {
      o.signal?.throwIfAborted()
      if (error instanceof CoracleError) throw error
      throw unreachable(o.repository, `reach ${url.protocol}//${url.host} for`, error)
    }
  }
}

const nameOf = ({ domain, path }: Repository) => `${domain}/${path}`
const scopeOf = ({ action = 'pull' }: Request) => (action === 'push' ? 'pull,push' : 'pull')
const tokenKey = (request: Request) => {
  const { repository, auth } = request
  return JSON.stringify([repository.domain, repository.path, scopeOf(request), auth?.username, auth?.password])
}
const optionalsOf = ({ method, body }: Request) => ({ ...(method ? { method } : {}), ...(body ? { body } : {}) })

async function readAtMost(response: Response, limit: number, what: string): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of response.body ?? []) {
    size += chunk.length
    if (size > limit) throw imageError('IMAGE_REGISTRY', `fetch ${what}: the answer has more than ${limit} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

function unauthorized(repository: Repository, reason: string) {
  return imageError('IMAGE_UNAUTHORIZED', `pull from ${nameOf(repository)}: ${reason}`, {
    hint: 'give user and password for this registry; a repository that does not exist may be refused like this too',
  })
}

function unreachable(repository: Repository, verb: string, error: unknown) {
  const cause = (error as { cause?: unknown }).cause
  const reason = cause instanceof Error && cause.message ? cause.message : messageOf(cause ?? error)
  const isTls = /^(EPROTO|ERR_SSL_)/.test(String((cause as { code?: unknown } | undefined)?.code))
  return imageError('IMAGE_REGISTRY', `${verb} ${nameOf(repository)}: ${reason}`, {
    cause: error,
    retryable: true,
    ...(isTls ? { hint: `if ${repository.domain} has no TLS, name it as an insecure registry` } : {}),
  })
}

/** What a registry says when it refuses: `{"errors": [{"code", "message"}]}`. */
export async function refusal(response: Response, repository: Repository, verb: string) {
  const text = (await response.text().catch(() => '')).slice(0, 4096)
  const said = /"message"\s*:\s*"((?:[^"\\]|\\.)*)"/.exec(text)?.[1] ?? ''
  const reason = `${response.status} ${response.statusText}${said ? ` (${said})` : ''}`
  const code = response.status === 404 ? 'IMAGE_NOT_FOUND' : 'IMAGE_REGISTRY'
  return imageError(code, `${verb} ${nameOf(repository)}: the registry answers ${reason}`, {
    facts: { status: response.status },
    retryable: response.status === 429 || response.status >= 500,
  })
}
