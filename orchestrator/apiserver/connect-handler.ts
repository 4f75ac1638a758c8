/** Requests that a kubelet answers: logs over HTTP, and connections that leave HTTP. */
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { badRequest, methodNotAllowed, StatusError, toStatus, unauthorized, unknownResource } from '../api/status.ts'
import type { User } from '../api/user.ts'
import type { Authorizer } from '../auth/authorize.ts'
import type { Answer, StreamedAnswer } from './answer.ts'
import { attributesOf, refuseUnlessAllowed } from './authorization.ts'
import type { Incoming } from './incoming.ts'
import { endWithError, type KubeletAccess, streamFromKubelet, upgradeToKubelet } from './kubelet-proxy.ts'
import type { Registry } from './registry.ts'
import { type ResourceRequest, requestInfoOf } from './request-info.ts'
import { isConnection, type KubeletTarget, kubeletTargetOf } from './verbs/connect.ts'

const emptyLog: Answer = { status: 200, contentType: 'text/plain', body: '' }

/** The answer to `pods/log` and to an exec that does not ask for an upgrade; undefined for all other requests. */
export function handleConnection(
  registry: Registry,
  access: KubeletAccess,
  request: { incoming: Incoming; info: ResourceRequest },
): Answer | StreamedAnswer | undefined {
  const { incoming, info } = request
  if (!isForKubelet(info)) return undefined
  const target = targetOf(registry, info, incoming.query)
  if (info.subresource !== 'log') throw badRequest('Upgrade request required')
  return target ? streamFromKubelet(target, access) : emptyLog
}

function isForKubelet({ group, resource, subresource }: ResourceRequest): boolean {
  return group === '' && resource === 'pods' && isConnection(subresource)
}

function targetOf(registry: Registry, info: ResourceRequest, query: URLSearchParams): KubeletTarget | undefined {
  const kind = registry.kinds.find(info)
  const { subresource, verb, name, namespace } = info
  if (!kind || namespace === undefined || !isConnection(subresource)) throw unknownResource()
  if (!kind.subresources.find((sub) => sub.name === subresource)?.verbs.includes(verb)) throw methodNotAllowed()
  return kubeletTargetOf(registry, { kind, namespace, name }, { connection: subresource, query })
}

export interface UpgradeServing {
  readonly registry: Registry
  readonly authorizer: Authorizer
  readonly access: KubeletAccess
  authenticate(request: IncomingMessage): User | null
}

/** Takes over a connection whose client asks to leave HTTP. Whatever is wrong is answered, and the connection ends. */
export function handleUpgrade(
  serving: UpgradeServing,
  client: { request: IncomingMessage; socket: Duplex; head: Buffer },
): void {
  const { request, socket } = client
  socket.on('error', () => socket.destroy())
  try {
    const user = serving.authenticate(request)
    if (!user) throw unauthorized()
    const { pathname: path, searchParams: query } = new URL(request.url ?? '/', 'https://server')
    const info = requestInfoOf(request.method ?? 'GET', path, query)
    refuseUnlessAllowed(serving.authorizer, attributesOf({ user, path }, info))
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
