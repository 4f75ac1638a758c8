/** What there is: `/api`, `/apis` and the resources of each version, in the old form and aggregated. */
import { createHash } from 'node:crypto'
import type { Kind } from '../api/kinds/kind.ts'
import { apiVersionOf, type KindTable } from '../api/kinds/table.ts'
import { unknownResource } from '../api/status.ts'
import { mediaRangesOf } from './negotiate.ts'

/** Groups in the order of preference, the core group first. */
function groupsOf(kinds: KindTable): Map<string, Map<string, Kind[]>> {
  const groups = new Map<string, Map<string, Kind[]>>()
  for (const kind of kinds.all()) {
    const versions = groups.get(kind.group) ?? new Map<string, Kind[]>()
    versions.set(kind.version, [...(versions.get(kind.version) ?? []), kind])
    groups.set(kind.group, versions)
  }
  return groups
}

/** The answer to a discovery path, or undefined for another path. Throws NOT_FOUND for an unknown group or version. */
export function discover(
  kinds: KindTable,
  path: string,
  accept: string | undefined,
): { body: unknown; contentType: string } | undefined {
  const parts = path.split('/').filter((part) => part !== '')
  const [root, first, second, ...more] = parts
  if ((root !== 'api' && root !== 'apis') || more.length > 0) return undefined
  if (first === undefined) {
    const aggregated = aggregatedForm(accept)
    const isCore = root === 'api'
    if (aggregated) return { body: aggregatedList(kinds, isCore, aggregated), contentType: aggregatedType(aggregated) }
    return json(isCore ? coreVersions() : groupList(kinds))
  }
  if (root === 'api') return second === undefined ? json(resourceList(kinds, '', first)) : undefined
  if (second === undefined) return json(groupOf(kinds, first))
  return json(resourceList(kinds, first, second))
}

const json = (body: unknown) => ({ body, contentType: 'application/json' })

function coreVersions() {
  return {
    kind: 'APIVersions',
    versions: ['v1'],
    serverAddressByClientCIDRs: [{ clientCIDR: '0.0.0.0/0', serverAddress: '' }],
  }
}

function groupEntry(group: string, versions: Iterable<string>) {
  const entries = [...versions].map((version) => ({ groupVersion: `${group}/${version}`, version }))
  return { name: group, versions: entries, preferredVersion: entries[0] }
}

function groupList(kinds: KindTable) {
  const groups = [...groupsOf(kinds)].filter(([group]) => group !== '')
  return {
    kind: 'APIGroupList',
    apiVersion: 'v1',
    groups: groups.map(([group, versions]) => groupEntry(group, versions.keys())),
  }
}

function groupOf(kinds: KindTable, group: string) {
  const versions = groupsOf(kinds).get(group)
  if (!versions || group === '') throw unknownResource()
  return { kind: 'APIGroup', apiVersion: 'v1', ...groupEntry(group, versions.keys()) }
}

function resourceList(kinds: KindTable, group: string, version: string) {
  const found = groupsOf(kinds).get(group)?.get(version)
  if (!found) throw unknownResource()
  const resources = found.flatMap((kind) => [
    {
      name: kind.resource,
      singularName: kind.singular,
      namespaced: kind.namespaced,
      kind: kind.kind,
      verbs: kind.verbs,
      ...(kind.shortNames ? { shortNames: kind.shortNames } : {}),
      ...(kind.categories ? { categories: kind.categories } : {}),
      ...(kind.storedAt === '' ? {} : { storageVersionHash: storageVersionHash(kind) }),
    },
    ...kind.subresources.map((sub) => ({
      name: `${kind.resource}/${sub.name}`,
      singularName: '',
      namespaced: kind.namespaced,
      ...(sub.group ? { group: sub.group, version: sub.version } : {}),
      kind: sub.kind ?? kind.kind,
      verbs: sub.verbs,
    })),
  ])
  const groupVersion = apiVersionOf({ group, version })
  return { kind: 'APIResourceList', ...(group === '' ? {} : { apiVersion: 'v1' }), groupVersion, resources }
}

/** Changes when objects are stored in another version. Source: k8s.io/apiserver/pkg/endpoints/discovery/storageversionhash.go. */
function storageVersionHash(shown: Kind): string {
  const { group, version, kind } = shown.conversion?.stored ?? shown
  return createHash('sha256').update(`${group}/${version}/${kind}`).digest().subarray(0, 8).toString('base64')
}

/** The aggregated form that the client asks for: `v2` or `v2beta1`. */
function aggregatedForm(accept: string | undefined): string | undefined {
  for (const { type, parameters } of mediaRangesOf(accept)) {
    if (type !== 'application/json') continue
    if (!parameters.as) return undefined
    const isOurs = parameters.g === 'apidiscovery.k8s.io' && parameters.as === 'APIGroupDiscoveryList'
    if (isOurs && (parameters.v === 'v2' || parameters.v === 'v2beta1')) return parameters.v
  }
  return undefined
}

const aggregatedType = (version: string) =>
  `application/json;g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList`

function aggregatedList(kinds: KindTable, isCore: boolean, version: string) {
  const groups = [...groupsOf(kinds)].filter(([group]) => (group === '') === isCore)
  return {
    kind: 'APIGroupDiscoveryList',
    apiVersion: `apidiscovery.k8s.io/${version}`,
    metadata: {},
    items: groups.map(([group, versions]) => ({
      metadata: { ...(group === '' ? {} : { name: group }), creationTimestamp: null },
      versions: [...versions].map(([name, members]) => ({
        version: name,
        resources: members.map(aggregatedResource),
        freshness: 'Current',
      })),
    })),
  }
}

function aggregatedResource(kind: Kind) {
  const own = { group: kind.group, version: kind.version, kind: kind.kind }
  return {
    resource: kind.resource,
    responseKind: own,
    scope: kind.namespaced ? 'Namespaced' : 'Cluster',
    singularResource: kind.singular,
    verbs: kind.verbs,
    ...(kind.shortNames ? { shortNames: kind.shortNames } : {}),
    ...(kind.categories ? { categories: kind.categories } : {}),
    ...(kind.subresources.length === 0
      ? {}
      : {
          subresources: kind.subresources.map((sub) => ({
            subresource: sub.name,
            responseKind: {
              group: sub.group ?? kind.group,
              version: sub.version ?? kind.version,
              kind: sub.kind ?? kind.kind,
            },
            verbs: sub.verbs,
          })),
        }),
  }
}
