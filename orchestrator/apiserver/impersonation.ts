/** Acting as somebody else. Source: k8s.io/apiserver/pkg/endpoints/filters/impersonation.go. */
import { badRequest } from '../api/status.ts'
import {
  anonymousName,
  authenticatedGroup,
  serviceAccountGroups,
  serviceAccountOf,
  type User,
  unauthenticatedGroup,
} from '../api/user.ts'
import type { Authorizer, ResourceAttributes } from '../auth/authorize.ts'
import { refuseUnlessAllowed } from './authorization.ts'

const extraPrefix = 'impersonate-extra-'

/** As whom `user` wants to act; undefined when he does not. `rawHeaders` are names and values in turn. */
export function impersonatedBy(authorizer: Authorizer, user: User, rawHeaders: readonly string[]): User | undefined {
  const wanted = wantedBy(rawHeaders)
  if (!wanted) return undefined
  const [name] = wanted.names
  if (!name) throw badRequest('requested impersonation of groups, uid or extra without impersonating a user')
  const account = serviceAccountOf(name)
  const ask = (group: string, resource: string, asked: Partial<ResourceAttributes> & { name: string }) =>
    refuseUnlessAllowed(authorizer, {
      user,
      verb: 'impersonate',
      path: '',
      resource: { group, resource, subresource: '', ...asked },
    })
  if (account) ask('', 'serviceaccounts', account)
  else ask('', 'users', { name })
  for (const group of wanted.groups) ask('', 'groups', { name: group })
  for (const [key, values] of Object.entries(wanted.extra)) {
    for (const value of values) ask(authenticationGroup, 'userextras', { subresource: key, name: value })
  }
  if (wanted.uid) ask(authenticationGroup, 'uids', { name: wanted.uid })
  return {
    name,
    groups: groupsOf(name, wanted.groups),
    ...(wanted.uid ? { uid: wanted.uid } : {}),
    ...(Object.keys(wanted.extra).length > 0 ? { extra: wanted.extra } : {}),
  }
}

const authenticationGroup = 'authentication.k8s.io'

interface Wanted {
  readonly names: string[]
  readonly groups: string[]
  uid?: string
  readonly extra: Record<string, string[]>
}

function wantedBy(rawHeaders: readonly string[]): Wanted | undefined {
  const wanted: Wanted = { names: [], groups: [], extra: {} }
  let any = false
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const header = rawHeaders[at]?.toLowerCase() ?? ''
    if (header.startsWith('impersonate-') && take(wanted, header, rawHeaders[at + 1] ?? '')) any = true
  }
  return any ? wanted : undefined
}

/** False for a header that means nothing. */
function take(wanted: Wanted, header: string, value: string): boolean {
  if (header === 'impersonate-user') wanted.names.push(value)
  else if (header === 'impersonate-group') wanted.groups.push(value)
  else if (header === 'impersonate-uid') wanted.uid = value
  else if (header.startsWith(extraPrefix)) addExtra(wanted, header.slice(extraPrefix.length), value)
  else return false
  return true
}

/** Keys may have characters that headers cannot: they come percent-encoded. */
function addExtra({ extra }: Wanted, encoded: string, value: string): void {
  let key = encoded
  try {
    key = decodeURIComponent(encoded)
  } catch {
    // Then it is meant as it is.
  }
  const values = Object.hasOwn(extra, key) ? (extra[key] ?? []) : []
  Object.defineProperty(extra, key, { value: [...values, value], enumerable: true, configurable: true, writable: true })
}

function groupsOf(name: string, asked: readonly string[]): string[] {
  const account = serviceAccountOf(name)
  const groups = asked.length === 0 && account ? serviceAccountGroups(account.namespace) : [...asked]
  if (groups.includes(authenticatedGroup) || groups.includes(unauthenticatedGroup)) return groups
  return [...groups, name === anonymousName ? unauthenticatedGroup : authenticatedGroup]
}
