import { accessSync, constants } from 'node:fs'
import { join } from 'node:path'
import { cniError } from './errors.ts'
import { executePlugin, programVersions } from './execute-plugin.ts'
import type { BareCall, Plugin, Verb } from './plugin.ts'
import type { CniResult } from './result.ts'

/** Where plugins come from: first those built in, then programs of that name in the folders. */
export interface PluginSource {
  builtins: ReadonlyMap<string, Plugin>
  /** CNI_PATH. */
  directories: readonly string[]
}

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
  if (!plugin) {
    const program = { path: findProgram(source, type), type, directories: source.directories }
    return executePlugin(program, verb, bare)
  }
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

/**
 * Throws `CNI_PLUGIN_MISSING` when the plugin is neither built in nor in a folder, and `CNI_INCOMPATIBLE_VERSION` when it
 * does not know that version of CNI.
 */
export async function requirePlugin(source: PluginSource, type: string, version: string): Promise<void> {
  if (source.builtins.has(type)) return
  const program = { path: findProgram(source, type), type, directories: source.directories }
  const versions = await programVersions(program)
  if (versions.includes(version)) return
  throw cniError('CNI_INCOMPATIBLE_VERSION', `use CNI plugin ${program.path}: it does not know version ${version}`, {
    hint: `it knows ${versions.join(', ')}: set cniVersion to one of them`,
  })
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
