import type { Agent, IncomingMessage } from 'node:http'
import { Agent as TlsAgent, request as tlsRequest } from 'node:https'
import type { Socket } from 'node:net'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { CoracleError } from '../../runtime/base/errors.ts'
import { imageError } from '../errors.ts'
import { isLoopback, type Proxies, proxyFor } from './proxy.ts'

/** By name, not by import: that reads all of node:http, and reading one of its names loads a fetch client: 50 ms and 14 MB. */
const { Agent: PlainAgent, request: plainRequest } = process.getBuiltinModule('node:http')

const maximumRedirects = 5
const stalledAfterMs = 60_000
/** A registry answers an upload when it has digested all of it. */
const digestsWithinMs = 900_000
/** What is left of an answer that nobody reads: so much is read to keep the connection. */
const worthReadingBytes = 65_536

/** How one host is spoken to, where that is not the usual way. PEM texts. */
export interface HostSettings {
  ca?: string
  cert?: string
  key?: string
  /** False: any certificate will do. */
  verify?: boolean
  /** Instead of the proxy of the environment; empty for none. */
  proxy?: string
}

export interface HttpOptions {
  /** Registries (`host` or `host:port`) that may be spoken to without TLS; loopback always may. */
  insecureRegistries: readonly string[]
  settingsOf: (host: string) => HostSettings
  proxies: Proxies
  /** A connection on which nothing moves for so long is given up; default one minute. */
  stalledAfterMs?: number
}

export interface HttpRequest {
  /** GET when left out. */
  method?: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  headers: Record<string, string>
  /** A stream is made anew for every attempt. */
  body?: Uint8Array | (() => Readable)
  signal: AbortSignal | undefined
}

/** The head of an answer; whoever does not read its body must `discard` it. */
export interface Answer {
  /** The address that answered, after redirects. */
  url: URL
  status: number
  statusText: string
  header(name: string): string | undefined
  body: AsyncIterable<Buffer>
  discard(): void
}

/** True for hosts that may be spoken to without TLS: loopback, and those that the operator has named. */
export function allowsHttp(host: string, insecureRegistries: readonly string[]): boolean {
  const { hostname } = new URL(`http://${host}`)
  return isLoopback(hostname) || insecureRegistries.includes(host) || insecureRegistries.includes(hostname)
}

/** HTTP with connections that are kept, to registries and wherever they lead. */
export class HttpClient {
  readonly #options: HttpOptions
  readonly #agents = new Map<string, Agent | TlsAgent>()
  readonly #heard = new WeakSet<Socket>()

  constructor(options: HttpOptions) {
    this.#options = options
  }

  /**
   * A request with redirects followed (not those of a body): credentials stay with the host that asked for them, and no
   * redirect leads from TLS to a host that may not be spoken to without it. Throws the errors of sockets and TLS, and
   * `IMAGE_REGISTRY`, `IMAGE_INSECURE`.
   */
  async request(start: URL, request: HttpRequest): Promise<Answer> {
    let url = start
    let { headers } = request
    for (let count = 0; count <= maximumRedirects; count++) {
      if (url.protocol === 'http:' && !allowsHttp(url.host, this.#options.insecureRegistries)) {
        const verb = url === start ? `reach ${url.host}: it` : `follow ${start.host}: it leads to ${url.host}, which`
        throw imageError('IMAGE_INSECURE', `${verb} has no TLS`)
      }
      const answer = await this.#send(url, { ...request, headers })
      const location = answer.header('location')
      if (request.body || answer.status < 300 || answer.status >= 400 || !location) return answer
      answer.discard()
      const next = URL.parse(location, url.href)
      if (!next || !/^https?:$/.test(next.protocol)) {
        throw imageError('IMAGE_REGISTRY', `follow ${url.host}: it leads to ${JSON.stringify(location)}`)
      }
      if (next.origin !== url.origin) headers = withoutCredentials(headers)
      url = next
    }
    throw imageError('IMAGE_REGISTRY', `follow ${start.host}: more than ${maximumRedirects} redirects`)
  }

  /** Ends the connections that are kept. */
  close(): void {
    for (const agent of this.#agents.values()) agent.destroy()
    this.#agents.clear()
  }

  #send(url: URL, { method = 'GET', headers, body, signal }: HttpRequest): Promise<Answer> {
    signal?.throwIfAborted()
    const { promise, resolve, reject } = Promise.withResolvers<Answer>()
    const send = url.protocol === 'https:' ? tlsRequest : plainRequest
    const request = send(url, {
      method,
      headers: {
        'user-agent': 'coracle',
        'accept-encoding': 'identity',
        ...(body instanceof Uint8Array ? { 'content-length': String(body.length) } : {}),
        ...headers,
      },
      agent: this.#agentFor(url),
      ...(signal ? { signal } : {}),
    })
    const limitMs = body ? digestsWithinMs : (this.#options.stalledAfterMs ?? stalledAfterMs)
    request.setTimeout(limitMs, () => request.destroy(stalled(url, limitMs)))
    request.once('socket', (socket) => this.#outlives(socket))
    request.once('error', (error) => reject(signal?.aborted ? signal.reason : error))
    request.once('response', (message) => resolve(answerOf(url, message)))
    if (typeof body === 'function') void pipeline(body(), request).catch(reject)
    else request.end(body)
    return promise
  }

  /**
   * Node takes its own listener off a socket that goes back to be kept, also when that socket has been destroyed in the same
   * moment by a signal: the error, which the request has told already, would end the process.
   */
  #outlives(socket: Socket): void {
    if (this.#heard.has(socket)) return
    this.#heard.add(socket)
    socket.on('error', () => {})
  }

  #agentFor(url: URL): Agent | TlsAgent {
    const { proxy: own, verify = true, ...pem } = this.#options.settingsOf(url.host)
    const proxy = own === '' ? undefined : (own ?? proxyFor(url, this.#options.proxies))
    const isTls = url.protocol === 'https:'
    const key = JSON.stringify([isTls, proxy, verify, pem])
    const known = this.#agents.get(key)
    if (known) return known
    const common = { keepAlive: true, ...(proxy ? { proxyEnv: { HTTP_PROXY: proxy, HTTPS_PROXY: proxy } } : {}) }
    const agent = isTls ? new TlsAgent({ ...common, ...pem, rejectUnauthorized: verify }) : new PlainAgent(common)
    this.#agents.set(key, agent)
    return agent
  }
}

function answerOf(url: URL, message: IncomingMessage): Answer {
  return {
    url,
    status: message.statusCode ?? 0,
    statusText: message.statusMessage ?? '',
    header(name) {
      const value = message.headers[name]
      return Array.isArray(value) ? value.join(', ') : value
    },
    body: message,
    discard() {
      const left = Number(message.headers['content-length'] ?? Number.POSITIVE_INFINITY)
      if (left <= worthReadingBytes) message.resume()
      else message.destroy()
    },
  }
}

function stalled(url: URL, limitMs: number): CoracleError {
  return imageError('IMAGE_REGISTRY', `read from ${url.host}: nothing came for ${limitMs / 1000} s`, {
    retryable: true,
  })
}

function withoutCredentials(headers: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => name !== 'authorization'))
}
