/** Who owns which fields of an object that is written: `metadata.managedFields` (KEP-555). */
import { entriesOf, type Manager, type ManagerId, managersOf, withoutCrowd } from '../api/apply/managers.ts'
import { type ApplyVersion, type Change, ownersAfterUpdate } from '../api/apply/own.ts'
import { isEqual } from '../api/equal.ts'
import type { Kind } from '../api/kinds/kind.ts'
import { apiVersionOf } from '../api/kinds/table.ts'
import type { KubeObject, ObjectMeta } from '../api/types.ts'
import { type Registry, timestamp } from './registry.ts'
import { shownBy, takenBy } from './shown.ts'

/** A write, as its ownership is concerned. */
export interface OwnedWrite {
  /** The version that the client speaks. */
  readonly kind: Kind
  readonly manager: string
  readonly subresource?: string | undefined
}

/** A request, as its ownership is concerned. `kind` is how the object is stored. */
export function ownedWrite(
  kind: Kind,
  { manager, servedAs = kind, subresource }: { manager: string; servedAs?: Kind; subresource?: string | undefined },
): OwnedWrite {
  return { kind: servedAs, manager, subresource }
}

type Entries = ObjectMeta['managedFields']

/** Writes the owners into an object that may be changed. */
export function setOwners(object: KubeObject, owners: Entries): void {
  const { managedFields: _, ...metadata } = object.metadata ?? {}
  object.metadata = { ...metadata, ...(owners ? { managedFields: owners } : {}) }
}

/** The owners after a create or an update. `next` is the state that the client asks for, with defaults, before admission. */
export function ownersAfter(
  registry: Registry,
  write: OwnedWrite,
  states: { old?: KubeObject; next: KubeObject },
): Entries {
  const { old, next } = states
  const before = entriesBefore(write, states)
  // Whoever has taken all owners away does not want any, until somebody applies.
  if (old && !before) return undefined
  const change = changeOf(registry, write, { live: old, managers: managersOf(before), operation: 'Update' })
  return entriesWith(ownersAfterUpdate(change, next))
}

/** As they are stored; undefined when nobody owns anything. */
export function entriesWith(managers: readonly Manager[]): Entries {
  const entries = entriesOf(withoutCrowd(managers))
  return entries.length === 0 ? undefined : entries
}

/** A client may write owners itself; one that does not know them changes none. */
function entriesBefore({ subresource }: OwnedWrite, { old, next }: { old?: KubeObject; next: KubeObject }): Entries {
  const given = next.metadata?.managedFields
  if (!subresource && given && given.length > 0) {
    const [first, ...others] = given
    if (others.length === 0 && Object.keys(first ?? {}).length === 0) return undefined
    if (given.every(isReadable)) return given
  }
  const kept = old?.metadata?.managedFields
  return kept && kept.length > 0 ? kept : undefined
}

function isReadable({ fieldsV1, fieldsType, operation, manager }: NonNullable<Entries>[number]): boolean {
  return (
    fieldsType === 'FieldsV1' && (operation === 'Apply' || operation === 'Update') && !!manager && isTree(fieldsV1, 0)
  )
}

const deepestTree = 100

function isTree(value: unknown, depth: number): boolean {
  if (typeof value !== 'object' || value === null || Array.isArray(value) || depth > deepestTree) return false
  return Object.entries(value).every(([element, inner]) => isElement(element) && isTree(inner, depth + 1))
}

function isElement(element: string): boolean {
  if (element === '.' || element.startsWith('f:')) return true
  if (!/^[kvi]:/.test(element)) return false
  try {
    const value: unknown = JSON.parse(element.slice(2))
    return !element.startsWith('k:') || (typeof value === 'object' && value !== null)
  } catch {
    return false
  }
}

export interface OwnedState {
  readonly live: KubeObject | undefined
  readonly managers: readonly Manager[]
  readonly operation: ManagerId['operation']
}

/** The change as `api/apply` wants to know it. */
export function changeOf(registry: Registry, write: OwnedWrite, { live, managers, operation }: OwnedState): Change {
  const { kind, manager, subresource = '' } = write
  const by: ManagerId = { manager, operation, apiVersion: apiVersionOf(kind), subresource }
  const ignored = ignoredBy(kind, subresource)
  return {
    live,
    managers,
    by,
    now: timestamp(registry.clock),
    ...(ignored ? { ignored } : {}),
    versionOf: (apiVersion) => versionOf(registry, kind, apiVersion),
  }
}

/** A write of the object leaves the status alone, a write of the status the rest. */
function ignoredBy(kind: Kind, subresource: string): 'spec' | 'status' | undefined {
  if (subresource === 'status') return 'spec'
  const hasStatus = kind.subresources.some(({ name }) => name === 'status')
  return hasStatus && subresource === '' ? 'status' : undefined
}

function versionOf(registry: Registry, kind: Kind, apiVersion: string): ApplyVersion | undefined {
  const isMeant = (each: Kind) => each.storedAt === kind.storedAt && apiVersionOf(each) === apiVersion
  const version = isMeant(kind) ? kind : registry.kinds.all().find(isMeant)
  if (!version) return undefined
  return {
    definition: version.definition,
    show: (stored) => shownBy(version, stored),
    store: (shown) => takenBy(version, shown),
  }
}

/** True if two lists of owners differ in their times alone. */
export function isSameOwnership(left: Entries, right: Entries): boolean {
  const timeless = (entries: Entries) => (entries ?? []).map(({ time: _, ...rest }) => rest)
  return isEqual(timeless(left), timeless(right))
}
