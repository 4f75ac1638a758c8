import type { IncomingMessage } from 'node:http'
import { Agent, type RequestOptions, request } from 'node:https'
import { messageOf } from '../../runtime/base/errors.ts'
import { fromStatus, internalError } from '../api/status.ts'
import type { KubeObject, ResourceRef, Status } from '../api/types.ts'
import type { ApiClient, ListOptions, PatchType, WatchEvent, WatchOptions } from './api-client.ts'
import { clientError } from './errors.ts'
import { pathOf, queryOf } from './resource-path.ts'

export interface HttpsClientOptions {
  /** `https://host:port`. */
  readonly server: string
  readonly caPem: string
  readonly user: { readonly certificatePem: string; readonly privateKeyPem: string }
}

/** A client that holds connections; `close` ends them and every watch. */
export interface HttpsClient extends ApiClient {
  close(): void
}

const patchTypes: Readonly<Record<PatchType, string>> = {
  json: 'application/json-patch+json',
  merge: 'application/merge-patch+json',
  apply: 'application/apply-patch+yaml',
  strategic: 'application/strategic-merge-patch+json',
}

const answerWithinMilliseconds = 60_000

/** The API over HTTPS with a client certificate. Connections are kept and used again. */
export function httpsClient(options: HttpsClientOptions): HttpsClient {
  const wire = new Wire(options)
  return {
    get: (resource, key) => wire.call(resource, { method: 'GET', path: pathOf(resource, key) }),
    async list<T extends KubeObject>(resource: ResourceRef<T>, listOptions: ListOptions = {}) {
      const path = withQuery(pathOf(resource, listOptions), queryOf(listOptions))
      const list = await wire.json<{ items: T[]; metadata: { resourceVersion: string } }>({ method: 'GET', path })
      return { items: list.items.map((item) => typed(resource, item)), resourceVersion: list.metadata.resourceVersion }
    },
    create: (resource, object) =>
      wire.call(resource, {
        method: 'POST',
        path: pathOf(resource, { ...namespaceOf(object) }),
        body: typed(resource, object),
      }),
    createSubresource: (resource, key, subresource, body) =>
      wire.json({ method: 'POST', path: pathOf(resource, { ...key, subresource }), body }),
    update(resource, object, subresource) {
      const key = { name: object.metadata?.name ?? '', ...namespaceOf(object), ...(subresource ? { subresource } : {}) }
      return wire.call(resource, { method: 'PUT', path: pathOf(resource, key), body: typed(resource, object) })
    },
    patch(resource, key, { type, body, subresource }) {
      const path = pathOf(resource, { ...key, ...(subresource ? { subresource } : {}) })
      return wire.call(resource, { method: 'PATCH', path, body, contentType: patchTypes[type] })
    },
    async delete(resource, key, deleteOptions = {}) {
      const body = { kind: 'DeleteOptions', apiVersion: 'v1', ...deleteOptions }
      await wire.json({ method: 'DELETE', path: pathOf(resource, key), body })
    },
    watch: (resource, watchOptions) => watch(wire, resource, watchOptions),
    close: () => wire.close(),
  }
}

const namespaceOf = ({ metadata }: KubeObject) => (metadata?.namespace ? { namespace: metadata.namespace } : {})

function typed<T extends KubeObject>(resource: ResourceRef<T>, object: T): T {
  const apiVersion = resource.group === '' ? resource.version : `${resource.group}/${resource.version}`
  return { ...object, kind: resource.kind, apiVersion }
}

const withQuery = (path: string, query: URLSearchParams) => (query.size > 0 ? `${path}?${query}` : path)

interface Call {
  readonly method: string
  readonly path: string
  readonly body?: unknown
  readonly contentType?: string
  readonly signal?: AbortSignal
}

/** The connections to one server. */
class Wire {
  readonly #agent: Agent
  readonly #server: URL
  readonly #closed = new AbortController()

  constructor({ server, caPem, user }: HttpsClientOptions) {
    this.#server = new URL(server)
    this.#agent = new Agent({ keepAlive: true, ca: caPem, cert: user.certificatePem, key: user.privateKeyPem })
  }

  async call<T extends KubeObject>(resource: ResourceRef<T>, call: Call): Promise<T> {
    return typed(resource, await this.json<T>(call))
  }

  async json<T>(call: Call): Promise<T> {
    const response = await this.open({ ...call, signal: AbortSignal.timeout(answerWithinMilliseconds) })
    return JSON.parse(await textOf(response, call)) as T
  }

  /** The response when its head is there and says success. Throws the StatusError of the server, CONNECTION_LOST. */
  async open(call: Call): Promise<IncomingMessage> {
    if (this.#closed.signal.aborted)
      throw clientError('CLIENT_CLOSED', `${call.method} ${call.path}: the client is closed`)
    const response = await this.#send(call)
    const { statusCode = 0 } = response
    if (statusCode >= 200 && statusCode < 300) return response
    throw asStatusError(statusCode, await textOf(response, call))
  }

  close(): void {
    this.#closed.abort()
    this.#agent.destroy()
  }

  #send(call: Call): Promise<IncomingMessage> {
    const { method, path, contentType = 'application/json' } = call
    const body = call.body === undefined ? undefined : Buffer.from(JSON.stringify(call.body))
    const signal = AbortSignal.any([this.#closed.signal, ...(call.signal ? [call.signal] : [])])
    const options: RequestOptions = {
      agent: this.#agent,
      host: this.#server.hostname,
      port: this.#server.port,
      method,
      path,
      signal,
      headers: {
        Accept: 'application/json',
        'User-Agent': 'coracle',
        ...(body ? { 'Content-Type': contentType, 'Content-Length': body.length } : {}),
      },
    }
    return new Promise((resolve, reject) => {
      const sent = request(options, resolve)
      sent.once('error', (error) =>
        reject(clientError('CONNECTION_LOST', `${method} ${path}: ${messageOf(error)}`, error)),
      )
      sent.end(body)
    })
  }
}

async function textOf(response: IncomingMessage, { method, path }: Call): Promise<string> {
  try {
    const chunks: Buffer[] = []
    for await (const chunk of response) chunks.push(chunk as Buffer)
    return Buffer.concat(chunks).toString()
  } catch (error) {
    throw clientError('CONNECTION_LOST', `${method} ${path}: ${messageOf(error)}`, error)
  }
}

function asStatusError(code: number, text: string): Error {
  try {
    const status = JSON.parse(text) as Status
    if (status.kind === 'Status') return fromStatus({ ...status, code: status.code ?? code })
  } catch {
    // Not from an API server: answered below.
  }
  return fromStatus({ ...internalError(`the server answered ${code}: ${text.slice(0, 200)}`).status, code })
}

async function* watch<T extends KubeObject>(
  wire: Wire,
  resource: ResourceRef<T>,
  options: WatchOptions,
): AsyncGenerator<WatchEvent<T>> {
  const { signal, resourceVersion } = options
  const query = queryOf(options, { watch: '1', allowWatchBookmarks: 'true', resourceVersion })
  const call = { method: 'GET', path: withQuery(pathOf(resource, options), query), signal }
  try {
    const response = await wire.open(call)
    for await (const line of linesOf(response)) {
      const event = JSON.parse(line) as WatchEvent<T> | { type: 'ERROR'; object: Status }
      if (event.type === 'ERROR') throw fromStatus(event.object)
      yield event
    }
  } catch (error) {
    if (signal.aborted) return
    if ((error as Error).name === 'StatusError' || (error as { code?: string }).code === 'CLIENT_CLOSED') throw error
    throw clientError('CONNECTION_LOST', `watch ${call.path}: ${messageOf(error)}`, error)
  }
}

async function* linesOf(response: IncomingMessage): AsyncGenerator<string> {
  response.setEncoding('utf8')
  let rest = ''
  for await (const chunk of response) {
    const lines = (rest + (chunk as string)).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) if (line !== '') yield line
  }
}
