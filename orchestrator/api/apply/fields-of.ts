/** Which fields an object sets. Source: structured-merge-diff/typed, `toFieldSetWalker` and `compareWalker`. */
import type { FieldSet } from './field-set.ts'
import { fieldSetOf } from './known-sets.ts'
import { elementOf, entryOf, isJson, type Json, type Shape, type StructField, shapeOf } from './shape.ts'

/** The fields that an applied configuration of `definition` claims: its values and items, not what only holds them. */
export function fieldsOf(definition: string, object: unknown): FieldSet {
  return setOf(walk(shapeOf(definition), object, claimed))
}

/**
 * The fields that are new when an object of `definition` is made: as `compare` with nothing says, without comparing.
 * What holds other fields is new itself, unless every object has it.
 */
export function fieldsOfNew(definition: string, object: unknown): FieldSet {
  return setOf(walk(shapeOf(definition), object, made))
}

const setOf = ({ children }: Found) => fieldSetOf(`{${children}}`)

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

/** The walk makes the text of `fieldsV1`, and only a set that nobody has written yet becomes objects. */
interface Found {
  /** True if the value itself is a member. */
  readonly member: boolean
  /** What is in the braces: empty when nothing is. */
  readonly children: string
}

const leaf: Found = { member: true, children: '' }

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

function walkFields(shape: Shape & { type: 'struct' | 'map' }, value: Json, rule: Rule): string {
  let text = ''
  for (const name in value) {
    const field = shape.type === 'struct' ? shape.field(name) : entryOf(shape, name)
    if (!field) continue
    const inner = value[name]
    const { member, children } = walk(field.shape, inner, rule)
    const isHollow = inner === null || (children === '' && isJson(inner))
    const isMember = member || rule.field(shape, field, isHollow)
    text = joined(text, nodeText(field.quoted ?? JSON.stringify(field.element), children, isMember))
  }
  return text
}

function walkItems(shape: Shape & { type: 'set' | 'keyed' }, items: readonly unknown[], rule: Rule): string {
  let text = ''
  for (const item of items) {
    const element = elementOf(shape, item)
    if (element === undefined) continue
    const { children } = shape.type === 'keyed' ? walk(shape.item, item, rule) : leaf
    text = joined(text, nodeText(JSON.stringify(element), children, true))
  }
  return text
}

function joined(before: string, node: string): string {
  return before === '' || node === '' ? before + node : `${before},${node}`
}

/** Empty when neither the node nor anything below is in the set. */
function nodeText(quotedElement: string, children: string, isMember: boolean): string {
  if (children === '') return isMember ? `${quotedElement}:{}` : ''
  return isMember ? `${quotedElement}:{".":{},${children}}` : `${quotedElement}:{${children}}`
}
