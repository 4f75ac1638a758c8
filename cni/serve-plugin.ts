import { CoracleError, messageOf } from '../runtime/base/errors.ts'
import { type Attachment, checkAttachment } from './attachment.ts'
import type { PluginConfig } from './conf.ts'
import { cniError } from './errors.ts'
import type { BareCall, Verb } from './plugin.ts'
import { builtinPlugins } from './plugins/builtin.ts'
import { formatResult, isSupported, parseResult, supportedVersions } from './result.ts'
import { runPlugin } from './run-plugin.ts'

/** What a plugin prints and how it exits. */
export interface PluginAnswer {
  stdout: string
  exitCode: 0 | 1
}

const verbs: readonly string[] = ['ADD', 'DEL', 'CHECK', 'GC', 'STATUS'] satisfies Verb[]
const newest = '1.1.0'
/** Errors without a code of their own: "error codes 100+ are for plugins". */
const otherCode = 999

/**
 * A built-in plugin as other runtimes call it: environment and standard input in, standard output and exit code out (CNI
 * 1.1.0, "Execution protocol"). Never throws: a failure is an answer too. The plugin's own delegates are looked for in
 * CNI_PATH as well.
 */
export async function servePlugin(
  type: string,
  environment: Readonly<Record<string, string | undefined>>,
  input: string,
): Promise<PluginAnswer> {
  let version = newest
  try {
    const config = parseConfig(input)
    version = config.cniVersion
    if (environment.CNI_COMMAND === 'VERSION') return success({ cniVersion: version, supportedVersions })
    const verb = verbs.find((one) => one === environment.CNI_COMMAND) as Verb | undefined
    if (!verb) throw wrong(`CNI_COMMAND is ${JSON.stringify(environment.CNI_COMMAND)}`)
    if (!isSupported(version))
      throw cniError('CNI_INCOMPATIBLE_VERSION', `run ${type}: version ${version} is not known`)
    const call = parseCall(verb, environment, config)
    const directories = (environment.CNI_PATH ?? '').split(':').filter((path) => path !== '')
    const source = { builtins: builtinPlugins, directories }
    const result = await runPlugin(source, verb, { ...call, config: { ...call.config, type } })
    return verb === 'ADD' ? success(formatResult(result, version)) : { stdout: '', exitCode: 0 }
  } catch (error) {
    const known = error instanceof CoracleError ? error : undefined
    const code = Number(known?.facts.cniCode ?? otherCode)
    const details = known?.hint === undefined ? {} : { details: known.hint }
    return { stdout: JSON.stringify({ cniVersion: version, code, msg: messageOf(error), ...details }), exitCode: 1 }
  }
}

const success = (value: unknown): PluginAnswer => ({ stdout: JSON.stringify(value), exitCode: 0 })

function parseConfig(input: string): PluginConfig {
  let value: unknown
  try {
    value = JSON.parse(input)
  } catch (error) {
    throw cniError('CNI_DECODE', 'read configuration: it is no JSON', { cause: error })
  }
  const { cniVersion = '0.1.0', name = '', type = '', prevResult, ...rest } = (value ?? {}) as Record<string, unknown>
  if (typeof cniVersion !== 'string' || typeof name !== 'string' || typeof type !== 'string') {
    throw cniError('CNI_INVALID_CONFIG', 'read configuration: cniVersion, name and type are texts')
  }
  const before =
    prevResult === undefined || prevResult === null ? {} : { prevResult: parseResult(prevResult, cniVersion) }
  return { ...rest, cniVersion, name, type, ...before }
}

function parseCall(
  verb: Verb,
  environment: Readonly<Record<string, string | undefined>>,
  config: PluginConfig,
): BareCall {
  const { CNI_CONTAINERID: containerId = '', CNI_NETNS: netns = '', CNI_IFNAME: ifname = '' } = environment
  const call: BareCall & Attachment = { containerId, netns, ifname, args: argsOf(environment.CNI_ARGS ?? ''), config }
  if (!/^[a-zA-Z0-9][\w.-]*$/.test(config.name))
    throw cniError('CNI_INVALID_CONFIG', 'read configuration: it has no name')
  if (verb === 'ADD' || verb === 'CHECK') checkAttachment(call, 'netns')
  if (verb === 'DEL') checkAttachment(call, 'no netns')
  return call
}

function argsOf(text: string): Record<string, string> {
  const pairs = text.split(';').filter((pair) => pair !== '')
  return Object.fromEntries(
    pairs.map((pair) => {
      const [key = '', ...value] = pair.split('=')
      if (value.length === 0) throw wrong(`CNI_ARGS holds ${JSON.stringify(pair)}`)
      return [key, value.join('=')]
    }),
  )
}

function wrong(reason: string) {
  return cniError('CNI_INVALID_ENVIRONMENT', `read environment: ${reason}`)
}
