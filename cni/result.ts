import { cniError } from './errors.ts'

/** What ADD says of the attachment, in the shape of CNI 1.1.0 ("Success"). */
export interface CniResult {
  interfaces?: CniInterface[]
  ips?: CniAddress[]
  routes?: CniRoute[]
  dns?: CniDns
}

export interface CniInterface {
  name: string
  mac?: string
  mtu?: number
  /** Path of the network namespace; absent for devices of the host. */
  sandbox?: string
  socketPath?: string
  pciID?: string
}

export interface CniAddress {
  /** With prefix length: `10.1.0.2/24`. */
  address: string
  gateway?: string
  /** Index into `interfaces`. */
  interface?: number
}

export interface CniRoute {
  dst: string
  gw?: string
  mtu?: number
  advmss?: number
  priority?: number
  table?: number
  scope?: number
}

export interface CniDns {
  nameservers?: string[]
  domain?: string
  search?: string[]
  options?: string[]
}

/** A result as it stands in JSON: any version up to 1.1.0. */
export type ResultJson = Readonly<Record<string, unknown>>

/** Versions whose results we read and write, oldest first. */
export const supportedVersions = ['0.1.0', '0.2.0', '0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'] as const

/** Compares two versions of the form `1.1.0`. */
export function compareVersions(left: string, right: string): number {
  const [a, b] = [left, right].map((version) => version.split('.').map(Number))
  for (let at = 0; at < 3; at++) {
    const difference = (a?.[at] ?? 0) - (b?.[at] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}

/** True if `version` is one of ours. */
export function isSupported(version: string): boolean {
  return supportedVersions.some((known) => known === version)
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/**
 * A result of any version as one of 1.1.0. An empty answer (a plugin that adds nothing of its own) is an empty result.
 * Throws `CNI_DECODE` and `CNI_INCOMPATIBLE_VERSION`.
 */
export function parseResult(value: unknown, from: string): CniResult {
  if (!isObject(value)) throw cniError('CNI_DECODE', `read CNI result: ${JSON.stringify(value)} is no object`)
  const version = typeof value.cniVersion === 'string' && value.cniVersion !== '' ? value.cniVersion : from
  if (!isSupported(version)) {
    throw cniError('CNI_INCOMPATIBLE_VERSION', `read CNI result: version ${version} is not known`)
  }
  if (compareVersions(version, '0.3.0') < 0) return fromOldest(value)
  return {
    ...listOf<CniInterface>(value, 'interfaces', ['name']),
    ...withoutFamily(listOf<CniAddress>(value, 'ips', ['address'])),
    ...listOf<CniRoute>(value, 'routes', ['dst']),
    ...(isObject(value.dns) && Object.keys(value.dns).length > 0 ? { dns: value.dns as CniDns } : {}),
  }
}

/** A list of objects that have these text fields. */
function listOf<Item>(value: Record<string, unknown>, key: string, needed: readonly string[]): Record<string, Item[]> {
  const list = value[key]
  if (list === undefined || list === null) return {}
  const good = (item: unknown) => isObject(item) && needed.every((field) => typeof item[field] === 'string')
  if (!Array.isArray(list) || !list.every(good)) {
    throw cniError('CNI_DECODE', `read CNI result: ${key} is not a list of objects with ${needed.join(', ')}`)
  }
  return { [key]: list as Item[] }
}

/** Up to 0.4.0 each address carries `version: "4"`. */
function withoutFamily(o: Record<string, CniAddress[]>): Record<string, CniAddress[]> {
  if (!o.ips) return o
  const ips = o.ips.map((ip) => Object.fromEntries(Object.entries(ip).filter(([key]) => key !== 'version')))
  return { ips: ips as unknown as CniAddress[] }
}

interface OldAddress {
  ip: string
  gateway?: string
  routes?: CniRoute[]
}

/** Versions 0.1.0 and 0.2.0 know at most one address of each family. */
function fromOldest(value: Record<string, unknown>): CniResult {
  const old = [value.ip4, value.ip6].filter((entry): entry is Record<string, unknown> => isObject(entry))
  const addresses = old.map((entry) => {
    if (typeof entry.ip !== 'string') throw cniError('CNI_DECODE', 'read CNI result: ip4 and ip6 need an ip')
    return entry as unknown as OldAddress
  })
  return {
    ips: addresses.map(({ ip, gateway }) => ({ address: ip, ...(gateway ? { gateway } : {}) })),
    routes: addresses.flatMap(({ routes }) => routes ?? []),
    ...(isObject(value.dns) ? { dns: value.dns as CniDns } : {}),
  }
}

/** The result as plugins of `version` expect it. Throws `CNI_INCOMPATIBLE_VERSION`. */
export function formatResult(result: CniResult, version: string): ResultJson {
  if (!isSupported(version)) {
    throw cniError('CNI_INCOMPATIBLE_VERSION', `write CNI result: version ${version} is not known`)
  }
  const dns = result.dns ?? {}
  if (compareVersions(version, '0.3.0') < 0) return { cniVersion: version, ...toOldest(result), dns }
  const withFamily = compareVersions(version, '1.0.0') < 0
  const newest = compareVersions(version, '1.1.0') >= 0
  const { interfaces, ips, routes } = result
  return {
    cniVersion: version,
    ...(interfaces ? { interfaces: newest ? interfaces : interfaces.map(interfaceBefore110) } : {}),
    ...(ips ? { ips: withFamily ? ips.map((ip) => ({ version: familyOf(ip.address), ...ip })) : ips } : {}),
    ...(routes ? { routes: newest ? routes : routes.map(routeBefore110) } : {}),
    dns,
  }
}

const familyOf = (address: string) => (address.includes(':') ? '6' : '4')
const routeBefore110 = ({ dst, gw }: CniRoute): CniRoute => ({ dst, ...(gw ? { gw } : {}) })

function interfaceBefore110({ name, mac, sandbox }: CniInterface): CniInterface {
  return { name, ...(mac ? { mac } : {}), ...(sandbox ? { sandbox } : {}) }
}

function toOldest(result: CniResult): Record<string, unknown> {
  return Object.fromEntries(
    (['4', '6'] as const).flatMap((family) => {
      const ip = result.ips?.find(({ address }) => familyOf(address) === family)
      if (!ip) return []
      const routes = (result.routes ?? []).filter(({ dst }) => familyOf(dst) === family).map(routeBefore110)
      return [[`ip${family}`, { ip: ip.address, ...(ip.gateway ? { gateway: ip.gateway } : {}), routes }]]
    }),
  )
}
