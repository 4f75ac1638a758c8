/** Requests that somebody else answers: a kubelet logs and connections that leave HTTP, pods and services what is asked through `proxy`. */
import type { Kind } from '../api/kinds/kind.ts'
import { badRequest, methodNotAllowed, StatusError, toStatus, unknownResource } from '../api/status.ts'
import { allowedUser } from './allowed-user.ts'
import type { Answer, StreamedAnswer } from './answer.ts'
import type { Authenticate } from './authenticator.ts'
import { attributesOf, refuseUnlessAllowed } from './authorization.ts'
import type { Incoming } from './incoming.ts'
import {
  endWithError,
  type KubeletAccess,
  streamFromKubelet,
  type UpgradingClient,
  upgradeToKubelet,
} from './kubelet-proxy.ts'
import { proxyAnswer, proxyUpgrade } from './proxy.ts'
import { isProxied, proxyTargetOf } from './proxy-target.ts'
import type { Registry } from './registry.ts'
import { type ResourceRequest, requestInfoOf } from './request-info.ts'
import type { Serving } from './serving.ts'
import { isConnection, type KubeletTarget, kubeletTargetOf } from './verbs/connect.ts'
import { logOverWebSocket } from './websocket-log.ts'
import { watchOverWebSocket } from './websocket-watch.ts'

const emptyLog: Answer = { status: 200, contentType: 'text/plain', body: '' }

/** The answer to `proxy`, to `pods/log` and to an exec that does not ask for an upgrade; undefined for all other requests. */
export function handleConnection(
  registry: Registry,
  access: KubeletAccess,
  request: { incoming: Incoming; info: ResourceRequest },
): Answer | StreamedAnswer | undefined {
  const { incoming, info } = request
  if (isProxied(info)) {
    checkVerb(registry, info)
    const { method, path, query } = incoming
    const search = query.toString()
    const url = search === '' ? path : `${path}?${search}`
    return proxyAnswer(proxyTargetOf(registry, info), access, { method, url })
  }
  if (!isForKubelet(info)) return undefined
  const target = targetOf(registry, info, incoming.query)
  if (info.subresource !== 'log') throw badRequest('Upgrade request required')
  return target ? streamFromKubelet(target, access) : emptyLog
}

function isForKubelet({ group, resource, subresource }: ResourceRequest): boolean {
  return group === '' && resource === 'pods' && isConnection(subresource)
}

function targetOf(registry: Registry, info: ResourceRequest, query: URLSearchParams): KubeletTarget | undefined {
  const kind = checkVerb(registry, info)
  const { subresource, name, namespace } = info
  if (namespace === undefined || !isConnection(subresource)) throw unknownResource()
  return kubeletTargetOf(registry, { kind, namespace, name }, { connection: subresource, query })
}

function checkVerb(registry: Registry, info: ResourceRequest): Kind {
  const kind = registry.kinds.find(info)
  const subresource = kind?.subresources.find(({ name }) => name === info.subresource)
  if (!kind || !subresource || kind.namespaced !== (info.namespace !== undefined)) throw unknownResource()
  if (!subresource.verbs.includes(info.verb)) throw methodNotAllowed()
  return kind
}

export interface UpgradeServing
  extends Pick<Serving, 'registry' | 'authorizer' | 'access' | 'audit' | 'anonymousAuth'> {
  readonly authenticate: Authenticate
}

/** Takes over a connection whose client asks to leave HTTP. Whatever is wrong is answered, and the connection ends. */
export async function handleUpgrade(serving: UpgradeServing, client: UpgradingClient): Promise<void> {
  const { request, socket } = client
  socket.on('error', () => socket.destroy())
  const { method = 'GET', url = '/', headers, rawHeaders } = request
  const parsed = URL.parse(url, 'https://server')
  const { pathname: path = '/', searchParams: query = new URLSearchParams() } = parsed ?? {}
  const wire = { uri: url, address: request.socket.remoteAddress ?? '', rawHeaders }
  const record = serving.audit?.begin({ method, path, query, headers, wire })
  try {
    if (!parsed) throw badRequest('the URL of the request cannot be read')
    const info = requestInfoOf(method, path, query)
    record?.means(info)
    const user = allowedUser(
      serving,
      { user: await serving.authenticate(request), path, query, rawHeaders },
      { info, record },
    )
    if (info.type === 'resource' && isProxied(info)) {
      checkVerb(serving.registry, info)
      proxyUpgrade(proxyTargetOf(serving.registry, info), serving.access, client)
      record?.upgraded(socket)
      return
    }
    if (info.type === 'resource' && info.verb === 'watch') {
      const incoming = { method, path, query, headers, user, body: new Uint8Array(), warnings: [] }
      await watchOverWebSocket(serving.registry, { incoming, info }, client)
      record?.upgraded(socket)
      return
    }
    if (info.type === 'resource' && isForKubelet(info) && info.subresource === 'log') {
      const log = targetOf(serving.registry, info, query)
      if (!log) throw badRequest(`pod ${info.name} does not have a host assigned`)
      logOverWebSocket(log, serving.access, client)
      record?.upgraded(socket)
      return
    }
    if (info.type !== 'resource' || !isForKubelet(info)) {
      throw badRequest('this path does not take an upgrade')
    }
    // A WebSocket begins with GET, but it is no reading: since Kubernetes 1.35 (AuthorizePodWebsocketUpgradeCreatePermission) it asks for both.
    refuseUnlessAllowed(serving.authorizer, { ...attributesOf({ user, path, query }, info), verb: 'create' })
    const target = targetOf(serving.registry, info, query)
    if (!target) throw badRequest(`pod ${info.name} does not have a host assigned`)
    upgradeToKubelet(target, serving.access, client)
    record?.upgraded(socket)
  } catch (error) {
    const refused = error instanceof StatusError ? error : new StatusError(toStatus(error))
    record?.complete(refused.status)
    endWithError(client, refused)
  }
}
