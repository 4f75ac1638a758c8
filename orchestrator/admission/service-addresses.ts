/**
 * Gives each service its addresses and node ports. Not a policy, but it has the same place in a request: after the
 * defaults, before validation. Source: k8s.io/kubernetes/pkg/registry/core/service/{storage,ipallocator,portallocator}.
 */
import { BlockList, isIPv4 } from 'node:net'
import { invalid } from '../api/status.ts'
import type { KubeObject, Service } from '../api/types.ts'
import { invalidValue, type Problem } from '../api/validate/problem.ts'
import type { AdmissionPlugin } from './admission.ts'

type Spec = NonNullable<Service['spec']>

export interface ServiceAddressOptions {
  /** IPv4, as `10.96.0.0/16`. */
  readonly cidr: string
  listServices(): Iterable<Service>
}

const nodePorts = { first: 30_000, last: 32_767 }

/** The first addresses are for those who ask for one by name (`kubernetes`, DNS). */
const reservedForStatic = 256

/** Hands out `clusterIP`s and `nodePort`s. Throws INVALID for one that is taken or out of range. */
export function serviceAddresses(options: ServiceAddressOptions): AdmissionPlugin {
  const pool = new AddressPool(options)
  return {
    name: 'ServiceAddresses',
    mutate({ kind, verb, object, old, subresource, dryRun }) {
      if (kind.resource !== 'services' || kind.group !== '' || verb === 'delete' || subresource || !object) return
      const service = object as Service
      const problems = assign(service, { pool, before: (old as Service | undefined)?.spec, hold: !dryRun })
      if (problems.length > 0) throw invalid(kind, service.metadata?.name ?? '', problems)
    },
    ended: ({ object }) => pool.release(object),
  }
}

function assign(
  service: Service,
  { pool, before, hold }: { pool: AddressPool; before: Spec | undefined; hold: boolean },
): readonly Problem[] {
  const { spec } = service
  if (!spec) return []
  const taken = pool.taken(service)
  if (spec.type === 'ExternalName') {
    for (const field of ['clusterIP', 'clusterIPs', 'ipFamilies', 'ipFamilyPolicy'] as const) delete spec[field]
    return []
  }
  keepAddress(spec, before)
  const problems = [
    ...refuseOtherFamilies(spec),
    ...assignAddress(spec, taken, pool),
    ...assignPorts(spec, taken, before),
  ]
  // Only for services that are reached from outside.
  if (spec.type === 'ClusterIP') {
    if (!spec.externalIPs?.length) delete spec.externalTrafficPolicy
    delete spec.allocateLoadBalancerNodePorts
  }
  spec.ipFamilies ??= ['IPv4']
  spec.ipFamilyPolicy ??= 'SingleStack'
  if (hold && problems.length === 0) pool.hold(service)
  return problems
}

/** There is one range, of IPv4. */
function refuseOtherFamilies({ ipFamilies = [], ipFamilyPolicy, clusterIPs = [] }: Spec): readonly Problem[] {
  const families = ipFamilies.flatMap((family, at) =>
    family === 'IPv4' ? [] : [invalidValue(`spec.ipFamilies[${at}]`, family, 'not configured on this cluster')],
  )
  const both = 'this cluster is not configured for dual-stack services'
  return [
    ...families,
    ...(ipFamilyPolicy === 'RequireDualStack' ? [invalidValue('spec.ipFamilyPolicy', ipFamilyPolicy, both)] : []),
    ...(clusterIPs.length > 1 ? [invalidValue('spec.clusterIPs', clusterIPs, both)] : []),
  ]
}

/** An update that leaves the address out keeps it. */
function keepAddress(spec: Spec, before: Spec | undefined): void {
  spec.clusterIP ??= spec.clusterIPs?.[0] ?? before?.clusterIP ?? ''
}

interface Taken {
  readonly addresses: ReadonlySet<string>
  readonly ports: ReadonlySet<string>
}

function assignAddress(spec: Spec, taken: Taken, pool: AddressPool): readonly Problem[] {
  if (!spec.clusterIP) {
    const free = pool.freeAddress(taken.addresses)
    if (!free) return [invalidValue('spec.clusterIPs', [], 'failed to allocate IP: range is full')]
    spec.clusterIP = free
  } else if (spec.clusterIP !== 'None' && isIPv4(spec.clusterIP)) {
    const why = taken.addresses.has(spec.clusterIP)
      ? 'provided IP is already allocated'
      : pool.contains(spec.clusterIP)
        ? undefined
        : `the provided IP (${spec.clusterIP}) is not in the valid range. The range of valid IPs is ${pool.cidr}`
    if (why)
      return [invalidValue('spec.clusterIPs', [spec.clusterIP], `failed to allocate IP ${spec.clusterIP}: ${why}`)]
  }
  spec.clusterIPs = [spec.clusterIP]
  return []
}

function assignPorts(spec: Spec, taken: Taken, before: Spec | undefined): readonly Problem[] {
  const wantsPorts =
    spec.type === 'NodePort' || (spec.type === 'LoadBalancer' && spec.allocateLoadBalancerNodePorts !== false)
  if (!wantsPorts) {
    // A service that ceases to be reached from outside gives its ports back, although clients send them along.
    const had = new Set(before?.ports?.map(({ nodePort }) => nodePort))
    if (spec.type === 'ClusterIP') for (const port of spec.ports ?? []) if (had.has(port.nodePort)) delete port.nodePort
    return []
  }
  const used = new Set(taken.ports)
  return (spec.ports ?? []).flatMap((port, at): readonly Problem[] => {
    const field = `spec.ports[${at}].nodePort`
    const { protocol = 'TCP' } = port
    const same = before?.ports?.find((each) => each.port === port.port && each.protocol === protocol)?.nodePort
    port.nodePort ||= same ?? freePort(used, protocol)
    if (!port.nodePort) return [invalidValue(field, 0, 'range is full')]
    if (port.nodePort < nodePorts.first || port.nodePort > nodePorts.last) {
      const range = `${nodePorts.first}-${nodePorts.last}`
      return [
        invalidValue(
          field,
          port.nodePort,
          `provided port is not in the valid range. The range of valid ports is ${range}`,
        ),
      ]
    }
    const id = `${protocol}/${port.nodePort}`
    if (used.has(id)) return [invalidValue(field, port.nodePort, 'provided port is already allocated')]
    used.add(id)
    return []
  })
}

function freePort(used: ReadonlySet<string>, protocol: string): number {
  for (let port = nodePorts.first; port <= nodePorts.last; port++) if (!used.has(`${protocol}/${port}`)) return port
  return 0
}

class AddressPool {
  readonly cidr: string
  readonly #options: ServiceAddressOptions
  readonly #block = new BlockList()
  readonly #first: number
  readonly #size: number
  /** Services that are being written: what they were given is theirs, although it is not in the store yet. */
  readonly #held = new Set<KubeObject>()
  #next = 0

  constructor(options: ServiceAddressOptions) {
    const [base = '', bits = ''] = options.cidr.split('/')
    this.cidr = options.cidr
    this.#options = options
    this.#block.addSubnet(base, Number(bits), 'ipv4')
    this.#first = base.split('.').reduce((sum, part) => sum * 256 + Number(part), 0)
    this.#size = 2 ** (32 - Number(bits))
  }

  contains(address: string): boolean {
    return this.#block.check(address)
  }

  /** What all services but this one have or are about to have. */
  taken(except: Service): Taken {
    const ids: string[] = []
    for (const services of [this.#options.listServices(), this.#held as Iterable<Service>]) {
      for (const service of services) {
        if (service.metadata?.uid !== except.metadata?.uid) ids.push(...idsOf(service.spec))
      }
    }
    return {
      addresses: new Set(ids.filter((id) => !id.includes('/'))),
      ports: new Set(ids.filter((id) => id.includes('/'))),
    }
  }

  hold(service: Service): void {
    this.#held.add(service)
  }

  /** The write has ended: what it gave the service is in the store by now, or nobody's. */
  release(service: KubeObject | undefined): void {
    if (service) this.#held.delete(service)
  }

  freeAddress(taken: ReadonlySet<string>): string | undefined {
    const low = Math.min(reservedForStatic, this.#size / 2)
    const count = this.#size - low - 1
    for (let tries = 0; tries < count; tries++) {
      const offset = low + (this.#next++ % count)
      const address = textOf(this.#first + offset)
      if (!taken.has(address)) return address
    }
    return undefined
  }
}

function textOf(address: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(address / 2 ** shift) % 256).join('.')
}

/** Addresses as they are, node ports as `TCP/30000`. */
function idsOf(spec: Spec | undefined): string[] {
  const addresses = (spec?.clusterIPs ?? []).filter((address) => address !== 'None')
  const ports = (spec?.ports ?? []).flatMap(({ nodePort, protocol = 'TCP' }) =>
    nodePort ? [`${protocol}/${nodePort}`] : [],
  )
  return [...addresses, ...ports]
}
