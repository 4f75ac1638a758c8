import type { Readable } from 'node:stream'
import type { Clock } from '../../runtime/base/clock.ts'
import { CoracleError } from '../../runtime/base/errors.ts'
import { imageError } from '../errors.ts'
import { refusal, unreachable } from './answers.ts'
import type { Credentials } from './auth.ts'
import { type Endpoint, nameOf, type Repository } from './endpoints.ts'
import { type Answer, HttpClient, type HttpRequest } from './http.ts'
import { Identities, unauthorized, whoIs } from './identify.ts'
import type { Keychain } from './keychain.ts'
import type { Proxies } from './proxy.ts'
import type { Registries } from './registries.ts'

export interface RegistryOptions {
  clock: Clock
  random: () => number
  /** Registries that may be spoken to without TLS; loopback addresses always may. */
  insecureRegistries: readonly string[]
  registries: Registries
  proxies: Proxies
  /** Asked when a request names no user. */
  keychain: Keychain
  stalledAfterMs?: number
}

export interface RegistryRequest {
  repository: Repository
  /** Below `/v2/<path>/`, or an absolute address that the registry itself has given. */
  path: string
  /** What the request is for: whoever only reads asks for no more. `pull` when left out. */
  action?: 'pull' | 'pull,push' | 'pull,push,delete'
  /** Another repository of the same registry that is read from. */
  from?: string
  method?: NonNullable<HttpRequest['method']>
  body?: Uint8Array | (() => Readable)
  headers?: Record<string, string>
  auth: Credentials | undefined
  signal: AbortSignal | undefined
}

export type Access = Pick<RegistryRequest, 'auth' | 'signal'>

/** One request at one server, identified as the server wants it. */
export class RegistrySession {
  readonly #options: RegistryOptions
  readonly #http: HttpClient
  readonly #identities: Identities
  /** Which scheme a registry that may be insecure speaks, once known. */
  readonly #schemes = new Map<string, 'https' | 'http'>()

  constructor(options: RegistryOptions) {
    this.#options = options
    this.#identities = new Identities(options.clock)
    const { hosts, mirrors } = options.registries
    const named = [...mirrors.values()].flatMap(({ endpoints }) => endpoints)
    this.#http = new HttpClient({
      ...options,
      insecureRegistries: [
        ...options.insecureRegistries,
        ...named.filter(({ protocol }) => protocol === 'http:').map(({ host }) => host),
      ],
      settingsOf: (host) => hosts.get(host === 'registry-1.docker.io' ? 'docker.io' : host) ?? {},
    })
  }

  close(): void {
    this.#http.close()
  }

  /** A successful answer. Throws like `request` of the client. */
  async successful(request: RegistryRequest, endpoint: Endpoint): Promise<Answer> {
    const answer = await this.identified(request, endpoint)
    await this.requireSuccess(answer, request, endpoint)
    return answer
  }

  /** Throws `IMAGE_UNAUTHORIZED`, `IMAGE_NOT_FOUND` or `IMAGE_REGISTRY` unless the answer is one of success. */
  async requireSuccess(answer: Answer, request: RegistryRequest, endpoint: Endpoint): Promise<void> {
    if (answer.status >= 200 && answer.status < 300) return
    if (answer.status === 401 || answer.status === 403) {
      answer.discard()
      const who = whoIs(await this.#userOf(request, endpoint))
      throw unauthorized(`${endpoint.host} for ${nameOf(request.repository)}`, `it refuses ${who}`)
    }
    throw await refusal(answer, `${verbOf(request)} of ${nameOf(request.repository)}`, this.#options.clock.now())
  }

  /** An answer of any kind, after the registry's questions of who we are. */
  async identified(request: RegistryRequest, endpoint: Endpoint): Promise<Answer> {
    const { action = 'pull', from, signal } = request
    const scopes = [`repository:${endpoint.path}:${action}`, ...(from ? [`repository:${from}:pull`] : [])]
    const identity = { host: endpoint.host, scopes, auth: await this.#userOf(request, endpoint) }
    const first = await this.#send(request, endpoint, this.#identities.known(identity))
    if (first.status !== 401) return first
    first.discard()
    const challenge = first.header('www-authenticate') ?? ''
    const authorization = await this.#identities.answer(challenge, identity, (url, asked) =>
      this.#http.request(url, { ...asked, signal }).catch((error: unknown) => {
        signal?.throwIfAborted()
        throw unreachable(`ask ${url.host} for access to ${nameOf(request.repository)}`, error)
      }),
    )
    return this.#send(request, endpoint, authorization)
  }

  /** A user who was named for a registry is nobody on its mirrors. */
  async #userOf({ auth, repository, signal }: RegistryRequest, { host, namespace, path }: Endpoint) {
    if (namespace === undefined && auth) return auth
    const domain = namespace === undefined ? repository.domain : host
    return this.#options.registries.hosts.get(domain)?.auth ?? this.#options.keychain({ domain, path }, signal)
  }

  async #send(request: RegistryRequest, endpoint: Endpoint, authorization: string | undefined): Promise<Answer> {
    const { method = 'GET', body, signal } = request
    const { host, namespace } = endpoint
    const known = this.#schemes.get(host)
    const schemes = known && endpoint.schemes.length > 1 ? [known] : endpoint.schemes
    for (const [at, scheme] of schemes.entries()) {
      try {
        const url = new URL(request.path, `${scheme}://${host}/v2/${endpoint.path}/`)
        if (namespace !== undefined) url.searchParams.set('ns', namespace)
        // An address that the registry gave may be another server's: what we identify with is not for that one.
        const headers = { ...request.headers, ...(authorization && url.host === host ? { authorization } : {}) }
        const answer = await this.#http.request(url, { method, headers, ...(body ? { body } : {}), signal })
        this.#schemes.set(host, scheme)
        return answer
      } catch (error) {
        signal?.throwIfAborted()
        if (at === schemes.length - 1 || error instanceof CoracleError) {
          throw unreachable(`${verbOf(request)} of ${nameOf(request.repository)} from ${scheme}://${host}`, error)
        }
      }
    }
    throw imageError('IMAGE_REGISTRY', `reach registry ${host}: no scheme to try`)
  }
}

const verbOf = ({ method = 'GET', path }: RegistryRequest) =>
  `${method === 'GET' ? 'fetch' : method} ${/^https?:/.test(path) ? 'upload' : path}`
