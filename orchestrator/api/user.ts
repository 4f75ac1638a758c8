/** Who asks. */
export interface User {
  readonly name: string
  readonly groups: readonly string[]
  /** Tells a user from a later one of the same name: the uid of a service account. */
  readonly uid?: string
  /** What else was found out about him, by keys that are qualified names. */
  readonly extra?: Readonly<Record<string, readonly string[]>>
}

/** The API server itself, and whoever holds the certificate that the first start makes. */
export const mastersGroup = 'system:masters'
/** Everybody who proved who he is. */
export const authenticatedGroup = 'system:authenticated'
export const unauthenticatedGroup = 'system:unauthenticated'
export const anonymousName = 'system:anonymous'
export const nodesGroup = 'system:nodes'
export const serviceAccountsGroup = 'system:serviceaccounts'

/** The user name of a service account. */
export function serviceAccountUser(namespace: string, name: string): string {
  return `system:serviceaccount:${namespace}:${name}`
}

/** Every service account is in these groups. */
export function serviceAccountGroups(namespace: string): string[] {
  return [serviceAccountsGroup, `${serviceAccountsGroup}:${namespace}`]
}

/** The service account of this user name; undefined for the name of anybody else. */
export function serviceAccountOf(user: string): { namespace: string; name: string } | undefined {
  const match = /^system:serviceaccount:([a-z0-9-]+):([a-z0-9.-]+)$/.exec(user)
  return match ? { namespace: match[1] ?? '', name: match[2] ?? '' } : undefined
}

const nodePrefix = 'system:node:'

/** The user name of a node's kubelet. */
export function nodeUser(nodeName: string): string {
  return `${nodePrefix}${nodeName}`
}

/** The name of the node whose kubelet this is; empty when it does not say, undefined for anybody else. */
export function nodeOf({ name, groups }: User): string | undefined {
  if (!name.startsWith(nodePrefix) || !groups.includes(nodesGroup)) return undefined
  return name.slice(nodePrefix.length)
}
