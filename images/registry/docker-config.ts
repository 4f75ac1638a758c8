import type { Credentials } from './auth.ts'

/**
 * What `docker login` writes (`config.json`), and with it secrets of type kubernetes.io/dockerconfigjson; `auths` alone is
 * the older kind, kubernetes.io/dockercfg.
 */
export interface DockerConfig {
  auths?: Readonly<Record<string, unknown>>
  credHelpers?: Readonly<Record<string, string>>
  credsStore?: string
}

/** The user that an entry of `auths` names; undefined when it names none. */
export function credentialsOf(entry: unknown): Credentials | undefined {
  if (typeof entry !== 'object' || entry === null) return undefined
  const { username, password, auth, identitytoken, registrytoken } = entry as Record<string, unknown>
  const text = (value: unknown) => (typeof value === 'string' && value !== '' ? value : undefined)
  const pair = Buffer.from(text(auth) ?? '', 'base64')
    .toString()
    // Docker itself writes a trailing NUL sometimes.
    .replace(/\0+$/, '')
  const colon = pair.indexOf(':')
  const [identityToken, registryToken] = [text(identitytoken), text(registrytoken)]
  const found = {
    username: text(username) ?? (colon < 0 ? '' : pair.slice(0, colon)),
    password: text(password) ?? (colon < 0 ? '' : pair.slice(colon + 1)),
    ...(identityToken ? { identityToken } : {}),
    ...(registryToken ? { registryToken } : {}),
  }
  return found.username || identityToken || registryToken ? found : undefined
}

/**
 * All users that `auths` names for `domain/path`, the one with the longest key first. The rules are the kubelet's (Kubernetes
 * docs: concepts/containers/images, "Interpretation of config.json"): keys may have a scheme, a port and a path, and `*`
 * within each part of the host.
 */
export function lookUp(auths: Readonly<Record<string, unknown>>, repository: { domain: string; path: string }) {
  const keys = Object.entries(auths)
    .map(([key, entry]) => ({ key: parseKey(key), entry }))
    .sort((a, b) => (a.key.text < b.key.text ? 1 : -1))
  return keys.flatMap(({ key, entry }) => (fits(key, repository) ? (credentialsOf(entry) ?? []) : []))
}

interface Key {
  /** For the order: more of the same host comes first. */
  text: string
  host: string
  port: string
  path: string
}

function parseKey(key: string): Key {
  const [, host = '', port = '', path = ''] = /^(?:https?:\/\/)?(\[[^\]]*\]|[^/:]*)(?::(\d+))?(\/.*)?$/.exec(key) ?? []
  const below = path.replace(/^\/v[12](?=\/|$)/, '').replace(/\/$/, '')
  const known = /^(index\.docker\.io|registry-1\.docker\.io)$/.test(host) ? 'docker.io' : host
  return { text: `${known}:${port}${below}`, host: known, port, path: below }
}

function fits(key: Key, { domain, path }: { domain: string; path: string }): boolean {
  const wanted = parseKey(domain)
  if (key.port !== wanted.port || !isSameHost(key.host, wanted.host)) return false
  return `/${path}`.startsWith(key.path)
}

function isSameHost(pattern: string, host: string): boolean {
  // An address of IPv6 in its brackets is no class of characters.
  if (host.startsWith('[')) return pattern === host
  const [patterns, labels] = [pattern.split('.'), host.split('.')]
  if (patterns.length !== labels.length || host === '') return false
  return patterns.every((part, at) => glob(part).test(labels[at] ?? ''))
}

/** `*`, `?` and `[…]`, as Go's path.Match knows them. */
function glob(part: string): RegExp {
  const source = part
    .replaceAll(/[.+^${}()|\\]/g, '\\$&')
    .replaceAll('*', '[^/]*')
    .replaceAll('?', '[^/]')
  try {
    return new RegExp(`^${source}$`)
  } catch {
    // A broken class is meant literally.
    return new RegExp(`^${part.replaceAll(/\W/g, '\\$&')}$`)
  }
}
