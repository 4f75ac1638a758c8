import { createHash } from 'node:crypto'
import { type Cidr, networkOf, parseCidr } from '../../address.ts'
import type { PluginConfig } from '../../conf.ts'
import { cniError } from '../../errors.ts'
import type { PluginCall } from '../../plugin.ts'

/** The configuration of the bridge plugin, with the reference plugin's keys and defaults. */
export interface BridgeConfig {
  bridge: string
  isGateway: boolean
  isDefaultGateway: boolean
  /** Replace an address of the bridge that overlaps with the gateway's, instead of failing. */
  forceAddress: boolean
  ipMasq: boolean
  /** Ours: further destinations that see containers' own addresses, such as the pods of other nodes. */
  masqueradeExcept: Cidr[]
  mtu: number | undefined
  hairpinMode: boolean
  portIsolation: boolean
  mac: string | undefined
  ipamType: string | undefined
}

const flags = ['isGateway', 'isDefaultGateway', 'forceAddress', 'ipMasq', 'hairpinMode', 'portIsolation'] as const
const ours = ['bridge', 'mtu', 'ipMasqBackend', 'masqueradeExcept', ...flags]
const general = ['type', 'name', 'cniVersion', 'ipam', 'dns', 'args', 'runtimeConfig', 'prevResult', 'capabilities']
/** Keys of the reference plugin that we refuse when they ask for something. */
const unsupported = ['vlan', 'vlanTrunk', 'macspoofchk', 'promiscMode', 'enabledad', 'disableContainerInterface']
const unset: readonly unknown[] = [undefined, null, false, 0]

/** Throws `CNI_INVALID_CONFIG`; `CNI_UNSUPPORTED_FIELD` for what this plugin does not do. */
export function parseBridge({ config }: Pick<PluginCall, 'config'>): BridgeConfig {
  for (const [key, value] of Object.entries(config)) {
    const known = [...ours, ...general].includes(key) || key.startsWith('cni.dev/')
    const harmless = unsupported.includes(key) && unset.includes(value)
    if (!known && !harmless) throw cniError('CNI_UNSUPPORTED_FIELD', `configure bridge: ${key} is not supported`)
  }
  const { ipMasqBackend = 'nftables', ipam } = config
  if (ipMasqBackend !== 'nftables') {
    throw cniError(
      'CNI_UNSUPPORTED_FIELD',
      `configure bridge: ipMasqBackend ${String(ipMasqBackend)} is not supported`,
      {
        hint: 'leave it out, or say nftables',
      },
    )
  }
  const isDefaultGateway = flag(config, 'isDefaultGateway')
  return {
    bridge: deviceName(config.bridge ?? 'cni0'),
    isGateway: flag(config, 'isGateway') || isDefaultGateway,
    isDefaultGateway,
    forceAddress: flag(config, 'forceAddress'),
    ipMasq: flag(config, 'ipMasq'),
    masqueradeExcept: networks(config.masqueradeExcept),
    mtu: mtuOf(config.mtu),
    hairpinMode: flag(config, 'hairpinMode'),
    portIsolation: flag(config, 'portIsolation'),
    mac: macOf(config),
    ipamType: typeof ipam?.type === 'string' && ipam.type !== '' ? ipam.type : undefined,
  }
}

/**
 * Name of the host's end: always the same for an attachment, so that DEL finds it without the container's namespace.
 * The link's alias says in clear text whose it is.
 */
export function hostEndName({ config, containerId, ifname }: PluginCall): string {
  const hash = createHash('sha256').update(`${config.name}\0${containerId}\0${ifname}`).digest('hex')
  return `veth${hash.slice(0, 8)}`
}

const aliasBytes = 255

/** What the alias of a host's end says: `coracle/<network>/<container id>/<interface>`. */
export function aliasOf(network: string, containerId: string, ifname: string): string {
  return `${aliasPrefix(network)}${containerId}/${ifname}`.slice(0, aliasBytes)
}

export const aliasPrefix = (network: string) => `coracle/${network}/`

/** The alias of a bridge that we made and may therefore remove. */
export const bridgeAlias = (network: string) => `coracle/${network}`

/** True if `name` can be the name of a network device (kernel: dev_valid_name). */
export function isDeviceName(name: unknown): name is string {
  return typeof name === 'string' && /^[^\s/:]{1,15}$/.test(name) && name !== '.' && name !== '..'
}

function deviceName(name: unknown): string {
  if (!isDeviceName(name)) throw invalid(`bridge ${JSON.stringify(name)} is no name for a network device`)
  return name
}

function flag(config: PluginConfig, key: (typeof flags)[number]): boolean {
  const value = config[key] ?? false
  if (typeof value !== 'boolean') throw invalid(`${key} is not true or false`)
  return value
}

function mtuOf(value: unknown): number | undefined {
  if (value === undefined || value === 0) return undefined
  if (Number.isInteger(value) && Number(value) >= 68 && Number(value) <= 65535) return Number(value)
  throw invalid(`mtu ${JSON.stringify(value)} is not between 68 and 65535`)
}

function networks(value: unknown): Cidr[] {
  if (value === undefined) return []
  try {
    if (!Array.isArray(value)) throw new RangeError('it is no list')
    return value.map((text) => networkOf(parseCidr(String(text))))
  } catch (error) {
    throw invalid(`masqueradeExcept: ${(error as Error).message}`)
  }
}

/** From the capability `mac`, or from `args.cni.mac`. */
function macOf(config: PluginConfig): string | undefined {
  const mac = config.runtimeConfig?.mac ?? (config.args?.cni as { mac?: unknown } | undefined)?.mac
  if (mac === undefined || mac === '') return undefined
  if (typeof mac === 'string' && /^([0-9a-f]{2}:){5}[0-9a-f]{2}$/i.test(mac)) return mac
  throw invalid(`mac ${JSON.stringify(mac)} is not a MAC address`)
}

function invalid(reason: string) {
  return cniError('CNI_INVALID_CONFIG', `configure bridge: ${reason}`)
}
