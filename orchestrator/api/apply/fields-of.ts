/** Which fields an object sets. Source: structured-merge-diff/typed, `toFieldSetWalker` and `compareWalker`. */
import type { FieldSet } from './field-set.ts'
import { fieldSetOf } from './known-sets.ts'
import { elementOf, entryOf, isJson, type Json, openingOf, type Shape, type StructField, shapeOf } from './shape.ts'

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

const setOf = (children: string | undefined) => fieldSetOf(`{${children ?? ''}}`)

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

/**
 * The text of `fieldsV1` within the braces of a value, empty when nothing is in them; undefined for what is one value and
 * so a member itself. Only a set that nobody has written yet becomes objects.
 */
function walk(shape: Shape, value: unknown, rule: Rule): string | undefined {
  switch (shape.type) {
    case 'leaf':
      return undefined
    case 'struct':
    case 'map':
      return isJson(value) ? walkFields(shape, value, rule) : undefined
    case 'set':
    case 'keyed':
      return Array.isArray(value) ? walkItems(shape, value, rule) : undefined
  }
}

function walkFields(shape: Shape & { type: 'struct' | 'map' }, value: Json, rule: Rule): string {
  let text = ''
  for (const name in value) {
    const field = shape.type === 'struct' ? shape.field(name) : entryOf(shape, name)
    if (!field) continue
    const inner = value[name]
    const children = walk(field.shape, inner, rule)
    const isList = field.shape.type === 'set' || field.shape.type === 'keyed'
    const isHollow = inner === null || (!children && isJson(inner))
    const isMember = children === undefined || (isList && rule === made) || rule.field(shape, field, isHollow)
    text = joined(text, nodeText(field.opening ?? openingOf(field.element), children, isMember))
  }
  return text
}

function walkItems(shape: Shape & { type: 'set' | 'keyed' }, items: readonly unknown[], rule: Rule): string {
  let text = ''
  for (const item of items) {
    const element = elementOf(shape, item)
    if (element === undefined) continue
    const children = shape.type === 'keyed' ? walk(shape.item, item, rule) : undefined
    text = joined(text, nodeText(openingOf(element), children, true))
  }
  return text
}

function joined(before: string, node: string): string {
  return before === '' || node === '' ? before + node : `${before},${node}`
}

/** Empty when neither the node nor anything below is in the set. */
function nodeText(opening: string, children: string | undefined, isMember: boolean): string {
  if (!children) return isMember ? `${opening}}` : ''
  return isMember ? `${opening}".":{},${children}}` : `${opening}${children}}`
}
