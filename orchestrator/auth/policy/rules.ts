/** Short words for rules, so that the default policy reads as a table. */
import type { PolicyRule } from '../../api/types.ts'

export const read = ['get', 'list', 'watch'] as const
export const write = ['create', 'delete', 'deletecollection', 'patch', 'update'] as const
export const readWrite = [...read, ...write] as const

/** `rule('get list', 'apps', 'deployments deployments/scale')`; the core group is `core`, several are `apps,batch`. */
export function rule(verbs: string | readonly string[], groups: string, resources: string, names?: string): PolicyRule {
  return {
    apiGroups: groups.split(',').map((group) => (group === 'core' ? '' : group)),
    resources: resources.split(' '),
    ...(names ? { resourceNames: names.split(' ') } : {}),
    verbs: wordsOf(verbs),
  }
}

/** A rule for paths that are no resources. */
export function paths(verbs: string, urls: string): PolicyRule {
  return { nonResourceURLs: urls.split(' '), verbs: wordsOf(verbs) }
}

const wordsOf = (verbs: string | readonly string[]) => (typeof verbs === 'string' ? verbs.split(' ') : [...verbs])

/** Who tells of events may write them in either group. */
export const eventsRule = rule('create patch update', 'core,events.k8s.io', 'events')

export const authentication = 'authentication.k8s.io'
export const authorization = 'authorization.k8s.io'
export const certificates = 'certificates.k8s.io'
export const coordination = 'coordination.k8s.io'
export const discovery = 'discovery.k8s.io'
export const networking = 'networking.k8s.io'
export const rbac = 'rbac.authorization.k8s.io'
export const resource = 'resource.k8s.io'
export const storage = 'storage.k8s.io'
