import { spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'
import { messageOf } from '../runtime/base/errors.ts'
import { cniError, errorFromPlugin } from './errors.ts'
import type { BareCall, Verb } from './plugin.ts'
import { type CniResult, formatResult, parseResult } from './result.ts'

/** A plugin that is a program of its own. */
export interface PluginProgram {
  path: string
  type: string
  /** CNI_PATH, where it looks for plugins that it delegates to. */
  directories: readonly string[]
}

/** Plugins need the programs that they use themselves (iptables, for instance). */
const programPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/** Runs a verb. Returns the result of ADD, an empty one for others; throws the plugin's error with its CNI code. */
export async function executePlugin(program: PluginProgram, verb: Verb, bare: BareCall): Promise<CniResult> {
  const environment = environmentOf(verb, bare, program.directories)
  const output = await run(program, environment, JSON.stringify(configFor(bare)))
  if (verb !== 'ADD') return {}
  const answer = decode(output)
  if (answer === undefined && output.trim() !== '') {
    throw cniError('CNI_DECODE', `run CNI plugin ${program.path}: its answer is not JSON`)
  }
  return parseResult(answer ?? {}, bare.config.cniVersion)
}

/** What VERSION answers: the versions of CNI that the program knows. Throws like `executePlugin`. */
export async function programVersions(program: PluginProgram): Promise<string[]> {
  // Programs of old look for these variables whatever the verb is; libcni sends them too.
  const dummy = { containerId: 'dummy', netns: 'dummy', ifname: 'dummy', args: {} }
  const config = { cniVersion: '1.1.0', name: '', type: program.type }
  const environment = environmentOf('VERSION', { ...dummy, config }, program.directories)
  const answer = decode(await run(program, environment, JSON.stringify({ cniVersion: '1.1.0' })))
  const { supportedVersions } = (answer ?? {}) as { supportedVersions?: unknown }
  return Array.isArray(supportedVersions) ? supportedVersions.map(String) : []
}

/** Standard output of a successful run. */
async function run(program: PluginProgram, env: Record<string, string>, input: string): Promise<string> {
  const child = spawn(program.path, [], { env, stdio: 'pipe' })
  const exit = new Promise<number | string>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => resolve(code ?? signal ?? 'unknown'))
  })
  // A plugin that exits without reading its input is no error of ours.
  child.stdin.on('error', () => {})
  child.stdin.end(input)
  const [status, output, log] = await Promise.all([exit, text(child.stdout), text(child.stderr)]).catch((error) => {
    throw cniError('CNI_IO', `run CNI plugin ${program.path}: ${messageOf(error)}`, { cause: error })
  })
  if (status === 0) return output
  const { code, msg, details } = (decode(output) ?? {}) as { code?: number; msg?: string; details?: string }
  if (typeof code !== 'number') {
    throw cniError('CNI_PLUGIN', `run CNI plugin ${program.path}: exit ${status}: ${log.trim()}`)
  }
  throw errorFromPlugin(program.type, { code, msg: msg ?? log.trim(), ...(details ? { details } : {}) })
}

function environmentOf(verb: Verb | 'VERSION', bare: BareCall, directories: readonly string[]): Record<string, string> {
  const args = Object.entries(bare.args).map(([key, value]) => `${key}=${value}`)
  return {
    PATH: programPath,
    CNI_COMMAND: verb,
    CNI_PATH: directories.join(':'),
    ...(bare.containerId ? { CNI_CONTAINERID: bare.containerId } : {}),
    ...(bare.netns ? { CNI_NETNS: bare.netns } : {}),
    ...(bare.ifname ? { CNI_IFNAME: bare.ifname } : {}),
    ...(args.length > 0 ? { CNI_ARGS: args.join(';') } : {}),
  }
}

/** Previous results are written in the version of the configuration. */
function configFor({ config }: BareCall): unknown {
  const { prevResult, ...rest } = config
  return prevResult ? { ...rest, prevResult: formatResult(prevResult, config.cniVersion) } : rest
}

function decode(output: string): unknown {
  try {
    return JSON.parse(output) as unknown
  } catch {
    return undefined
  }
}
