/** The default roles and bindings, put back at every start as far as they are missing. Source: k8s.io/component-helpers/auth/rbac/reconciliation. */
import { isEqual } from '../api/equal.ts'
import { resources } from '../api/resources.ts'
import type { ClusterRole, ClusterRoleBinding, KubeObject, ObjectMeta, ResourceRef } from '../api/types.ts'
import { autoUpdate, defaultPolicy } from '../auth/policy/default-policy.ts'
import { missingRights } from '../auth/rbac/covers.ts'
import type { ApiClient } from '../client/api-client.ts'
import { createMissing, findObject } from '../client/create-missing.ts'
import { updateUntilNoConflict } from '../client/update-on-conflict.ts'

/**
 * Makes what is missing, and gives existing roles back the rules and bindings the subjects that they have lost. What
 * somebody has added stays; what is annotated as not to be updated stays as it is.
 */
export async function reconcileDefaultPolicy(client: ApiClient): Promise<void> {
  const { clusterRoles, clusterRoleBindings, roles, roleBindings } = defaultPolicy()
  await Promise.all([
    ...clusterRoles.map((role) => reconcile(client, resources.clusterRoles, { wanted: role, merge: mergeRole })),
    ...roles.map((role) => reconcile(client, resources.roles, { wanted: role, merge: mergeRole })),
    ...clusterRoleBindings.map((binding) =>
      reconcile(client, resources.clusterRoleBindings, { wanted: binding, merge: mergeBinding }),
    ),
    ...roleBindings.map((binding) =>
      reconcile(client, resources.roleBindings, { wanted: binding, merge: mergeBinding }),
    ),
  ])
}

interface Reconciliation<T> {
  readonly wanted: T
  merge(found: T, wanted: T): T
}

async function reconcile<T extends KubeObject>(
  client: ApiClient,
  resource: ResourceRef<T>,
  { wanted, merge }: Reconciliation<T>,
): Promise<void> {
  if (!(await findObject(client, resource, wanted))) return createMissing(client, resource, wanted)
  const { name = '', namespace } = wanted.metadata ?? {}
  const key = { name, ...(namespace ? { namespace } : {}) }
  await updateUntilNoConflict(
    { client, resource, key },
    {
      next(current) {
        if (current.metadata?.annotations?.[autoUpdate] === 'false') return undefined
        const metadata = mergedMetadata(current.metadata, wanted.metadata)
        const next = { ...merge(current, wanted), metadata }
        return isEqual(next, current) ? undefined : next
      },
    },
  )
}

function mergedMetadata(found: ObjectMeta = {}, wanted: ObjectMeta = {}): ObjectMeta {
  return {
    ...found,
    labels: { ...found.labels, ...wanted.labels },
    annotations: { ...wanted.annotations, ...found.annotations },
  }
}

function mergeRole<T extends ClusterRole>(found: T, wanted: T): T {
  if (wanted.aggregationRule) return { ...found, aggregationRule: wanted.aggregationRule }
  const missing = missingRights(found.rules ?? [], wanted.rules ?? [])
  return missing.length === 0 ? found : { ...found, rules: [...(found.rules ?? []), ...missing] }
}

function mergeBinding<T extends ClusterRoleBinding>(found: T, wanted: T): T {
  const has = (subject: object) => (found.subjects ?? []).some((each) => isEqual(each, subject))
  const missing = (wanted.subjects ?? []).filter((subject) => !has(subject))
  return missing.length === 0 ? found : { ...found, subjects: [...(found.subjects ?? []), ...missing] }
}
