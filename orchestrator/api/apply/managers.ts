/**
 * Who owns which fields: `metadata.managedFields`, read and written.
 * Source: k8s.io/apimachinery/pkg/util/managedfields/internal/managedfields.go, capmanagers.go.
 */
import type { ObjectMeta } from '../types.ts'
import { type FieldSet, isEmpty, nothing, union } from './field-set.ts'

type Entry = NonNullable<ObjectMeta['managedFields']>[number]

export type Operation = 'Apply' | 'Update'

/** Who changes an object, and how. */
export interface ManagerId {
  readonly manager: string
  readonly operation: Operation
  readonly apiVersion: string
  /** Empty for the object itself. */
  readonly subresource: string
}

/** One owner with what it owns. `time` is RFC 3339. */
export interface Manager extends ManagerId {
  readonly time?: string
  readonly fields: FieldSet
}

/** Two writes of the same manager. The time is not part of who it is. */
export function isSameManager(left: ManagerId, right: ManagerId): boolean {
  return (
    left.manager === right.manager &&
    left.operation === right.operation &&
    left.apiVersion === right.apiVersion &&
    left.subresource === right.subresource
  )
}

/** The owners that an object names. */
export function managersOf(entries: readonly Entry[] | undefined): Manager[] {
  return (entries ?? []).map((entry) => ({
    manager: entry.manager ?? '',
    operation: entry.operation === 'Apply' ? 'Apply' : 'Update',
    apiVersion: entry.apiVersion ?? '',
    subresource: entry.subresource ?? '',
    ...(entry.time ? { time: entry.time } : {}),
    fields: (entry.fieldsV1 ?? nothing) as FieldSet,
  }))
}

/** As they are stored: who owns nothing is left out; appliers first, then by time and name. */
export function entriesOf(managers: readonly Manager[]): Entry[] {
  return managers
    .filter(({ fields }) => !isEmpty(fields))
    .sort(byPlace)
    .map(({ manager, operation, apiVersion, subresource, time, fields }) => ({
      manager,
      operation,
      apiVersion,
      ...(time ? { time } : {}),
      fieldsType: 'FieldsV1',
      fieldsV1: fields,
      ...(subresource ? { subresource } : {}),
    }))
}

function byPlace(left: Manager, right: Manager): number {
  return (
    compareText(left.operation, right.operation) ||
    compareText(left.time ?? '', right.time ?? '') ||
    compareText(left.manager, right.manager) ||
    compareText(left.apiVersion, right.apiVersion) ||
    compareText(left.subresource, right.subresource)
  )
}

const compareText = (left: string, right: string) => (left < right ? -1 : left > right ? 1 : 0)

const mostUpdaters = 10
const ancient = 'ancient-changes'

/** With at most ten updaters: the oldest beyond them become one, for each version. */
export function withoutCrowd(managers: readonly Manager[]): readonly Manager[] {
  if (managers.length <= mostUpdaters) return managers
  const updaters = managers.filter(({ operation }) => operation === 'Update').sort(byPlace)
  const kept = new Set(managers)
  const bundles = new Map<string, Manager>()
  let tooMany = updaters.length - mostUpdaters
  for (const updater of updaters) {
    if (tooMany <= 0) break
    const before = bundles.get(updater.apiVersion)
    const bundle = before
      ? { ...updater, manager: ancient, subresource: '', fields: union(before.fields, updater.fields) }
      : updater
    bundles.set(updater.apiVersion, bundle)
    if (!before) continue
    kept.delete(before)
    kept.delete(updater)
    kept.add(bundle)
    tooMany--
  }
  return [...kept]
}
