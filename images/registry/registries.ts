import { readFile } from 'node:fs/promises'
import { parse } from 'yaml'
import { errnoOf, messageOf } from '../../runtime/base/errors.ts'
import { imageError } from '../errors.ts'
import type { Credentials } from './auth.ts'
import { credentialsOf } from './docker-config.ts'
import type { HostSettings } from './http.ts'

/** Where else the images of a registry may be fetched. */
export interface Mirror {
  /** `https://host:port` or `http://host:port`, in the order in which they are tried; the registry itself comes last. */
  endpoints: readonly URL[]
  /** Applied to the repository, the first that fits. */
  rewrite: readonly { from: RegExp; to: string }[]
}

/** What `registries.yaml` says: the format of K3s and RKE2, and `proxy`. */
export interface Registries {
  /** By registry; `*` for all that have no entry of their own. */
  mirrors: ReadonlyMap<string, Mirror>
  hosts: ReadonlyMap<string, HostSettings & { auth?: Credentials }>
}

export const noRegistries: Registries = { mirrors: new Map(), hosts: new Map() }

/** The first of these files that is there. Throws `IMAGE_CONFIG` naming file and field. */
export async function readRegistries(files: readonly string[]): Promise<Registries> {
  for (const file of files) {
    try {
      return await parseRegistries(await readFile(file, 'utf8'), file)
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') continue
      throw error
    }
  }
  return noRegistries
}

/** `where` is the file's name. Files that it names are read at once. Throws `IMAGE_CONFIG`. */
export async function parseRegistries(text: string, where: string): Promise<Registries> {
  const top = fields(parseYaml(text, where), where, ['mirrors', 'configs'])
  const mirrors = new Map<string, Mirror>()
  for (const [name, value] of Object.entries(object(top.mirrors ?? {}, `${where}: mirrors`))) {
    mirrors.set(registryName(name, `${where}: mirrors`), mirrorOf(value, `${where}: mirrors.${name}`))
  }
  const hosts = new Map<string, HostSettings & { auth?: Credentials }>()
  for (const [name, value] of Object.entries(object(top.configs ?? {}, `${where}: configs`))) {
    hosts.set(registryName(name, `${where}: configs`), await hostOf(value, `${where}: configs.${name}`))
  }
  return { mirrors, hosts }
}

function parseYaml(text: string, where: string): unknown {
  try {
    return parse(text) ?? {}
  } catch (error) {
    throw imageError('IMAGE_CONFIG', `read ${where}: ${messageOf(error)}`, { cause: error })
  }
}

function mirrorOf(value: unknown, where: string): Mirror {
  const { endpoint = [], rewrite = {} } = fields(value, where, ['endpoint', 'rewrite'])
  if (!Array.isArray(endpoint)) throw wrong(`${where}.endpoint`, 'is no list')
  return {
    endpoints: endpoint.map((address: unknown, at) => endpointOf(address, `${where}.endpoint[${at}]`)),
    rewrite: Object.entries(object(rewrite, `${where}.rewrite`)).map(([from, to]) => ({
      from: pattern(from, `${where}.rewrite`),
      to: string(to, `${where}.rewrite.${from}`),
    })),
  }
}

function endpointOf(address: unknown, where: string): URL {
  const text = string(address, where)
  const url = URL.parse(text.includes('://') ? text : `https://${text}`)
  if (!url || !/^https?:$/.test(url.protocol)) throw wrong(where, `${JSON.stringify(address)} is no http(s) address`)
  if (url.username || url.password) throw wrong(where, 'has a user in its address; name it below configs')
  if (!/^\/(v2\/?)?$/.test(url.pathname) || url.search) throw wrong(where, 'has a path; use rewrite')
  return url
}

function pattern(text: string, where: string): RegExp {
  try {
    return new RegExp(text)
  } catch {
    throw wrong(where, `${JSON.stringify(text)} is no regular expression`)
  }
}

async function hostOf(value: unknown, where: string): Promise<HostSettings & { auth?: Credentials }> {
  const { auth, tls, proxy } = fields(value, where, ['auth', 'tls', 'proxy'])
  return {
    ...(auth === undefined ? {} : { auth: authOf(auth, `${where}.auth`) }),
    ...(await tlsOf(tls ?? {}, `${where}.tls`)),
    ...(proxy === undefined ? {} : { proxy: proxyOf(proxy, `${where}.proxy`) }),
  }
}

function authOf(value: unknown, where: string): Credentials {
  const entry = fields(value, where, ['username', 'password', 'auth', 'identity_token'])
  for (const [key, text] of Object.entries(entry)) string(text, `${where}.${key}`)
  const found = credentialsOf({ ...entry, identitytoken: entry.identity_token })
  if (!found) throw wrong(where, 'names no user')
  return found
}

async function tlsOf(value: unknown, where: string): Promise<HostSettings> {
  const { ca_file, cert_file, key_file, insecure_skip_verify } = fields(value, where, [
    'ca_file',
    'cert_file',
    'key_file',
    'insecure_skip_verify',
  ])
  if ((cert_file === undefined) !== (key_file === undefined)) throw wrong(where, 'needs both cert_file and key_file')
  if (insecure_skip_verify !== undefined && typeof insecure_skip_verify !== 'boolean') {
    throw wrong(`${where}.insecure_skip_verify`, 'is neither true nor false')
  }
  const read = async (file: unknown, field: string) => {
    try {
      return await readFile(string(file, `${where}.${field}`), 'utf8')
    } catch (error) {
      throw imageError('IMAGE_CONFIG', `read ${where}.${field}: ${messageOf(error)}`, { cause: error })
    }
  }
  return {
    ...(ca_file === undefined ? {} : { ca: await read(ca_file, 'ca_file') }),
    ...(cert_file === undefined ? {} : { cert: await read(cert_file, 'cert_file') }),
    ...(key_file === undefined ? {} : { key: await read(key_file, 'key_file') }),
    ...(insecure_skip_verify ? { verify: false } : {}),
  }
}

function proxyOf(value: unknown, where: string): string {
  const text = string(value, where)
  if (text !== '' && !/^https?:$/.test(URL.parse(text)?.protocol ?? '')) throw wrong(where, 'is no http(s) address')
  return text
}

function registryName(name: string, where: string): string {
  if (name !== '*' && URL.parse(`https://${name}`)?.pathname !== '/') throw wrong(where, `${name} is no registry`)
  return name === 'index.docker.io' || name === 'registry-1.docker.io' ? 'docker.io' : name
}

/** An object with no other fields than these: a misspelt one must not be silently without effect. */
function fields(value: unknown, where: string, known: readonly string[]): Record<string, unknown> {
  const found = object(value, where)
  const strange = Object.keys(found).find((key) => !known.includes(key))
  if (strange !== undefined) throw wrong(where, `has a field ${strange}, but only ${known.join(', ')} are known`)
  return found
}

function object(value: unknown, where: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrong(where, 'is no map')
  return value as Record<string, unknown>
}

function string(value: unknown, where: string): string {
  if (typeof value !== 'string') throw wrong(where, 'is no text')
  return value
}

function wrong(where: string, reason: string) {
  return imageError('IMAGE_CONFIG', `read ${where}: it ${reason}`)
}
