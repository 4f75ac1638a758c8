/** Roles and bindings in memory, by who is bound: a decision looks only at what concerns the user. */
import type { ClusterRole, ClusterRoleBinding, PolicyRule, RbacSubject, Role, RoleBinding } from '../../api/types.ts'
import { serviceAccountUser, type User } from '../../api/user.ts'
import { type CompiledRule, compileRule } from './rule.ts'

export type AnyRole = Role | ClusterRole
export type AnyBinding = RoleBinding | ClusterRoleBinding

/** One subject of one binding. */
export interface Grant {
  readonly binding: AnyBinding
  readonly subject: RbacSubject
  /** Where its role is, made once: a decision looks it up each time. */
  readonly role: string
}

/** Takes the compiled rules of a grant, or nothing when its role is missing. True ends the visit. */
export type Visitor = (grant: Grant, rules: readonly CompiledRule[] | undefined) => boolean

/** Bindings of the cluster are under this namespace. */
const cluster = ''
const none: ReadonlySet<Grant> = new Set()

export class RbacIndex {
  /** By namespace and name. */
  readonly #roles = new Map<string, readonly CompiledRule[]>()
  /** By namespace, then by subject. */
  readonly #grants = new Map<string, Map<string, Set<Grant>>>()
  readonly #grantsOfBinding = new Map<string, readonly Grant[]>()

  putRole(role: AnyRole): void {
    this.#roles.set(placeOf(role), (role.rules ?? []).map(compileRule))
  }

  removeRole(role: AnyRole): void {
    this.#roles.delete(placeOf(role))
  }

  putBinding(binding: AnyBinding): void {
    this.removeBinding(binding)
    const role = placeOfRole(binding.roleRef, binding.metadata?.namespace ?? cluster)
    const grants = (binding.subjects ?? []).map((subject) => ({ binding, subject, role }))
    this.#grantsOfBinding.set(placeOf(binding), grants)
    const bySubject = this.#bySubject(binding)
    for (const grant of grants) {
      const key = keyOfSubject(grant)
      bySubject.set(key, (bySubject.get(key) ?? new Set()).add(grant))
    }
  }

  removeBinding(binding: AnyBinding): void {
    const bySubject = this.#bySubject(binding)
    for (const grant of this.#grantsOfBinding.get(placeOf(binding)) ?? []) {
      const key = keyOfSubject(grant)
      const grants = bySubject.get(key)
      grants?.delete(grant)
      if (grants?.size === 0) bySubject.delete(key)
    }
    this.#grantsOfBinding.delete(placeOf(binding))
  }

  /** The rules of the role that a binding in `namespace` (empty for the cluster) refers to; undefined when it is missing. */
  rulesOf(ref: { readonly kind: string; readonly name: string }, namespace: string): PolicyRule[] | undefined {
    return this.#roles.get(placeOfRole(ref, namespace))?.map(({ rule }) => rule)
  }

  /** Everything that is granted to the user in the cluster, and then in `namespace` (empty: nothing more). */
  visit(user: User, namespace: string, visitor: Visitor): void {
    if (this.#visitIn(cluster, user, visitor) || namespace === cluster) return
    this.#visitIn(namespace, user, visitor)
  }

  #visitIn(namespace: string, { name, groups }: User, visitor: Visitor): boolean {
    const bySubject = this.#grants.get(namespace)
    if (!bySubject) return false
    const tell = (grants: ReadonlySet<Grant>) => {
      for (const grant of grants) {
        if (visitor(grant, this.#roles.get(grant.role))) return true
      }
      return false
    }
    if (tell(bySubject.get(userKey(name)) ?? none)) return true
    return groups.some((group) => tell(bySubject.get(groupKey(group)) ?? none))
  }

  #bySubject({ metadata }: AnyBinding): Map<string, Set<Grant>> {
    const namespace = metadata?.namespace ?? cluster
    const found = this.#grants.get(namespace) ?? new Map<string, Set<Grant>>()
    this.#grants.set(namespace, found)
    return found
  }
}

const userKey = (name: string) => `u:${name}`
const groupKey = (name: string) => `g:${name}`

function placeOfRole({ kind, name }: { readonly kind: string; readonly name: string }, namespace: string): string {
  return kind === 'ClusterRole' ? `${cluster}/${name}` : `${namespace}/${name}`
}

function placeOf({ metadata }: AnyRole | AnyBinding): string {
  return `${metadata?.namespace ?? cluster}/${metadata?.name}`
}

/** A service account is a user with a long name. */
function keyOfSubject({ binding, subject }: Pick<Grant, 'binding' | 'subject'>): string {
  if (subject.kind === 'Group') return groupKey(subject.name)
  if (subject.kind !== 'ServiceAccount') return userKey(subject.name)
  return userKey(serviceAccountUser(subject.namespace || (binding.metadata?.namespace ?? ''), subject.name))
}
