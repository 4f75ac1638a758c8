/** Who may do what. The first authorizer is a table for the system's own parts; RBAC takes its place later. */
import { mastersGroup, type User } from '../api/user.ts'

/** What is asked for, in the words of the Kubernetes authorizers. */
export interface Attributes {
  readonly user: User
  readonly verb: string
  /** Unset for a path that is no resource. */
  readonly resource?: {
    readonly group: string
    readonly resource: string
    readonly subresource: string
    readonly namespace?: string
    readonly name: string
  }
  readonly path: string
}

export interface Authorizer {
  isAllowed(attributes: Attributes): boolean
}

interface Rule {
  readonly group?: string
  /** `*` for every resource of the group; `pods/log` for a subresource. */
  readonly resources: readonly string[]
  readonly verbs: readonly string[]
  /** Only objects of this name. */
  readonly ownName?: true
}

const read = ['get', 'list', 'watch']
const write = ['create', 'update', 'patch', 'delete']
const any = [...read, ...write, 'deletecollection']

const events: readonly Rule[] = [
  { resources: ['events'], verbs: ['create', 'update', 'patch', 'get', 'list', 'watch'] },
]
const leases: Rule = { group: 'coordination.k8s.io', resources: ['leases'], verbs: any }

/** As the Node authorizer gives to a kubelet. */
const nodeRules: readonly Rule[] = [
  { resources: ['nodes'], verbs: [...read, 'create'] },
  { resources: ['nodes', 'nodes/status'], verbs: ['update', 'patch'], ownName: true },
  { resources: ['pods'], verbs: [...read, 'create', 'delete'] },
  { resources: ['pods/status'], verbs: ['update', 'patch', 'get'] },
  { resources: ['configmaps', 'secrets', 'services', 'endpoints', 'namespaces', 'serviceaccounts'], verbs: read },
  { group: 'discovery.k8s.io', resources: ['endpointslices'], verbs: read },
  leases,
  ...events,
]

const schedulerRules: readonly Rule[] = [
  { resources: ['nodes', 'namespaces', 'services'], verbs: read },
  { resources: ['pods'], verbs: [...read, 'delete'] },
  { resources: ['pods/binding'], verbs: ['create'] },
  { resources: ['pods/status'], verbs: ['update', 'patch'] },
  leases,
  ...events,
]

const controllerRules: readonly Rule[] = [
  { resources: ['*'], verbs: any },
  { group: 'discovery.k8s.io', resources: ['*'], verbs: any },
  leases,
  ...events,
]

/** Discovery is for everybody who has a certificate. */
const publicPaths = ['/api', '/apis', '/openapi', '/version', '/healthz', '/livez', '/readyz']

/** The table: system:masters may do everything, the system's parts what they need, nobody else anything. */
export const systemAuthorizer: Authorizer = {
  isAllowed(attributes) {
    const { user, resource, path, verb } = attributes
    if (user.groups.includes(mastersGroup)) return true
    if (!resource) {
      return ['get', 'head'].includes(verb) && publicPaths.some((each) => path === each || path.startsWith(`${each}/`))
    }
    return rulesOf(user).some((rule) => matches(rule, attributes))
  },
}

function rulesOf(user: User): readonly Rule[] {
  if (user.groups.includes('system:nodes') && user.name.startsWith('system:node:')) return nodeRules
  if (user.name === 'system:kube-scheduler') return schedulerRules
  if (user.name === 'system:kube-controller-manager') return controllerRules
  return []
}

function matches(rule: Rule, { user, verb, resource }: Attributes): boolean {
  if (!resource || (rule.group ?? '') !== resource.group || !rule.verbs.includes(verb)) return false
  const wanted = resource.subresource === '' ? resource.resource : `${resource.resource}/${resource.subresource}`
  if (!rule.resources.includes(wanted) && !rule.resources.includes('*')) return false
  return !rule.ownName || resource.name === user.name.slice('system:node:'.length)
}

/** Why not, in Kubernetes' words. */
export function refusalOf({ user, verb, resource, path }: Attributes): string {
  const who = `User ${JSON.stringify(user.name)} cannot ${verb}`
  if (!resource) return `${who} path ${JSON.stringify(path)}`
  const name = resource.subresource === '' ? resource.resource : `${resource.resource}/${resource.subresource}`
  const where = resource.namespace ? `in the namespace ${JSON.stringify(resource.namespace)}` : 'at the cluster scope'
  return `${who} resource ${JSON.stringify(name)} in API group ${JSON.stringify(resource.group)} ${where}`
}
