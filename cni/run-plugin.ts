import { spawn } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { messageOf } from '../runtime/base/errors.ts'
import { cniError, errorFromPlugin } from './errors.ts'
import type { Plugin, PluginCall, Verb } from './plugin.ts'
import { type CniResult, formatResult, parseResult } from './result.ts'

/** Where plugins come from: first those built in, then programs of that name in the folders. */
export interface PluginSource {
  builtins: ReadonlyMap<string, Plugin>
  /** CNI_PATH. */
  directories: readonly string[]
}

/** A call before the plugin that it goes to is known. */
export type BareCall = Omit<PluginCall, 'delegate'>

/** Foreign plugins need the programs that they use themselves (iptables, for instance). */
const programPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/**
 * Runs a verb of a plugin, in this process or as a program (CNI 1.1.0, "Execution protocol"). Returns the result of ADD
 * in the shape of 1.1.0, an empty one for other verbs. Throws the plugin's error with its CNI code, and
 * `CNI_PLUGIN_MISSING`.
 */
export async function runPlugin(source: PluginSource, verb: Verb, bare: BareCall): Promise<CniResult> {
  return run(source, bare.config.type, verb, bare)
}

async function run(source: PluginSource, type: string, verb: Verb, bare: BareCall): Promise<CniResult> {
  const plugin = source.builtins.get(type)
  if (!plugin && verb === 'TEARDOWN') return {}
  if (!plugin) return execute(findProgram(source, type), { type, verb, bare, source })
  const call = { ...bare, delegate: (next: Verb, to: string) => run(source, to, next, bare) }
  switch (verb) {
    case 'ADD':
      return plugin.add(call)
    case 'DEL':
      await plugin.del(call)
      return {}
    case 'CHECK':
      await plugin.check(call)
      return {}
    case 'GC':
      await plugin.gc(call)
      return {}
    case 'STATUS':
      await plugin.status(call)
      return {}
    case 'TEARDOWN':
      await plugin.teardown?.(call)
      return {}
  }
}

/** Throws `CNI_PLUGIN_MISSING` when the plugin is neither built in nor in a folder. */
export function requirePlugin(source: PluginSource, type: string): void {
  if (!source.builtins.has(type)) findProgram(source, type)
}

function findProgram(source: PluginSource, type: string): string {
  const isProgram = (file: string) => {
    try {
      accessSync(file, constants.X_OK)
      return true
    } catch {
      return false
    }
  }
  const found = source.directories.map((directory) => join(directory, type)).find(isProgram)
  if (found) return found
  const builtin = [...source.builtins.keys()].join(', ')
  throw cniError('CNI_PLUGIN_MISSING', `run CNI plugin ${type}: not built in and not in ${list(source.directories)}`, {
    hint: `built in: ${builtin || 'none'}; put the program into one of the folders`,
  })
}

const list = (directories: readonly string[]) => (directories.length === 0 ? 'any folder' : directories.join(', '))

interface Execution {
  type: string
  verb: Verb
  bare: BareCall
  source: PluginSource
}

async function execute(program: string, { type, verb, bare, source }: Execution): Promise<CniResult> {
  const child = spawn(program, [], { env: environmentOf(verb, bare, source.directories), stdio: 'pipe' })
  const exit = new Promise<number | string>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => resolve(code ?? signal ?? 'unknown'))
  })
  // A plugin that exits without reading its input is no error of ours.
  child.stdin.on('error', () => {})
  child.stdin.end(JSON.stringify(configFor(bare)))
  const [status, output, log] = await Promise.all([exit, text(child.stdout), text(child.stderr)]).catch((error) => {
    throw cniError('CNI_IO', `run CNI plugin ${program}: ${messageOf(error)}`, { cause: error })
  })
  const answer = decode(output)
  if (status !== 0) {
    const { code, msg, details } = (answer ?? {}) as { code?: number; msg?: string; details?: string }
    if (typeof code !== 'number')
      throw cniError('CNI_PLUGIN', `run CNI plugin ${program}: exit ${status}: ${log.trim()}`)
    throw errorFromPlugin(type, { code, msg: msg ?? log.trim(), ...(details ? { details } : {}) })
  }
  if (verb !== 'ADD') return {}
  if (answer === undefined && output.trim() !== '') {
    throw cniError('CNI_DECODE', `run CNI plugin ${program}: its answer is not JSON`)
  }
  return parseResult(answer ?? {}, bare.config.cniVersion)
}

function environmentOf(verb: Verb, bare: BareCall, directories: readonly string[]): Record<string, string> {
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
