/** Where things are in the API: paths and queries, as every client writes them. */
import type { KubeObject, ResourceRef } from '../api/types.ts'
import type { ListOptions } from './api-client.ts'

/** A collection, an object of it, or a subresource of that object. */
export interface ResourcePlace {
  readonly namespace?: string
  readonly name?: string
  readonly subresource?: string
}

/** `/apis/apps/v1/namespaces/x/deployments/d/status`. */
export function pathOf(resource: ResourceRef<KubeObject>, place: ResourcePlace): string {
  const { group, version } = resource
  const { namespace, name, subresource } = place
  const parts = [
    ...(group === '' ? ['api', version] : ['apis', group, version]),
    ...(resource.namespaced && namespace !== undefined ? ['namespaces', namespace] : []),
    resource.resource,
    ...(name === undefined ? [] : [name]),
    ...(subresource === undefined ? [] : [subresource]),
  ]
  return `/${parts.map(encodeURIComponent).join('/')}`
}

/** The selectors, and what else is asked. */
export function queryOf(
  { labelSelector, fieldSelector }: ListOptions,
  more: Readonly<Record<string, string>> = {},
): URLSearchParams {
  return new URLSearchParams({
    ...(labelSelector ? { labelSelector } : {}),
    ...(fieldSelector ? { fieldSelector } : {}),
    ...more,
  })
}
