/** Who is believed and what is written down; the names are kube-apiserver's. */
import { resolve } from 'node:path'
import type { Command } from 'commander'
import { type AdmissionPluginName, admissionPluginNames, type ServerOptions } from '../orchestrator/index.ts'
import { CoracleError } from '../runtime/base/errors.ts'
import { readAdmissionConfig } from './admission-config.ts'

export interface AuthFlags {
  serviceAccountIssuer?: string
  /** Separated by commas. */
  apiAudiences?: string
  /** `true` or `false`. */
  anonymousAuth: string
  /** Separated by commas. */
  enableAdmissionPlugins?: string
  /** Separated by commas. */
  disableAdmissionPlugins?: string
  admissionControlConfigFile?: string
  auditLogPath?: string
  /** Megabytes. */
  auditLogMaxsize: string
  auditLogMaxbackup: string
}

export function addAuthOptions(command: Command): Command {
  return command
    .option('--service-account-issuer <url>', 'who issues the tokens of service accounts, as a URL in every token')
    .option('--api-audiences <list>', 'for whom a token has to be made to be good here; the issuer unless given')
    .option('--anonymous-auth <bool>', 'whether health and version are told to everybody', 'true')
    .option('--disable-admission-plugins <list>', `do without these of ${admissionPluginNames.join(', ')}`)
    .option('--enable-admission-plugins <list>', 'admission plugins to have: all are, unless disabled')
    .option(
      '--admission-control-config-file <file>',
      'what PodSecurity forbids where a namespace says nothing, and whom it exempts: an AdmissionConfiguration',
    )
    .option('--audit-log-path <file>', 'write who did what to this file, one JSON line each')
    .option('--audit-log-maxsize <mb>', 'begin another file when this one has so many megabytes', '100')
    .option('--audit-log-maxbackup <n>', 'keep so many full files; 0 keeps all', '10')
}

type AuthOptions = Pick<
  ServerOptions,
  'serviceAccountIssuer' | 'apiAudiences' | 'anonymousAuth' | 'disabledAdmissionPlugins' | 'podSecurityConfig' | 'audit'
>

/** What the flags mean to the server. Throws BAD_FLAG. */
export function authOptions(flags: AuthFlags): AuthOptions {
  const { serviceAccountIssuer: issuer, apiAudiences, anonymousAuth, auditLogPath: path } = flags
  const { admissionControlConfigFile: configFile } = flags
  if (issuer !== undefined && !isIssuer(issuer)) throw badFlag(`--service-account-issuer ${issuer}: not an https URL`)
  if (!['true', 'false'].includes(anonymousAuth)) throw badFlag(`--anonymous-auth ${anonymousAuth}: true or false`)
  const largestBytes = numberOf('--audit-log-maxsize', flags.auditLogMaxsize, 1) * 1024 * 1024
  const backups = numberOf('--audit-log-maxbackup', flags.auditLogMaxbackup, 0)
  return {
    ...(issuer === undefined ? {} : { serviceAccountIssuer: issuer }),
    ...(apiAudiences === undefined ? {} : { apiAudiences: apiAudiences.split(',').filter((each) => each !== '') }),
    anonymousAuth: anonymousAuth === 'true',
    ...disabledPlugins(flags),
    ...(configFile === undefined ? {} : readAdmissionConfig(resolve(configFile))),
    ...(path === undefined ? {} : { audit: { path: resolve(path), largestBytes, backups } }),
  }
}

/** Which are left out. Whoever names those that he wants gets no fewer, but is told of one that there is not. */
function disabledPlugins(flags: AuthFlags): Pick<AuthOptions, 'disabledAdmissionPlugins'> {
  const enabled = pluginsOf('--enable-admission-plugins', flags.enableAdmissionPlugins)
  const disabled = pluginsOf('--disable-admission-plugins', flags.disableAdmissionPlugins)
  const both = disabled.find((name) => enabled.includes(name))
  if (both !== undefined) throw badFlag(`--disable-admission-plugins ${both}: it is enabled by another flag`)
  return disabled.length === 0 ? {} : { disabledAdmissionPlugins: disabled }
}

function pluginsOf(flag: string, list = ''): AdmissionPluginName[] {
  const names = list.split(',').filter((each) => each !== '')
  const isKnown = (name: string): name is AdmissionPluginName => admissionPluginNames.some((each) => each === name)
  const unknown = names.find((name) => !isKnown(name))
  if (unknown !== undefined) throw badFlag(`${flag} ${unknown}: not one of ${admissionPluginNames.join(', ')}`)
  return names.filter(isKnown)
}

/** Others find our keys below it (OpenID Connect Discovery 1.0, section 2). */
function isIssuer(text: string): boolean {
  const url = URL.parse(text)
  return url?.protocol === 'https:' && url.search === '' && url.hash === ''
}

function numberOf(name: string, text: string, least: number): number {
  if (/^\d{1,6}$/.test(text) && Number(text) >= least) return Number(text)
  throw badFlag(`${name} ${text}: not a whole number from ${least} on`)
}

function badFlag(message: string): CoracleError {
  return new CoracleError(message, { code: 'BAD_FLAG' })
}
