/** Which fields an object sets. Source: structured-merge-diff/typed, `toFieldSetWalker` and `compareWalker`. */
import { type FieldSet, isEmpty, nothing } from './field-set.ts'
import { elementOf, entryOf, isJson, type Json, type Shape, type StructField, shapeOf } from './shape.ts'

/** The fields that an applied configuration of `definition` claims: its values and items, not what only holds them. */
export function fieldsOf(definition: string, object: unknown): FieldSet {
  return walk(shapeOf(definition), object, claimed).children
}

/**
 * The fields that are new when an object of `definition` is made: as `compare` with nothing says, without comparing.
 * What holds other fields is new itself, unless every object has it.
 */
export function fieldsOfNew(definition: string, object: unknown): FieldSet {
  return walk(shapeOf(definition), object, made).children
}

/** Whether what holds others is a member itself. */
interface Rule {
  /** A field of a struct, or an entry of a map; `isHollow`: there is nothing in it. */
  field(shape: Shape & { type: 'struct' | 'map' }, field: StructField, isHollow: boolean): boolean
}

const claimed: Rule = {
  field: (shape, _field, isHollow) => shape.type === 'map' || isHollow,
}

const made: Rule = {
  field: (shape, { isAlwaysThere }) => shape.type === 'map' || !isAlwaysThere,
}

interface Found {
  /** True if the value itself is a member. */
  readonly member: boolean
  readonly children: FieldSet
}

const leaf: Found = { member: true, children: nothing }

function walk(shape: Shape, value: unknown, rule: Rule): Found {
  switch (shape.type) {
    case 'leaf':
      return leaf
    case 'struct':
    case 'map':
      return isJson(value) ? { member: false, children: walkFields(shape, value, rule) } : leaf
    case 'set':
    case 'keyed':
      if (!Array.isArray(value)) return leaf
      return { member: rule === made, children: walkItems(shape, value, rule) }
  }
}

function walkFields(shape: Shape & { type: 'struct' | 'map' }, value: Json, rule: Rule): FieldSet {
  const set: Record<string, FieldSet> = {}
  for (const name in value) {
    const field = shape.type === 'struct' ? shape.field(name) : entryOf(shape, name)
    if (!field) continue
    const inner = value[name]
    const found = walk(field.shape, inner, rule)
    const isHollow = inner === null || (isEmpty(found.children) && isJson(inner))
    add(set, field.element, found, found.member || rule.field(shape, field, isHollow))
  }
  return set
}

function walkItems(shape: Shape & { type: 'set' | 'keyed' }, items: readonly unknown[], rule: Rule): FieldSet {
  const set: Record<string, FieldSet> = {}
  for (const item of items) {
    const element = elementOf(shape, item)
    if (element !== undefined) add(set, element, shape.type === 'keyed' ? walk(shape.item, item, rule) : leaf, true)
  }
  return set
}

function add(set: Record<string, FieldSet>, element: string, { children }: Found, member: boolean): void {
  if (isEmpty(children)) {
    if (member) set[element] = nothing
  } else set[element] = member ? { '.': nothing, ...children } : children
}
