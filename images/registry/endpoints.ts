import { allowsHttp } from './http.ts'
import type { Registries } from './registries.ts'

/** A repository in a registry: `library/nginx` in `docker.io`. Distribution specification 1.1. */
export interface Repository {
  domain: string
  path: string
}

export const nameOf = ({ domain, path }: Repository): string => `${domain}/${path}`

/** One server that may have a repository. */
export interface Endpoint {
  /** With port: `mirror.example:5000`. */
  host: string
  /** To try, in this order. */
  schemes: readonly ('https' | 'http')[]
  /** The repository's name there. */
  path: string
  /** On a mirror: the registry that is meant, for mirrors of several (containerd's `ns`). */
  namespace: string | undefined
}

/** The registry itself: TLS first, everywhere. */
export function originOf({ domain, path }: Repository, insecureRegistries: readonly string[]): Endpoint {
  // Docker Hub's registry has another name than its images.
  const host = domain === 'docker.io' ? 'registry-1.docker.io' : domain
  return {
    host,
    schemes: allowsHttp(host, insecureRegistries) ? ['https', 'http'] : ['https'],
    path,
    namespace: undefined,
  }
}

/** Where a repository is read from, mirrors first, the registry itself last. */
export function endpointsOf(
  repository: Repository,
  o: { registries: Registries; insecureRegistries: readonly string[] },
): Endpoint[] {
  const origin = originOf(repository, o.insecureRegistries)
  const { mirrors } = o.registries
  const mirror = mirrors.get(repository.domain) ?? mirrors.get('*')
  if (!mirror) return [origin]
  const rule = mirror.rewrite.find(({ from }) => from.test(repository.path))
  const path = rule ? repository.path.replace(rule.from, rule.to) : repository.path
  const others = mirror.endpoints.map(({ host, protocol }): Endpoint => {
    const isItself = host === origin.host
    const schemes = [protocol === 'http:' ? 'http' : 'https'] as const
    return { host, schemes, path, namespace: isItself ? undefined : repository.domain }
  })
  const last = others.some(({ host, path }) => host === origin.host && path === origin.path) ? [] : [origin]
  return [...others, ...last]
}
