/**
 * The file of `--admission-control-config-file`: an AdmissionConfiguration (apiserver.config.k8s.io/v1) of kube-apiserver.
 * What it may configure here is PodSecurity; any other plugin is refused by its name.
 */
import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { parse } from 'yaml'
import { type PodSecurityConfig, type PodSecurityExemptions, usualPolicy } from '../orchestrator/index.ts'
import { CoracleError, messageOf } from '../runtime/base/errors.ts'

type Fields = Readonly<Record<string, unknown>>

/** Throws BAD_FLAG, with the field that is wrong. */
export function readAdmissionConfig(path: string): { podSecurityConfig?: PodSecurityConfig } {
  try {
    const { plugins } = fieldsOf(parse(readFileSync(path, 'utf8')), 'the file', ['apiVersion', 'kind', 'plugins'])
    const [plugin, ...more] = listOf(plugins, 'plugins')
    if (plugin === undefined) return {}
    if (more.length > 0) throw new Error('plugins: more than PodSecurity')
    return { podSecurityConfig: podSecurityOf(configurationOf(plugin, dirname(path))) }
  } catch (error) {
    const message = `--admission-control-config-file ${path}: ${messageOf(error)}`
    throw new CoracleError(message, { code: 'BAD_FLAG', cause: error })
  }
}

/** It is there, or in a file of its own beside this one. */
function configurationOf(plugin: unknown, folder: string): unknown {
  const { name, path, configuration } = fieldsOf(plugin, 'plugins[0]', ['name', 'path', 'configuration'])
  if (name !== 'PodSecurity') throw new Error(`plugins[0].name: ${String(name)} cannot be configured`)
  return typeof path === 'string' && path !== '' ? parse(readFileSync(resolve(folder, path), 'utf8')) : configuration
}

function podSecurityOf(configuration: unknown): PodSecurityConfig {
  const { defaults, exemptions } = fieldsOf(configuration, 'PodSecurity', [
    'apiVersion',
    'kind',
    'defaults',
    'exemptions',
  ])
  return { defaults: usualPolicy(fieldsOf(defaults ?? {}, 'defaults')), exemptions: exemptionsOf(exemptions) }
}

function exemptionsOf(exemptions: unknown): PodSecurityExemptions {
  const names = ['usernames', 'namespaces', 'runtimeClasses'] as const
  const given = fieldsOf(exemptions ?? {}, 'exemptions', names)
  return Object.fromEntries(names.map((name) => [name, textsOf(given[name], `exemptions.${name}`)]))
}

/** An object with no other fields than `known`, where that is said. */
function fieldsOf(value: unknown, what: string, known?: readonly string[]): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error(`${what}: not an object`)
  const unknown = Object.keys(value).find((name) => known && !known.includes(name))
  if (unknown !== undefined) throw new Error(`${what}: unknown field ${JSON.stringify(unknown)}`)
  return value as Fields
}

function listOf(value: unknown, what: string): readonly unknown[] {
  if (value === undefined || value === null) return []
  if (!Array.isArray(value)) throw new Error(`${what}: not a list`)
  return value
}

function textsOf(value: unknown, what: string): readonly string[] {
  return listOf(value, what).map((each, at) => {
    if (typeof each !== 'string' || each === '') throw new Error(`${what}[${at}]: not a name`)
    return each
  })
}
