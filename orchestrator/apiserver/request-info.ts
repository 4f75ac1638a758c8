/** From method and path to what is meant. Source: k8s.io/apiserver/pkg/endpoints/request/requestinfo.go. */
import type { Verb } from '../api/kinds/kind.ts'
import { booleanOf } from './parameters.ts'

export interface ResourceRequest {
  readonly type: 'resource'
  readonly verb: Verb
  readonly group: string
  readonly version: string
  readonly resource: string
  readonly subresource: string
  readonly namespace?: string
  readonly name: string
  /** What is left of the path behind the subresource, for proxies. */
  readonly rest: readonly string[]
}

export type RequestInfo = ResourceRequest | { readonly type: 'path'; readonly verb: string; readonly path: string }

/** Below a namespace these are of the namespace itself. */
const namespaceSubresources = ['status', 'finalize']

/** `undefined` in `verb` positions is impossible: a method without a meaning is a request for a path. */
export function requestInfoOf(method: string, path: string, query: URLSearchParams): RequestInfo {
  const parts = partsOf(path)
  const place = placeOf(parts)
  if (!place) return { type: 'path', verb: method.toLowerCase(), path }
  const { group, version, rest } = place
  // `/api/v1/watch/pods` is the old form of `/api/v1/pods?watch`, and one object can be watched so, too.
  const isOldWatch = rest[0] === 'watch' && method === 'GET'
  const target = targetOf(isOldWatch ? rest.slice(1) : rest)
  const verb = target.resource === '' ? undefined : isOldWatch ? 'watch' : verbOf(method, target, query)
  if (!verb) return { type: 'path', verb: method.toLowerCase(), path }
  return { type: 'resource', verb, group, version, ...target }
}

/** What is between the slashes, decoded. */
function partsOf(path: string): string[] {
  const parts: string[] = []
  for (const part of path.split('/')) if (part !== '') parts.push(decode(part))
  return parts
}

function decode(part: string): string {
  if (!part.includes('%')) return part
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}

function placeOf(parts: readonly string[]): { group: string; version: string; rest: string[] } | undefined {
  const [root, first = '', second = ''] = parts
  if (root === 'api' && parts.length > 2) return { group: '', version: first, rest: parts.slice(2) }
  if (root === 'apis' && parts.length > 3) return { group: first, version: second, rest: parts.slice(3) }
  return undefined
}

type Target = Pick<ResourceRequest, 'resource' | 'subresource' | 'name' | 'namespace' | 'rest'>

function targetOf(rest: readonly string[]): Target {
  const [first = '', second = '', third = '', fourth = '', fifth = '', ...more] = rest
  if (first !== 'namespaces') {
    return { resource: first, name: second, subresource: third, rest: rest.slice(3) }
  }
  const isOfNamespace = rest.length < 3 || namespaceSubresources.includes(third)
  if (isOfNamespace) {
    const namespace = second === '' ? {} : { namespace: second }
    return { resource: first, name: second, subresource: third, rest: rest.slice(3), ...namespace }
  }
  return { resource: third, namespace: second, name: fourth, subresource: fifth, rest: more }
}

function verbOf(method: string, { name, subresource }: Target, query: URLSearchParams): Verb | undefined {
  const hasName = name !== ''
  switch (method) {
    case 'GET':
    case 'HEAD': {
      if (hasName) return 'get'
      return booleanOf(query, 'watch') ? 'watch' : 'list'
    }
    case 'POST':
      return 'create'
    case 'PUT':
      return 'update'
    case 'PATCH':
      return 'patch'
    case 'DELETE':
      return hasName ? 'delete' : 'deletecollection'
    case 'OPTIONS':
      // A question that changes nothing, for whoever is behind the proxy.
      return subresource === 'proxy' ? 'get' : undefined
    default:
      return undefined
  }
}
