/** What every cluster has from the start. */
import { isIPv4 } from 'node:net'
import { isEqual } from '../api/equal.ts'
import { priorityClassKind } from '../api/kinds/classes.ts'
import { resources } from '../api/resources.ts'
import type { EndpointSlice, Endpoints, KubeObject, ResourceRef } from '../api/types.ts'
import type { ApiClient } from '../client/api-client.ts'
import { createMissing, findObject } from '../client/create-missing.ts'

const systemNamespaces = ['default', 'kube-system', 'kube-public', 'kube-node-lease']

/** Makes those of the system's namespaces that are missing. */
export async function createSystemNamespaces(client: ApiClient): Promise<void> {
  await Promise.all(systemNamespaces.map((name) => createMissing(client, resources.namespaces, { metadata: { name } })))
}

/** Their pods need accounts before a controller has looked at the namespaces. Makes those that are missing. */
export async function createDefaultAccounts(client: ApiClient): Promise<void> {
  const accounts = systemNamespaces.map((namespace) => ({ metadata: { name: 'default', namespace } }))
  await Promise.all(accounts.map((account) => createMissing(client, resources.serviceAccounts, account)))
}

const systemPriorities = [
  {
    name: 'system-node-critical',
    value: 2_000_001_000,
    description: 'Used for system critical pods that must not be moved from their current node.',
  },
  {
    name: 'system-cluster-critical',
    value: 2_000_000_000,
    description:
      'Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.',
  },
]

/** Makes those of the system's priority classes that are missing. Source: k8s.io/kubernetes/pkg/apis/scheduling/v1/helpers.go. */
export async function createSystemPriorityClasses(client: ApiClient): Promise<void> {
  await Promise.all(
    systemPriorities.map(({ name, ...rest }) =>
      createMissing(client, priorityClassKind, { metadata: { name }, ...rest }),
    ),
  )
}

export interface OwnAddress {
  /** The address of the service. */
  readonly clusterIP: string
  /** Where the server can be reached. */
  readonly addresses: readonly string[]
  readonly port: number
}

const ports = (port: number) => [{ name: 'https', port, protocol: 'TCP' }]
const place = { name: 'kubernetes', namespace: 'default' }

/**
 * The service `kubernetes`, under which pods reach this server. It has endpoints when the server has an address that
 * others can reach.
 */
export async function publishOwnService(client: ApiClient, own: OwnAddress): Promise<void> {
  const labels = { component: 'apiserver', provider: 'kubernetes' }
  await createMissing(client, resources.services, {
    metadata: { ...place, labels },
    spec: { clusterIP: own.clusterIP, ports: [{ name: 'https', port: 443, protocol: 'TCP', targetPort: own.port }] },
  })
  const reachable = own.addresses.filter(
    (address) => isIPv4(address) && !address.startsWith('127.') && address !== '0.0.0.0',
  )
  if (reachable.length === 0) return
  await put(client, resources.endpoints, endpointsOf(reachable, own.port))
  await put(client, resources.endpointSlices, sliceOf(reachable, own.port))
}

function endpointsOf(addresses: readonly string[], port: number): Endpoints {
  // The slice is ours too: it is not to be made from these.
  const labels = { 'endpointslice.kubernetes.io/skip-mirror': 'true' }
  return {
    metadata: { ...place, labels },
    subsets: [{ addresses: addresses.map((ip) => ({ ip })), ports: ports(port) }],
  }
}

function sliceOf(addresses: readonly string[], port: number): EndpointSlice {
  return {
    metadata: { ...place, labels: { 'kubernetes.io/service-name': 'kubernetes' } },
    addressType: 'IPv4',
    endpoints: [{ addresses: [...addresses], conditions: { ready: true } }],
    ports: ports(port),
  }
}

async function put<T extends KubeObject>(client: ApiClient, resource: ResourceRef<T>, object: T): Promise<void> {
  const current = await findObject(client, resource, object)
  if (current === undefined) {
    await client.create(resource, object)
    return
  }
  const next = { ...current, ...object, metadata: { ...current.metadata, ...object.metadata } }
  if (!isEqual(next, current)) await client.update(resource, next)
}
