/** Source: `printService`, `printEndpoints`, `printEndpointSlice` in k8s.io/kubernetes/pkg/printers/internalversion/printers.go. */
import type { Cell, Printer } from '../kinds/kind.ts'
import type { EndpointSlice, Endpoints, Service } from '../types.ts'
import { ageColumn, ageOf, column, nameColumn } from './cells.ts'

export const servicePrinter: Printer<Service> = {
  columns: [
    nameColumn,
    column('Type', 'Type of the service'),
    column('Cluster-IP', 'IP address of the service within the cluster'),
    column('External-IP', 'Addresses of the service outside of the cluster'),
    column('Port(s)', 'Ports that the service exposes'),
    ageColumn,
    column('Selector', 'Labels of the pods that the service routes to', 'wide'),
  ],
  cells: serviceCells,
}

function serviceCells(service: Service, now: number): Cell[] {
  const spec = service.spec ?? {}
  const selector = Object.entries(spec.selector ?? {}).map(([key, value]) => `${key}=${value}`)
  return [
    service.metadata?.name ?? '',
    spec.type ?? '',
    spec.clusterIPs?.[0] ?? (spec.clusterIP || '<none>'),
    externalAddressOf(service),
    portsOf(service),
    ageOf(service, now),
    selector.sort().join(',') || '<none>',
  ]
}

function externalAddressOf({ spec = {}, status }: Service): string {
  const external = spec.externalIPs ?? []
  if (spec.type === 'ExternalName') return spec.externalName ?? ''
  if (spec.type === 'LoadBalancer') {
    const ingress = (status?.loadBalancer?.ingress ?? []).map(({ ip, hostname }) => ip || hostname || '')
    return [...ingress, ...external].join(',') || '<pending>'
  }
  return external.join(',') || '<none>'
}

function portsOf({ spec = {} }: Service): string {
  const ports = (spec.ports ?? []).map(({ port, nodePort, protocol }) =>
    nodePort ? `${port}:${nodePort}/${protocol}` : `${port}/${protocol}`,
  )
  return ports.join(',') || '<none>'
}

const shownEndpoints = 3

function firstFew(items: readonly string[], max = shownEndpoints): string {
  if (items.length <= max) return items.join(',')
  return `${items.slice(0, max).join(',')} + ${items.length - max} more...`
}

export const endpointsPrinter: Printer<Endpoints> = {
  columns: [nameColumn, column('Endpoints', 'Addresses and ports'), ageColumn],
  cells(endpoints, now) {
    const all = (endpoints.subsets ?? []).flatMap(({ addresses = [], ports = [] }) =>
      ports.length === 0
        ? addresses.map(({ ip }) => ip)
        : ports.flatMap(({ port }) =>
            addresses.map(({ ip }) => (ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`)),
          ),
    )
    return [endpoints.metadata?.name ?? '', firstFew(all) || '<none>', ageOf(endpoints, now)]
  },
}

export const endpointSlicePrinter: Printer<EndpointSlice> = {
  columns: [
    nameColumn,
    column('AddressType', 'Type of the addresses'),
    column('Ports', 'Ports of every endpoint'),
    column('Endpoints', 'Addresses of the endpoints'),
    ageColumn,
  ],
  cells(slice, now) {
    const ports = (slice.ports ?? []).map(({ port, name }) => (port ? String(port) : name || '*'))
    const addresses = (slice.endpoints ?? []).flatMap((endpoint) => endpoint.addresses)
    return [
      slice.metadata?.name ?? '',
      slice.addressType,
      slice.ports ? firstFew(ports) || '<unset>' : '<unset>',
      slice.endpoints?.length ? firstFew(addresses) : '<unset>',
      ageOf(slice, now),
    ]
  },
}
