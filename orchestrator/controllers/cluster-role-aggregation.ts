import { isEqual } from '../api/equal.ts'
import { resources } from '../api/resources.ts'
import { fromSelectorFields, matchesLabels } from '../api/selectors/label.ts'
import type { ClusterRole, PolicyRule } from '../api/types.ts'
import { Informer } from '../client/informer.ts'
import { updateUntilNoConflict } from '../client/update-on-conflict.ts'
import { type Controller, type ControllerOptions, Reconciler } from './reconciler.ts'

/** A role with an `aggregationRule` has the rules of all roles that it selects (upstream: clusterrole-aggregation controller). */
export function clusterRoleAggregationController(options: ControllerOptions): Controller {
  const { client } = options
  const reconciler = new Reconciler({
    ...options,
    name: 'clusterrole-aggregation',
    reconcile: (name) => reconcile(name),
  })
  const roles: Informer<ClusterRole> = new Informer<ClusterRole>({
    client,
    resource: resources.clusterRoles,
    // Any change can concern any of them, and they are few.
    onChange: () => {
      for (const { metadata, aggregationRule } of roles.list())
        if (aggregationRule) reconciler.add(metadata?.name ?? '')
    },
  })
  const reconcile = async (name: string) => {
    const role = roles.get(name)
    if (!role?.aggregationRule || isEqual(role.rules ?? [], rulesFor(role, roles.list()))) return
    await updateUntilNoConflict(
      { client, resource: resources.clusterRoles, key: { name } },
      { next: (current) => ({ ...current, rules: rulesFor(current, roles.list()) }) },
    )
  }
  return reconciler.with([roles])
}

/** In order of the roles' names, each rule once. A role does not select itself. */
export function rulesFor({ metadata, aggregationRule }: ClusterRole, all: readonly ClusterRole[]): PolicyRule[] {
  const selectors = (aggregationRule?.clusterRoleSelectors ?? []).map(fromSelectorFields)
  const others = all.filter((other) => other.metadata?.name !== metadata?.name)
  const gathered = selectors.flatMap((selector) =>
    others
      .filter((other) => matchesLabels(selector, other.metadata?.labels))
      .sort((left, right) => ((left.metadata?.name ?? '') < (right.metadata?.name ?? '') ? -1 : 1))
      .flatMap(({ rules = [] }) => rules),
  )
  const distinct = new Map(gathered.map((rule) => [JSON.stringify(rule), rule]))
  return [...distinct.values()]
}
