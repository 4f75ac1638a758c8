/** What an applied configuration makes of an object. Source: structured-merge-diff/typed, `mergingWalker`. */
import { byElement } from './compare.ts'
import { below, type FieldSet, has, isEmpty } from './field-set.ts'
import { elementOf, isJson, type Json, type Shape, shapeOf } from './shape.ts'

/** `live` with all that `config` says. Neither is changed. */
export function merge(definition: string, live: unknown, config: unknown): unknown {
  return mergeValue(shapeOf(definition), live, config)
}

function mergeValue(shape: Shape, live: unknown, config: unknown): unknown {
  if (config === undefined) return live
  if (live === undefined || live === null) return config
  switch (shape.type) {
    case 'leaf':
      return config
    case 'struct':
    case 'map':
      return isJson(live) && isJson(config) ? mergeFields(shape, live, config) : config
    case 'set':
    case 'keyed':
      return Array.isArray(live) && Array.isArray(config) ? mergeItems(shape, live, config) : config
  }
}

function mergeFields(shape: Shape & { type: 'struct' | 'map' }, live: Json, config: Json): Json {
  const merged = new Map<string, unknown>(Object.entries(live))
  for (const [name, value] of Object.entries(config)) {
    const inner = shape.type === 'struct' ? shape.field(name)?.shape : shape.item
    merged.set(name, inner ? mergeValue(inner, merged.get(name), value) : value)
  }
  return Object.fromEntries(merged)
}

type ListShape = Shape & { type: 'set' | 'keyed' }

/** The order of the configuration holds for its items; those of others keep their places between them. */
function mergeItems(shape: ListShape, live: readonly unknown[], config: readonly unknown[]): unknown[] {
  const ofLive = byElement(shape, live)
  const ofConfig = byElement(shape, config)
  const waiting = [...ofConfig.keys()]
  const merged: unknown[] = []
  const take = (element: string) => {
    const item = ofConfig.get(element)
    merged.push(shape.type === 'keyed' ? mergeValue(shape.item, ofLive.get(element), item) : item)
  }
  const done = new Set<string>()
  for (const item of live) {
    const element = elementOf(shape, item)
    if (element === undefined || !ofConfig.has(element)) merged.push(item)
    else if (!done.has(element)) {
      const upTo = waiting.indexOf(element)
      for (const each of waiting.splice(0, upTo + 1)) {
        take(each)
        done.add(each)
      }
    }
  }
  for (const element of waiting) take(element)
  return merged
}

/** `object` without the members of `set`. What becomes empty by that goes, too. */
export function removeItems(definition: string, object: unknown, set: FieldSet): unknown {
  return isEmpty(set) ? object : removeFrom(shapeOf(definition), object, set)
}

function removeFrom(shape: Shape, value: unknown, set: FieldSet): unknown {
  switch (shape.type) {
    case 'leaf':
      return value
    case 'struct':
    case 'map':
      return isJson(value) ? removeFields(shape, value, set) : value
    case 'set':
    case 'keyed':
      return Array.isArray(value) ? removeListItems(shape, value, set) : value
  }
}

function removeFields(shape: Shape & { type: 'struct' | 'map' }, value: Json, set: FieldSet): Json | undefined {
  const entries = Object.entries(value).flatMap(([name, inner]): [string, unknown][] => {
    const element = `f:${name}`
    if (has(set, element)) return []
    const children = below(set, element)
    const innerShape = shape.type === 'struct' ? shape.field(name)?.shape : shape.item
    if (isEmpty(children) || !innerShape) return [[name, inner]]
    const rest = removeFrom(innerShape, inner, children)
    return rest === undefined ? [] : [[name, rest]]
  })
  return entries.length === 0 ? undefined : Object.fromEntries(entries)
}

function removeListItems(shape: ListShape, items: readonly unknown[], set: FieldSet): unknown[] | undefined {
  const left = items.flatMap((item): unknown[] => {
    const element = elementOf(shape, item)
    if (element === undefined) return [item]
    if (has(set, element)) return []
    const children = below(set, element)
    if (isEmpty(children) || shape.type !== 'keyed') return [item]
    const rest = removeFrom(shape.item, item, children)
    return rest === undefined ? [] : [rest]
  })
  return left.length === 0 ? undefined : left
}

/** The set in which every field of a struct that has members below it is a member, too: so that it goes when it is hollow. */
export function withStructsAsMembers(definition: string, set: FieldSet): FieldSet {
  return ensureIn(shapeOf(definition), set)
}

function ensureIn(shape: Shape | undefined, set: FieldSet): FieldSet {
  const ensured: Record<string, FieldSet> = {}
  for (const element of Object.keys(set)) {
    if (element === '.') continue
    const inner = innerShape(shape, element)
    const children = ensureIn(inner, below(set, element))
    const isField = shape?.type === 'struct' && inner !== undefined
    if (isEmpty(children)) ensured[element] = {}
    else ensured[element] = isField || has(set, element) ? { '.': {}, ...children } : children
  }
  return ensured
}

function innerShape(shape: Shape | undefined, element: string): Shape | undefined {
  if (shape?.type === 'struct') return shape.field(element.slice(2))?.shape
  return shape?.type === 'map' || shape?.type === 'keyed' ? shape.item : undefined
}
