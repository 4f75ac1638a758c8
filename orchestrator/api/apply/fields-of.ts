/** Which fields an object sets: what its author claims. Source: structured-merge-diff/typed, `toFieldSetWalker`. */
import { type FieldSet, isEmpty, nothing } from './field-set.ts'
import { elementOf, isJson, type Json, type Shape, shapeOf } from './shape.ts'

/** All fields of an object of `definition`. */
export function fieldsOf(definition: string, object: unknown): FieldSet {
  return walk(shapeOf(definition), object).children
}

interface Found {
  /** True if the value itself is a member. */
  member: boolean
  children: FieldSet
}

function walk(shape: Shape, value: unknown): Found {
  switch (shape.type) {
    case 'leaf':
      return { member: true, children: nothing }
    case 'struct':
    case 'map':
      return isJson(value) ? { member: false, children: walkFields(shape, value) } : { member: true, children: nothing }
    case 'set':
    case 'keyed':
      return Array.isArray(value)
        ? { member: false, children: walkItems(shape, value) }
        : { member: value === null, children: nothing }
  }
}

function walkFields(shape: Shape & { type: 'struct' | 'map' }, value: Json): FieldSet {
  const set: Record<string, FieldSet> = {}
  for (const [name, inner] of Object.entries(value)) {
    const isField = shape.type === 'struct'
    const innerShape = isField ? shape.field(name) : shape.item
    if (!innerShape) continue
    const found = walk(innerShape, inner)
    const isHollow = inner === null || (isJson(inner) && Object.keys(inner).length === 0)
    add(set, `f:${name}`, { ...found, member: found.member || isHollow || !isField })
  }
  return set
}

function walkItems(shape: Shape & { type: 'set' | 'keyed' }, items: readonly unknown[]): FieldSet {
  const set: Record<string, FieldSet> = {}
  for (const item of items) {
    const element = elementOf(shape, item)
    if (element === undefined) continue
    const found = shape.type === 'keyed' ? walk(shape.item, item) : { children: nothing }
    add(set, element, { children: found.children, member: true })
  }
  return set
}

function add(set: Record<string, FieldSet>, element: string, { member, children }: Found): void {
  if (isEmpty(children)) {
    if (member) set[element] = nothing
  } else set[element] = member ? { '.': nothing, ...children } : children
}
