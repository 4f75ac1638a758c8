/** `imagePullSecrets`: kubernetes.io/dockerconfigjson and the older kubernetes.io/dockercfg (Kubernetes docs: pull-image-private-registry). */
import { type Credentials, lookUp, parseReference } from '../images/index.ts'
import type { Pod } from '../orchestrator/api/types.ts'
import type { ConfigReader } from './environment.ts'

/**
 * All users that the pod's secrets name for the image's repository, in the order in which they are tried. Secrets that
 * are missing or cannot be read are passed over, as upstream does. Throws `IMAGE_REFERENCE_INVALID`.
 */
export async function findCredentials(reader: ConfigReader, pod: Pod, image: string): Promise<Credentials[]> {
  const secrets = pod.spec?.imagePullSecrets ?? []
  if (secrets.length === 0) return []
  const { domain, path } = parseReference(image)
  const found: Credentials[] = []
  for (const { name = '' } of secrets) {
    const secret = await reader.secret(pod.metadata?.namespace ?? '', name)
    found.push(...lookUp(authsOf((secret?.data ?? {}) as Record<string, string>), { domain, path }))
  }
  return found
}

/** What `data` of a secret says of registries, by registry. */
export function authsOf(data: Readonly<Record<string, string>>): Record<string, unknown> {
  const { '.dockerconfigjson': current, '.dockercfg': older } = data
  return current === undefined ? decode(older) : fieldsOf(decode(current).auths)
}

function decode(encoded: string | undefined): Record<string, unknown> {
  try {
    return fieldsOf(JSON.parse(Buffer.from(encoded ?? '', 'base64').toString()))
  } catch {
    return {}
  }
}

function fieldsOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
}
