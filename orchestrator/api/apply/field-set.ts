/**
 * Sets of fields, in the form in which `metadata.managedFields` has them: a tree of path elements, `f:name` for a field
 * or a key of a map, `k:{"name":"a"}` for an item of a list with keys, `v:"a"` for an item of a set. A node is a member
 * of the set when it is empty or has an entry `.`; otherwise only fields below it are.
 * Source: sigs.k8s.io/structured-merge-diff/fieldpath (KEP-555).
 */
export interface FieldSet {
  readonly [element: string]: FieldSet
}

export const nothing: FieldSet = Object.freeze({})

const self = '.'

/** True if the set has no member at all. */
export function isEmpty(set: FieldSet): boolean {
  for (const _ in set) return false
  return true
}

/** True if the node itself is in the set. */
function isMember(node: FieldSet | undefined): boolean {
  return node !== undefined && (isEmpty(node) || Object.hasOwn(node, self))
}

/** The members below a node. */
export function below(set: FieldSet, element: string): FieldSet {
  const node = at(set, element)
  if (node === undefined || !Object.hasOwn(node, self)) return node ?? nothing
  const { [self]: _, ...children } = node
  return children
}

/** True if the set has this element of its uppermost level. */
export function has(set: FieldSet, element: string): boolean {
  return isMember(at(set, element))
}

function at(set: FieldSet, element: string): FieldSet | undefined {
  return Object.hasOwn(set, element) ? set[element] : undefined
}

/** A node; undefined when nothing of it is in the set. */
function nodeOf(member: boolean, children: FieldSet): FieldSet | undefined {
  if (isEmpty(children)) return member ? nothing : undefined
  return member ? { [self]: nothing, ...children } : children
}

type Members = (inLeft: boolean, inRight: boolean) => boolean

/** Whatever `members` says of each member of either set. */
function combine(left: FieldSet, right: FieldSet, members: Members): FieldSet {
  const set: Record<string, FieldSet> = {}
  for (const element of elementsOf(left, right)) {
    const member = members(has(left, element), has(right, element))
    const node = nodeOf(member, combine(below(left, element), below(right, element), members))
    if (node) set[element] = node
  }
  return set
}

function elementsOf(left: FieldSet, right: FieldSet): string[] {
  const elements = Object.keys(left).filter((element) => element !== self)
  for (const element of Object.keys(right)) {
    if (element !== self && !Object.hasOwn(left, element)) elements.push(element)
  }
  return elements
}

/** What is in either. */
export function union(left: FieldSet, right: FieldSet): FieldSet {
  if (isEmpty(left)) return right
  if (isEmpty(right)) return left
  return combine(left, right, (inLeft, inRight) => inLeft || inRight)
}

/** What is in both. */
export function intersection(left: FieldSet, right: FieldSet): FieldSet {
  if (isEmpty(left) || isEmpty(right)) return nothing
  return combine(left, right, (inLeft, inRight) => inLeft && inRight)
}

/** What is in `left` and not in `right`. */
export function difference(left: FieldSet, right: FieldSet): FieldSet {
  if (isEmpty(right)) return left
  return combine(left, right, (inLeft, inRight) => inLeft && !inRight)
}

/** The set of one path. */
export function setOf(path: readonly string[]): FieldSet {
  return path.reduceRight<FieldSet>((inner, element) => ({ [element]: inner }), nothing)
}

/** Every member, as a path of elements. */
export function membersOf(set: FieldSet, above: readonly string[] = []): string[][] {
  return elementsOf(set, nothing).flatMap((element) => {
    const path = [...above, element]
    return [...(has(set, element) ? [path] : []), ...membersOf(below(set, element), path)]
  })
}

/** As people read it: `.spec.containers[name="a"].image`. */
export function pathText(path: readonly string[]): string {
  return path.map(elementText).join('')
}

function elementText(element: string): string {
  const text = element.slice(2)
  if (element.startsWith('f:')) return `.${text}`
  if (element.startsWith('v:')) return `[=${text}]`
  if (element.startsWith('i:')) return `[${text}]`
  const keys = JSON.parse(text) as Record<string, unknown>
  const pairs = Object.entries(keys).map(([key, value]) => `${key}=${JSON.stringify(value)}`)
  return `[${pairs.join(',')}]`
}

/** Equal as sets, whatever the order in which they were written. */
export function isSameSet(left: FieldSet, right: FieldSet): boolean {
  if (left === right) return true
  const elements = Object.keys(left)
  if (elements.length !== Object.keys(right).length) return false
  return elements.every((element) => {
    const other = at(right, element)
    return other !== undefined && isSameSet(left[element] ?? nothing, other)
  })
}
