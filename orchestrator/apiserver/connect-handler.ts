/** Requests that a kubelet answers: logs over HTTP, and connections that leave HTTP. */
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { badRequest, methodNotAllowed, StatusError, toStatus, unknownResource } from '../api/status.ts'
import { allowedUser } from './allowed-user.ts'
import type { Answer, StreamedAnswer } from './answer.ts'
import type { Authenticate } from './authenticator.ts'
import { attributesOf, refuseUnlessAllowed } from './authorization.ts'
import type { Incoming } from './incoming.ts'
import { endWithError, type KubeletAccess, streamFromKubelet, upgradeToKubelet } from './kubelet-proxy.ts'
import type { Registry } from './registry.ts'
import { type ResourceRequest, requestInfoOf } from './request-info.ts'
import type { Serving } from './serving.ts'
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

export interface UpgradeServing
  extends Pick<Serving, 'registry' | 'authorizer' | 'access' | 'audit' | 'anonymousAuth'> {
  readonly authenticate: Authenticate
}

interface Client {
  readonly request: IncomingMessage
  readonly socket: Duplex
  readonly head: Buffer
}

/** Takes over a connection whose client asks to leave HTTP. Whatever is wrong is answered, and the connection ends. */
export async function handleUpgrade(serving: UpgradeServing, client: Client): Promise<void> {
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
    if (info.type !== 'resource' || !isForKubelet(info) || info.subresource === 'log') {
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
    endWithError(socket, refused)
  }
}
