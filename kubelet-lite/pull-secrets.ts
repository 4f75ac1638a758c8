/** `imagePullSecrets` of type kubernetes.io/dockerconfigjson (Kubernetes docs: pull-image-private-registry). */
import type { Pod } from '../orchestrator/api/types.ts'
import type { ConfigReader } from './environment.ts'

export interface Credentials {
  username: string
  password: string
}

interface DockerConfig {
  auths?: Record<string, { auth?: string; username?: string; password?: string }>
}

/** The first secret's entry whose registry is the image's; undefined when none fits. Secrets that are missing are passed over, as upstream does. */
export async function findCredentials(reader: ConfigReader, pod: Pod, image: string): Promise<Credentials | undefined> {
  for (const { name = '' } of pod.spec?.imagePullSecrets ?? []) {
    const secret = await reader.secret(pod.metadata?.namespace ?? '', name)
    const encoded = (secret?.data as Record<string, string> | undefined)?.['.dockerconfigjson']
    const found = encoded === undefined ? undefined : credentialsFor(decode(encoded), registryOf(image))
    if (found) return found
  }
  return undefined
}

function decode(encoded: string): DockerConfig {
  try {
    return JSON.parse(Buffer.from(encoded, 'base64').toString()) as DockerConfig
  } catch {
    return {}
  }
}

function registryOf(image: string): string {
  const [first = '', ...rest] = image.split('/')
  const named = rest.length > 0 && (/[.:]/.test(first) || first === 'localhost')
  return named ? first : 'docker.io'
}

function credentialsFor(config: DockerConfig, registry: string): Credentials | undefined {
  const host = (key: string) =>
    key
      .replace(/^https?:\/\//, '')
      .split('/')[0]
      ?.replace(/^index\.docker\.io$/, 'docker.io')
  const entry = Object.entries(config.auths ?? {}).find(([key]) => host(key) === registry)?.[1]
  if (!entry) return undefined
  const [username = '', ...password] = Buffer.from(entry.auth ?? '', 'base64')
    .toString()
    .split(':')
  return { username: entry.username ?? username, password: entry.password ?? password.join(':') }
}
