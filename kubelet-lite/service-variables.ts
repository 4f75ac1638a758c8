import { resources } from '../orchestrator/api/resources.ts'
import type { Pod, Service } from '../orchestrator/api/types.ts'
import type { ApiClient } from '../orchestrator/client/api-client.ts'
import { Informer } from '../orchestrator/client/informer.ts'

type ServicePort = NonNullable<NonNullable<Service['spec']>['ports']>[number]

export interface ServiceReader {
  /** The Services of a namespace, as they are now. */
  services(namespace: string): readonly Service[]
}

/** All Services of the cluster, in memory: no container waits for a question about them. */
export class ServiceCache implements ServiceReader {
  readonly #informer: Informer<Service>

  constructor(client: ApiClient) {
    const namespace = ({ metadata }: Service) => [metadata?.namespace ?? '']
    const { services: resource } = resources
    this.#informer = new Informer({ client, resource, indexes: { namespace }, onChange: () => {} })
  }

  /** Resolves when all Services are known. */
  start(): Promise<void> {
    return this.#informer.start()
  }

  readonly services = (namespace: string): readonly Service[] => this.#informer.byIndex('namespace', namespace)

  close(): Promise<void> {
    return this.#informer.close()
  }
}

/**
 * The variables by which containers find Services (Kubernetes docs: concepts/services-networking/service, environment
 * variables): those of the pod's namespace unless the pod wants no links to them, and always the API server's own.
 */
export function serviceVariables(pod: Pod, { services }: ServiceReader): [name: string, value: string][] {
  const namespace = pod.metadata?.namespace ?? ''
  const own = pod.spec?.enableServiceLinks === false ? [] : services(namespace)
  const taken = new Set(own.filter(hasAddress).map(({ metadata }) => metadata?.name))
  const always = services('default').filter(({ metadata }) => metadata?.name === 'kubernetes')
  return [...always.filter(({ metadata }) => !taken.has(metadata?.name)), ...own].filter(hasAddress).flatMap(variables)
}

function hasAddress({ spec }: Service): boolean {
  return spec?.clusterIP !== undefined && spec.clusterIP !== '' && spec.clusterIP !== 'None'
}

function variables({ metadata, spec }: Service): [string, string][] {
  const name = variableName(metadata?.name ?? '')
  const address = spec?.clusterIP ?? ''
  const ports = spec?.ports ?? []
  const first = ports[0]
  if (!first) return [[`${name}_SERVICE_HOST`, address]]
  return [
    [`${name}_SERVICE_HOST`, address],
    [`${name}_SERVICE_PORT`, String(first.port)],
    ...ports.flatMap((port): [string, string][] =>
      port.name ? [[`${name}_SERVICE_PORT_${variableName(port.name)}`, String(port.port)]] : [],
    ),
    [`${name}_PORT`, url(address, first)],
    ...ports.flatMap((port) => linkVariables(`${name}_PORT`, address, port)),
  ]
}

/** What Docker's links once set, and programs still read. */
function linkVariables(prefix: string, address: string, port: ServicePort): [string, string][] {
  const { protocol = 'TCP' } = port
  const name = `${prefix}_${port.port}_${protocol.toUpperCase()}`
  return [
    [name, url(address, port)],
    [`${name}_PROTO`, protocol.toLowerCase()],
    [`${name}_PORT`, String(port.port)],
    [`${name}_ADDR`, address],
  ]
}

function url(address: string, { port, protocol = 'TCP' }: ServicePort): string {
  const host = address.includes(':') ? `[${address}]` : address
  return `${protocol.toLowerCase()}://${host}:${port}`
}

const variableName = (name: string) => name.replaceAll('-', '_').toUpperCase()
