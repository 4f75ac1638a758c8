/** Requests that somebody else answers: a kubelet logs and connections that leave HTTP, pods and services what is asked through `proxy`. */
import type { IncomingMessage } from 'node:http'
import type { Kind } from '../api/kinds/kind.ts'
import { badRequest, methodNotAllowed, StatusError, toStatus, unauthorized, unknownResource } from '../api/status.ts'
import type { User } from '../api/user.ts'
import type { Authorizer } from '../auth/authorize.ts'
import type { Answer, StreamedAnswer } from './answer.ts'
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
import { isConnection, type KubeletTarget, kubeletTargetOf } from './verbs/connect.ts'

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

export interface UpgradeServing {
  readonly registry: Registry
  readonly authorizer: Authorizer
  readonly access: KubeletAccess
  authenticate(request: IncomingMessage): User | null
}

/** Takes over a connection whose client asks to leave HTTP. Whatever is wrong is answered, and the connection ends. */
export function handleUpgrade(serving: UpgradeServing, client: UpgradingClient): void {
  const { request, socket } = client
  socket.on('error', () => socket.destroy())
  try {
    const user = serving.authenticate(request)
    if (!user) throw unauthorized()
    const { pathname: path, searchParams: query } = new URL(request.url ?? '/', 'https://server')
    const info = requestInfoOf(request.method ?? 'GET', path, query)
    refuseUnlessAllowed(serving.authorizer, attributesOf({ user, path }, info))
    if (info.type === 'resource' && isProxied(info)) {
      checkVerb(serving.registry, info)
      proxyUpgrade(proxyTargetOf(serving.registry, info), serving.access, client)
      return
    }
    if (info.type !== 'resource' || !isForKubelet(info) || info.subresource === 'log') {
      throw badRequest('this path does not take an upgrade')
    }
    const target = targetOf(serving.registry, info, query)
    if (!target) throw badRequest(`pod ${info.name} does not have a host assigned`)
    upgradeToKubelet(target, serving.access, client)
  } catch (error) {
    endWithError(socket, error instanceof StatusError ? error : new StatusError(toStatus(error)))
  }
}
