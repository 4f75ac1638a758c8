/**
 * Where `proxy` of a pod, service or node leads. Source: ResourceLocation in k8s.io/kubernetes/pkg/registry/core/{pod/
 * strategy.go,service/storage/storage.go,node/strategy.go}; which addresses: k8s.io/apimachinery/pkg/util/proxy.
 */
import { BlockList, isIP, isIPv4 } from 'node:net'
import type { Kind } from '../api/kinds/kind.ts'
import { nodeKind } from '../api/kinds/node.ts'
import { podKind } from '../api/kinds/pod.ts'
import { endpointSliceKind, endpointsKind, serviceKind } from '../api/kinds/service.ts'
import { badRequest, notFound, unavailable } from '../api/status.ts'
import type { EndpointSlice, Endpoints, KubeObject, Node, Pod, Service } from '../api/types.ts'
import type { Registry } from './registry.ts'
import type { ResourceRequest } from './request-info.ts'
import { getStored } from './stored.ts'
import { kubeletAddressOf } from './verbs/connect.ts'

export interface ProxyTarget {
  readonly scheme: 'http' | 'https'
  readonly host: string
  readonly port: number
  /** True for a kubelet: it is shown our certificate, and has to show one of the cluster's. */
  readonly isKubelet: boolean
}

/** True for `pods/proxy`, `services/proxy` and `nodes/proxy`. */
export function isProxied({ group, resource, subresource }: ResourceRequest): boolean {
  return group === '' && subresource === 'proxy' && Object.hasOwn(locate, resource)
}

/** Throws NOT_FOUND, BAD_REQUEST (name, address), SERVICE_UNAVAILABLE (nobody is behind it). */
export function proxyTargetOf(registry: Registry, { resource, namespace = '', name }: ResourceRequest): ProxyTarget {
  const asked = partsOf(resource.slice(0, -1), name)
  const find = locate[resource as keyof typeof locate]
  return find(registry, { ...asked, namespace, id: name })
}

interface Asked {
  readonly scheme: 'http' | 'https' | ''
  readonly name: string
  readonly port: string
  readonly namespace: string
  /** All of it as in the path. */
  readonly id: string
}

/** `name`, `name:port` or `scheme:name:port`, each of scheme and port maybe empty. */
function partsOf(what: string, id: string): Pick<Asked, 'scheme' | 'name' | 'port'> {
  const parts = id.split(':')
  const [scheme = '', name = '', port = ''] = parts.length < 3 ? ['', ...parts] : parts
  if (parts.length > 3 || name === '' || (scheme !== '' && scheme !== 'http' && scheme !== 'https')) {
    throw badRequest(`invalid ${what} request ${JSON.stringify(id)}`)
  }
  return { scheme, name, port }
}

const locate = { pods: locatePod, services: locateService, nodes: locateNode } as const

function locatePod(registry: Registry, asked: Asked): ProxyTarget {
  const pod = getStored(registry, placeOf(podKind as unknown as Kind, asked)) as Pod
  const ports = (pod.spec?.containers ?? []).flatMap((container) => container.ports ?? [])
  const named = ports.find(({ name }) => name === asked.port)?.containerPort
  const port = asked.port === '' ? ports[0]?.containerPort : (named ?? numberOf(asked, 'pod'))
  const scheme = asked.scheme || 'http'
  return outside({ scheme, host: pod.status?.podIP ?? '', port: port ?? (scheme === 'https' ? 443 : 80) })
}

function locateNode(registry: Registry, asked: Asked): ProxyTarget {
  const node = getStored(registry, { kind: nodeKind as unknown as Kind, name: asked.name }) as Node
  const kubelet = kubeletAddressOf(node)
  const port = asked.port === '' ? kubelet.port : numberOf(asked, 'node')
  // The kubelet may listen anywhere, a loopback address included: its certificate says whom we talk to.
  if (port === kubelet.port) return { scheme: 'https', ...kubelet, isKubelet: true }
  return outside({ scheme: asked.scheme || 'http', host: kubelet.host, port })
}

function locateService(registry: Registry, asked: Asked): ProxyTarget {
  const service = getStored(registry, placeOf(serviceKind as unknown as Kind, asked)) as Service
  const wanted = portNameOf(service, asked)
  const usable = endpointsOf(registry, asked).filter(
    (endpoint) => endpoint.portName === wanted && isOfItsPod(registry, asked.namespace, endpoint),
  )
  const chosen = usable[registry.random(Math.max(1, usable.length))]
  if (!chosen) throw unavailable(`no endpoints available for service ${JSON.stringify(asked.id)}`)
  return outside({ scheme: asked.scheme || 'http', host: chosen.ip, port: chosen.port })
}

function portNameOf({ spec }: Service, { port, name }: Asked): string {
  if (!/^\d+$/.test(port)) return port
  const found = spec?.ports?.find((each) => each.port === Number(port))
  if (!found) throw unavailable(`no service port ${port} found for service ${JSON.stringify(name)}`)
  return found.name ?? ''
}

interface Endpoint {
  readonly ip: string
  readonly port: number
  readonly portName: string
  readonly target: { kind?: string; name?: string; uid?: string } | undefined
}

/** From the service's slices; from its Endpoints where there are none. */
function endpointsOf(registry: Registry, asked: Asked): Endpoint[] {
  const slices = registry
    .cacheOf(endpointSliceKind as unknown as Kind)
    .listBelow(`${endpointSliceKind.storedAt}${asked.namespace}/`)
    .map(({ value }) => value as EndpointSlice)
    .filter(({ metadata }) => metadata?.labels?.['kubernetes.io/service-name'] === asked.name)
  if (slices.length > 0) return slices.flatMap(ofSlice)
  const { subsets = [] } = (find(registry, placeOf(endpointsKind as unknown as Kind, asked)) ?? {}) as Endpoints
  return subsets.flatMap(({ addresses = [], ports = [] }) =>
    addresses.flatMap(({ ip, targetRef }) =>
      ports.map(({ name = '', port }) => ({ ip, port, portName: name, target: targetRef })),
    ),
  )
}

function ofSlice({ endpoints = [], ports = [] }: EndpointSlice): Endpoint[] {
  const ready = endpoints.filter(({ conditions }) => conditions?.ready !== false)
  return ready.flatMap(({ addresses, targetRef }) =>
    addresses.flatMap((ip) =>
      ports.flatMap(({ name = '', port }) =>
        port === undefined ? [] : [{ ip, port, portName: name, target: targetRef }],
      ),
    ),
  )
}

/** Whoever may write endpoints must not be able to send us anywhere: an address has to be its pod's (CVE-2020-8562's kin). */
function isOfItsPod(registry: Registry, namespace: string, { ip, target }: Endpoint): boolean {
  if (target?.kind !== 'Pod' || !target.name) return false
  const pod = find(registry, { kind: podKind as unknown as Kind, namespace, name: target.name }) as Pod | undefined
  if (!pod || (target.uid && target.uid !== pod.metadata?.uid)) return false
  return [pod.status?.podIP, ...(pod.status?.podIPs ?? []).map((each) => each.ip)].includes(ip)
}

const placeOf = (kind: Kind, { namespace, name }: Asked) => ({ kind, namespace, name })

function find(registry: Registry, place: { kind: Kind; namespace: string; name: string }): KubeObject | undefined {
  try {
    return getStored(registry, place)
  } catch (error) {
    if ((error as { code?: string }).code === notFound(place.kind, place.name).code) return undefined
    throw error
  }
}

function numberOf({ port, id }: Asked, what: string): number {
  const number = Number(port)
  if (/^\d+$/.test(port) && number > 0 && number < 65536) return number
  throw badRequest(`invalid ${what} request ${JSON.stringify(id)}`)
}

/** What is of this machine alone, or of its link, is not for those outside: a cloud's metadata service is at 169.254.169.254. */
const inner = new BlockList()
inner.addSubnet('127.0.0.0', 8)
inner.addSubnet('169.254.0.0', 16)
inner.addSubnet('224.0.0.0', 4)
inner.addAddress('0.0.0.0')
inner.addAddress('::', 'ipv6')
inner.addAddress('::1', 'ipv6')
inner.addSubnet('fe80::', 10, 'ipv6')
inner.addSubnet('ff00::', 8, 'ipv6')

function outside(target: Omit<ProxyTarget, 'isKubelet'>): ProxyTarget {
  const { host } = target
  if (isIP(host) === 0 || inner.check(host, isIPv4(host) ? 'ipv4' : 'ipv6')) throw badRequest('address not allowed')
  return { ...target, isKubelet: false }
}
