/**
 * Strategic merge patch: a merge patch that knows which lists are keyed. Keys and strategies come from the schema.
 *
 * Directives: `$patch: replace | delete | merge` in an object or in an item of a keyed list, `$retainKeys`,
 * `$setElementOrder/<list>`, `$deleteFromPrimitiveList/<list>`.
 * Source: k8s.io/apimachinery/pkg/util/strategicpatch/patch.go and the community's design document on it.
 */

import { isEqual } from '../equal.ts'
import { refusal } from '../errors.ts'
import { definitionOf, type FieldFacts, fieldOf, type TypeName } from '../schema/schema.ts'

type Fields = Record<string, unknown>

const malformed = (message: string) => refusal('BAD_PATCH', message)
const orderPrefix = '$setElementOrder/'
const deletePrefix = '$deleteFromPrimitiveList/'

/** `document`, an object of `definition`, changed by `patch`; neither is touched. Throws BAD_PATCH. */
export function applyStrategicMergePatch(definition: string, document: unknown, patch: unknown): unknown {
  if (!isFields(patch)) throw malformed('a strategic merge patch must be an object')
  return mergeFields(definition, isFields(document) ? document : {}, patch)
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function set(target: Fields, key: string, value: unknown): void {
  Object.defineProperty(target, key, { value, enumerable: true, writable: true, configurable: true })
}

/** `type` is unknown inside free-form objects and maps; there every object merges and every list replaces. */
function mergeFields(type: TypeName | undefined, document: Fields, patch: Fields): Fields {
  switch (patch.$patch) {
    case undefined:
    case 'merge':
      break
    case 'replace':
      return withoutDirectives(patch)
    case 'delete':
      return {}
    default:
      throw malformed(`unknown patch type "${String(patch.$patch)}"`)
  }
  const merged = retained(document, patch)
  for (const [key, value] of Object.entries(patch)) {
    if (isDirective(key)) continue
    const field = fieldFacts(type, key)
    const before = Object.hasOwn(merged, key) ? merged[key] : undefined
    if (value === null) delete merged[key]
    else if (Array.isArray(value))
      set(
        merged,
        key,
        mergeList(field, before, { value, order: orderOf(patch, key), removed: patch[deletePrefix + key] }),
      )
    else if (isFields(value)) {
      const inner = mergeFields(innerType(field), isFields(before) ? before : {}, value)
      set(merged, key, inner)
    } else set(merged, key, value)
  }
  applyLoneDirectives(type, merged, patch)
  return merged
}

function isDirective(key: string): boolean {
  return key === '$patch' || key === '$retainKeys' || key.startsWith(orderPrefix) || key.startsWith(deletePrefix)
}

function withoutDirectives(patch: Fields): Fields {
  return Object.fromEntries(Object.entries(patch).filter(([key, value]) => !isDirective(key) && value !== null))
}

function orderOf(patch: Fields, key: string): unknown[] | undefined {
  const order = patch[orderPrefix + key]
  if (order === undefined) return undefined
  if (!Array.isArray(order)) throw malformed(`${orderPrefix}${key} must be a list`)
  return order
}

/** `$retainKeys`: what it does not name is dropped, and what the patch sets must be named. */
function retained(document: Fields, patch: Fields): Fields {
  const keys = patch.$retainKeys
  if (keys === undefined) return { ...document }
  if (!Array.isArray(keys)) throw malformed('$retainKeys must be a list')
  const extra = Object.keys(patch).find((key) => !isDirective(key) && !keys.includes(key))
  if (extra) throw malformed(`the field ${extra} is set by the patch but not in $retainKeys`)
  return Object.fromEntries(Object.entries(document).filter(([key]) => keys.includes(key)))
}

function fieldFacts(type: TypeName | undefined, key: string): FieldFacts | undefined {
  if (type === undefined) return undefined
  if (type.startsWith('{}')) return { type: type.slice(2) }
  return type.startsWith('io.') ? fieldOf(definitionOf(type), key) : undefined
}

function innerType(field: FieldFacts | undefined): TypeName | undefined {
  return field && (field.type.startsWith('io.') || field.type.startsWith('{}')) ? field.type : undefined
}

const strategiesOf = (field: FieldFacts | undefined) => field?.strategy?.split(',') ?? []

interface ListPatch {
  value: unknown[]
  order: unknown[] | undefined
  removed?: unknown
}

function mergeList(field: FieldFacts | undefined, before: unknown, patch: ListPatch): unknown[] {
  const current = Array.isArray(before) ? before : []
  if (!strategiesOf(field).includes('merge')) return patch.value
  if (field?.mergeKey) return mergeKeyed(field, current, patch)
  const kept = Array.isArray(patch.removed) ? without(current, patch.removed) : current
  return inOrder([...new Set([...kept, ...patch.value])], patch.order, (item) => item)
}

const without = (list: readonly unknown[], removed: readonly unknown[]) =>
  list.filter((item) => !removed.some((each) => isEqual(each, item)))

function mergeKeyed(field: FieldFacts, current: readonly unknown[], { value, order }: ListPatch): unknown[] {
  const key = field.mergeKey ?? ''
  const type = field.type.slice(2)
  const keyOf = (item: unknown): unknown => {
    const found = isFields(item) ? item[key] : undefined
    if (found === undefined) throw malformed(`map: ${JSON.stringify(item)} does not contain declared merge key: ${key}`)
    return found
  }
  const replacement = value.some((item) => isFields(item) && item.$patch === 'replace')
  let merged: unknown[] = replacement ? [] : [...current]
  for (const item of value) {
    if (!isFields(item)) throw malformed(`expected a list of objects with the key ${key}`)
    if (item.$patch === 'replace') {
      // An item that only says so replaces the list; one with a key replaces the item.
      if (item[key] !== undefined) merged.push(withoutDirectives(item))
      continue
    }
    const id = keyOf(item)
    if (item.$patch === 'delete') {
      merged = merged.filter((each) => keyOf(each) !== id)
      continue
    }
    const at = merged.findIndex((each) => keyOf(each) === id)
    if (at < 0) merged.push(mergeFields(type, {}, item))
    else merged[at] = mergeFields(type, merged[at] as Fields, item)
  }
  return inOrder(merged, order, (item) => (isFields(item) ? item[key] : item))
}

/**
 * Puts the items that `order` names in that order. Those that it does not name stay behind the named item that they
 * followed before.
 */
function inOrder(
  items: readonly unknown[],
  order: readonly unknown[] | undefined,
  idOf: (item: unknown) => unknown,
): unknown[] {
  if (!order) return [...items]
  const ids = order.map(idOf)
  const rankOf = (item: unknown) => ids.indexOf(idOf(item))
  const named = items.filter((item) => rankOf(item) >= 0).sort((left, right) => rankOf(left) - rankOf(right))
  const followers = new Map<unknown, unknown[]>()
  let leader: unknown
  for (const item of items) {
    if (rankOf(item) >= 0) leader = item
    else followers.set(leader, [...(followers.get(leader) ?? []), item])
  }
  return [...(followers.get(undefined) ?? []), ...named.flatMap((item) => [item, ...(followers.get(item) ?? [])])]
}

/** Directives for lists that the patch does not otherwise mention. */
function applyLoneDirectives(type: TypeName | undefined, merged: Fields, patch: Fields): void {
  for (const [directive, value] of Object.entries(patch)) {
    const isOrder = directive.startsWith(orderPrefix)
    if (!isOrder && !directive.startsWith(deletePrefix)) continue
    const key = directive.slice(directive.indexOf('/') + 1)
    const current = merged[key]
    if (Object.hasOwn(patch, key) || !Array.isArray(current)) continue
    if (!Array.isArray(value)) throw malformed(`${directive} must be a list`)
    const mergeKey = fieldFacts(type, key)?.mergeKey
    const idOf = (item: unknown) => (mergeKey && isFields(item) ? item[mergeKey] : item)
    set(merged, key, isOrder ? inOrder(current, value, idOf) : without(current, value))
  }
}
