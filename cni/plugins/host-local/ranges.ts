import {
  type Address,
  bitsOf,
  type Cidr,
  contains,
  formatAddress,
  formatCidr,
  lastOf,
  networkOf,
  parseAddress,
  parseCidr,
  plus,
  sameAddress,
} from '../../address.ts'
import type { PluginConfig } from '../../conf.ts'
import { cniError } from '../../errors.ts'
import type { PluginCall } from '../../plugin.ts'
import type { CniRoute } from '../../result.ts'

/** Addresses of one subnet that may be given out, ends included. */
export interface Range {
  subnet: Cidr
  start: Address
  end: Address
  gateway: Address
}

export interface HostLocalConfig {
  /** From each set of ranges one address is taken. */
  sets: Range[][]
  routes: CniRoute[]
  dataDir: string
  resolvConf: string | undefined
  /** Addresses that the runtime asks for. */
  requested: Address[]
}

const defaultDataDir = '/var/lib/cni/networks'
const known = ['type', 'ranges', 'subnet', 'rangeStart', 'rangeEnd', 'gateway', 'routes', 'dataDir', 'resolvConf']

/** The `ipam` section of host-local. Throws `CNI_INVALID_CONFIG`, `CNI_UNSUPPORTED_FIELD`. */
export function parseHostLocal({ config, args }: PluginCall): HostLocalConfig {
  const ipam = config.ipam ?? {}
  const unknown = Object.keys(ipam).find((key) => !known.includes(key))
  if (unknown) throw cniError('CNI_UNSUPPORTED_FIELD', `configure host-local: ipam.${unknown} is not known`)
  const asked = config.runtimeConfig?.ipRanges
  const inline = ipam.subnet === undefined ? [] : [[ipam]]
  const lists = [...inline, ...listOfLists(asked, 'ipRanges'), ...listOfLists(ipam.ranges, 'ranges')]
  if (lists.length === 0) throw invalid('there is no range of addresses')
  const sets = lists.map((set) => set.map(parseRange))
  sets.forEach(checkSet)
  checkOverlap(sets)
  return {
    sets,
    routes: parseRoutes(ipam.routes),
    dataDir: typeof ipam.dataDir === 'string' && ipam.dataDir !== '' ? ipam.dataDir : defaultDataDir,
    resolvConf: typeof ipam.resolvConf === 'string' && ipam.resolvConf !== '' ? ipam.resolvConf : undefined,
    requested: requestedAddresses(config, args),
  }
}

/** Subnets that addresses are given out from. */
export function subnetsOf(sets: readonly (readonly Range[])[]): Cidr[] {
  return sets.flat().map(({ subnet }) => subnet)
}

export function inRange(range: Range, address: Address): boolean {
  return range.start.family === address.family && range.start.value <= address.value && address.value <= range.end.value
}

function listOfLists(value: unknown, key: string): Record<string, unknown>[][] {
  if (value === undefined || value === null) return []
  const good = Array.isArray(value) && value.every((set) => Array.isArray(set) && set.length > 0)
  if (!good) throw invalid(`${key} is not a list of lists of ranges`)
  return value as Record<string, unknown>[][]
}

function parseRange(value: Record<string, unknown>): Range {
  const optional = (key: string) =>
    typeof value[key] === 'string' ? read(() => parseAddress(value[key] as string)) : undefined
  const subnet = read(() => parseCidr(String(value.subnet)))
  if (!sameAddress(networkOf(subnet), subnet)) throw invalid(`${formatCidr(subnet)} has host bits set`)
  if (subnet.prefix > bitsOf(subnet) - 2) throw invalid(`${formatCidr(subnet)} is too small to give out addresses`)
  const last = lastOf(subnet)
  const start = optional('rangeStart') ?? plus(subnet, 1n)
  const end = optional('rangeEnd') ?? (subnet.family === 4 ? plus(last, -1n) : last)
  const gateway = optional('gateway') ?? plus(subnet, 1n)
  for (const address of [start, end]) {
    if (!contains(subnet, address)) throw invalid(`${formatAddress(address)} is not in ${formatCidr(subnet)}`)
  }
  if (start.value > end.value) throw invalid(`the range ${formatAddress(start)} to ${formatAddress(end)} is empty`)
  const strip = ({ family, value: number }: Address): Address => ({ family, value: number })
  return { subnet, start: strip(start), end: strip(end), gateway: strip(gateway) }
}

function checkSet(set: readonly Range[]): void {
  if (new Set(set.map(({ subnet }) => subnet.family)).size > 1) throw invalid('a set of ranges mixes IPv4 and IPv6')
}

function checkOverlap(sets: readonly (readonly Range[])[]): void {
  const ranges = sets.flat()
  ranges.forEach((range, at) => {
    const other = ranges.slice(at + 1).find((next) => inRange(range, next.start) || inRange(next, range.start))
    if (other) throw invalid(`ranges of ${formatCidr(range.subnet)} and ${formatCidr(other.subnet)} overlap`)
  })
}

function parseRoutes(value: unknown): CniRoute[] {
  if (value === undefined || value === null) return []
  if (!Array.isArray(value)) throw invalid('routes is no list')
  return value.map((route: CniRoute) => {
    read(() => parseCidr(String(route.dst)))
    if (route.gw !== undefined) read(() => parseAddress(String(route.gw)))
    return route
  })
}

/** From the capability `ips`, from `args.cni.ips`, and from CNI_ARGS `IP=`; a prefix length is allowed and ignored. */
function requestedAddresses(config: PluginConfig, args: Readonly<Record<string, string>>): Address[] {
  const convention = config.args?.cni as { ips?: unknown } | undefined
  const lists = [config.runtimeConfig?.ips, convention?.ips, args.IP ? [args.IP] : []]
  const texts = lists.flatMap((list) => (Array.isArray(list) ? list.map(String) : []))
  return texts.map((text) => read(() => parseAddress(text.split('/')[0] ?? '')))
}

function read<Value>(parse: () => Value): Value {
  try {
    return parse()
  } catch (error) {
    throw invalid((error as Error).message)
  }
}

function invalid(reason: string) {
  return cniError('CNI_INVALID_CONFIG', `configure host-local: ${reason}`)
}
