/**
 * EndpointSlice: discovery.k8s.io/v1beta1 said the zone as a label of the topology, v1 (stored) as a field.
 * Source: k8s.io/kubernetes/pkg/apis/discovery/v1beta1/conversion.go.
 */
import type { EndpointSlice, KubeObject } from '../types.ts'

const zoneLabel = 'topology.kubernetes.io/zone'

type Endpoint = NonNullable<EndpointSlice['endpoints']>[number]

interface OldEndpoint extends Omit<Endpoint, 'zone' | 'deprecatedTopology'> {
  topology?: Record<string, string>
}

interface OldSlice extends KubeObject {
  endpoints?: OldEndpoint[]
}

/** As discovery.k8s.io/v1beta1 shows it. */
export function sliceFromV1(object: KubeObject): OldSlice {
  const slice = object as EndpointSlice
  if (!slice.endpoints) return object
  return { ...slice, endpoints: slice.endpoints.map(oldEndpoint) }
}

function oldEndpoint({ zone, deprecatedTopology, ...rest }: Endpoint): OldEndpoint {
  const topology = { ...deprecatedTopology, ...(zone === undefined ? {} : { [zoneLabel]: zone }) }
  return Object.keys(topology).length === 0 ? rest : { ...rest, topology }
}

/** As it is stored. */
export function sliceToV1(object: KubeObject): KubeObject {
  const slice = object as OldSlice
  if (!slice.endpoints) return object
  return { ...slice, endpoints: slice.endpoints.map(newEndpoint) } as KubeObject
}

function newEndpoint({ topology, ...rest }: OldEndpoint): Endpoint {
  const { [zoneLabel]: zone, ...others } = topology ?? {}
  return {
    ...rest,
    ...(zone === undefined ? {} : { zone }),
    ...(Object.keys(others).length === 0 ? {} : { deprecatedTopology: others }),
  }
}
