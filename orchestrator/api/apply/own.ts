/**
 * Server-side apply and the ownership of fields. Pure: (live object, change, who) in, object and owners out.
 * Source: KEP-555; sigs.k8s.io/structured-merge-diff/merge/update.go.
 */
import { type Comparison, changedOf, compare, isSame } from './compare.ts'
import { difference, type FieldSet, intersection, isEmpty, membersOf, nothing, union } from './field-set.ts'
import { fieldsOf, fieldsOfNew } from './fields-of.ts'
import { isSameManager, type Manager, type ManagerId } from './managers.ts'
import { merge, removeItems, withStructsAsMembers } from './merge.ts'

/** A version of the kind: its definition, and the way from an object as it is stored and back. */
export interface ApplyVersion {
  readonly definition: string
  show(stored: object): object
  store(shown: object): object
}

export interface Change {
  /** The state before; undefined for a new object. */
  readonly live: object | undefined
  readonly managers: readonly Manager[]
  readonly by: ManagerId
  /** RFC 3339, for what this change writes. */
  readonly now: string
  /** The uppermost field that this way of writing cannot change: nobody owns it by it. */
  readonly ignored?: 'spec' | 'status'
  /** The version of an owner; undefined when it is not served any more: then the owner is forgotten. */
  versionOf(apiVersion: string): ApplyVersion | undefined
}

/** A field that somebody else owns with another value. */
export interface Conflict {
  readonly manager: Manager
  readonly path: readonly string[]
}

export type Applied =
  | { readonly conflicts: readonly Conflict[] }
  | { readonly conflicts?: undefined; readonly object: object; readonly managers: readonly Manager[] }

/** What the server writes itself, in metadata. */
const serversOwn = new Set([
  'name',
  'namespace',
  'creationTimestamp',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
  'selfLink',
  'uid',
  'generation',
  'managedFields',
  'resourceVersion',
])

/** An object without what every object has and nobody owns, and without what this way of writing cannot change. */
function ownable(object: object, ignored: string | undefined): object {
  const { metadata, ...rest } = object as Record<string, unknown>
  const owned = without((metadata ?? {}) as Record<string, unknown>, (name) => serversOwn.has(name))
  const others = without(rest, (name) => name === 'apiVersion' || name === 'kind' || name === ignored)
  return Object.keys(owned).length === 0 ? others : { metadata: owned, ...others }
}

function without(fields: Readonly<Record<string, unknown>>, isLeftOut: (name: string) => boolean) {
  const left: Record<string, unknown> = {}
  for (const name in fields) if (!isLeftOut(name)) left[name] = fields[name]
  return left
}

/**
 * The owners after `next` has been written in place of `live` by other means than apply: the writer owns what it has
 * changed, and nobody else does.
 */
export function ownersAfterUpdate(change: Change, next: object): Manager[] {
  const version = requireVersion(change)
  const seen = (object: object) => ownable(version.show(object), change.ignored)
  if (!change.live) return ownersOfNew(change, fieldsOfNew(version.definition, seen(next)))
  const compared = compare(version.definition, seen(change.live), seen(next))
  const taken = changedOf(compared)
  const others = othersAfter(change, next, { compared, isForced: true }).managers
  const mine = change.managers.find((manager) => isSameManager(manager, change.by))
  const kept = difference(mine?.fields ?? nothing, compared.removed)
  if (isEmpty(taken)) return mine ? [...others, { ...mine, fields: kept }] : others
  return [...others, { ...change.by, time: change.now, fields: union(kept, taken) }]
}

function ownersOfNew({ by, now }: Change, fields: FieldSet): Manager[] {
  return isEmpty(fields) ? [] : [{ ...by, time: now, fields }]
}

/**
 * Applies `config`, the fields of which `change.by` is to own. Fields that it owned and no longer names go, unless
 * another applier has them. Without force, a field that somebody else owns with another value is a conflict.
 */
export function applyConfig(change: Change & { live: object }, config: object, isForced: boolean): Applied {
  const version = requireVersion(change)
  const { definition } = version
  const live = version.show(change.live)
  const mine = change.managers.find((manager) => isSameManager(manager, change.by))
  const fields = fieldsOf(definition, ownable(config, change.ignored))
  const now: Manager = { ...change.by, time: change.now, fields }
  const appliers = [...change.managers.filter((manager) => manager !== mine), now]
  const merged = merge(definition, live, config)
  const pruned = prune(change, { merged, last: mine?.fields ?? nothing, appliers }) as object
  const compared = compare(definition, live, pruned)
  const after = othersAfter(change, version.store(pruned), { compared, isForced })
  if (after.conflicts.length > 0) return { conflicts: after.conflicts }
  const isNoop = isSame(compared) && mine !== undefined && isSameFields(mine.fields, fields)
  return { object: pruned, managers: [...after.managers, isNoop ? mine : now] }
}

const isSameFields = (left: FieldSet, right: FieldSet) =>
  isEmpty(difference(left, right)) && isEmpty(difference(right, left))

function requireVersion({ by, versionOf }: Pick<Change, 'by' | 'versionOf'>): ApplyVersion {
  const version = versionOf(by.apiVersion)
  if (!version) throw new Error(`own fields of ${by.apiVersion}: the version is not served`)
  return version
}

interface Write {
  readonly compared: Comparison
  readonly isForced: boolean
}

/** What the other owners have left after the object has become `next`, and what they object to. */
function othersAfter(
  change: Change,
  next: object,
  { compared, isForced }: Write,
): { managers: Manager[]; conflicts: Conflict[] } {
  const conflicts: Conflict[] = []
  const managers = change.managers.flatMap((manager): Manager[] => {
    if (isSameManager(manager, change.by)) return []
    const seen = comparedIn(change, next, { manager, compared })
    if (!seen) return []
    const disputed = intersection(manager.fields, changedOf(seen))
    if (!isForced) conflicts.push(...membersOf(disputed).map((path) => ({ manager, path })))
    const fields = difference(difference(manager.fields, disputed), seen.removed)
    return isEmpty(fields) ? [] : [{ ...manager, fields }]
  })
  return { managers, conflicts }
}

/** The same change as the version of `manager` sees it; `next` as it is stored. */
function comparedIn(
  change: Change,
  next: object,
  { manager, compared }: { manager: Manager; compared: Comparison },
): Comparison | undefined {
  if (manager.apiVersion === change.by.apiVersion) return compared
  const version = change.versionOf(manager.apiVersion)
  return version && compare(version.definition, change.live && version.show(change.live), version.show(next))
}

interface Pruning {
  readonly merged: unknown
  readonly last: FieldSet
  readonly appliers: readonly Manager[]
}

/** `merged` without what the applier owned before and neither it nor another applier names now. */
function prune(change: Change, { merged, last, appliers }: Pruning): unknown {
  if (isEmpty(last)) return merged
  const { definition } = requireVersion(change)
  const whole = (set: FieldSet) => withStructsAsMembers(definition, set)
  const membersIn = (object: unknown) => whole(fieldsOf(definition, object ?? {}))
  const lastMembers = whole(last)
  const mergedMembers = membersIn(merged)
  const applied = appliers
    .filter(({ operation, apiVersion }) => operation === 'Apply' && apiVersion === change.by.apiVersion)
    .reduce((set, { fields }) => union(set, fields), nothing)
  const first = removeItems(definition, merged, lastMembers)
  const owned = removeItems(definition, merged, difference(mergedMembers, union(membersIn(first), whole(applied))))
  // What is named stays, even if all that is left of it is its name: an applied `labels: {}` takes nobody's labels away.
  const gone = difference(mergedMembers, union(membersIn(owned), whole(applied)))
  const dangling = intersection(gone, lastMembers)
  return removeItems(definition, merged, dangling)
}
