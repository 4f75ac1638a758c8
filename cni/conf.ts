import { cniError } from './errors.ts'
import { type CniResult, compareVersions, isSupported } from './result.ts'

/** The configuration of one plugin. Keys that only the plugin knows are kept as they are. */
export interface PluginConfig {
  type: string
  cniVersion: string
  name: string
  capabilities?: Readonly<Record<string, boolean>>
  ipam?: Readonly<Record<string, unknown>>
  dns?: Readonly<Record<string, unknown>>
  args?: Readonly<Record<string, unknown>>
  /** What the runtime asks of this plugin, by capability. */
  runtimeConfig?: Readonly<Record<string, unknown>>
  /** Of the plugin before this one; of the whole chain for DEL and CHECK. */
  prevResult?: CniResult
  readonly [key: string]: unknown
}

/** A network: plugins that are run one after the other. */
export interface ConfigList {
  cniVersion: string
  name: string
  disableCheck: boolean
  disableGC: boolean
  plugins: PluginConfig[]
}

const namePattern = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/
const reserved = ['runtimeConfig', 'prevResult']

/**
 * Reads a network configuration list as CNI 1.1.0 describes it ("Configuration format"), choosing the newest version of
 * `cniVersions` that we know. Throws `CNI_INVALID_CONFIG`, `CNI_INCOMPATIBLE_VERSION`.
 */
export function parseConfigList(value: unknown): ConfigList {
  if (!isObject(value)) throw invalid('it is no object')
  const { name, plugins } = value
  if (typeof name !== 'string' || !namePattern.test(name)) throw invalid(`name ${JSON.stringify(name)} is not usable`)
  const cniVersion = chooseVersion(value)
  if (!Array.isArray(plugins) || plugins.length === 0) throw invalid('plugins is not a list with at least one entry')
  return {
    cniVersion,
    name,
    disableCheck: flag(value, 'disableCheck'),
    disableGC: flag(value, 'disableGC'),
    plugins: plugins.map((plugin: unknown, at) => parsePlugin(plugin, at, { cniVersion, name })),
  }
}

function chooseVersion(value: Record<string, unknown>): string {
  const { cniVersion = '0.1.0', cniVersions = [] } = value
  const offered = [cniVersion, ...(Array.isArray(cniVersions) ? cniVersions : [cniVersions])]
  const versions = offered.filter((version): version is string => typeof version === 'string')
  if (versions.length !== offered.length) throw invalid('cniVersion and cniVersions are not texts')
  const [best] = versions.filter(isSupported).sort((left, right) => compareVersions(right, left))
  if (best) return best
  throw cniError('CNI_INCOMPATIBLE_VERSION', `read network configuration: no known version in ${versions.join(', ')}`)
}

function parsePlugin(value: unknown, at: number, list: { cniVersion: string; name: string }): PluginConfig {
  if (!isObject(value)) throw invalid(`plugins[${at}] is no object`)
  const { type, capabilities, ipam } = value
  // The type becomes a file name in the plugin folders.
  if (typeof type !== 'string' || !namePattern.test(type)) throw invalid(`plugins[${at}].type is not a plugin's name`)
  if (capabilities !== undefined && !isObject(capabilities)) throw invalid(`plugins[${at}].capabilities is no object`)
  if (ipam !== undefined && !isObject(ipam)) throw invalid(`plugins[${at}].ipam is no object`)
  const forbidden = Object.keys(value).find((key) => reserved.includes(key) || key.startsWith('cni.dev/'))
  if (forbidden) throw invalid(`plugins[${at}].${forbidden} is for the runtime to set`)
  return { ...value, type, ...list }
}

function flag(value: Record<string, unknown>, key: string): boolean {
  // libcni accepts the text form as well.
  const given = value[key] ?? false
  if (given === true || given === 'true') return true
  if (given === false || given === 'false') return false
  throw invalid(`${key} is not true or false`)
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function invalid(reason: string) {
  return cniError('CNI_INVALID_CONFIG', `read network configuration: ${reason}`)
}
