/**
 * How server-side apply sees a type: what is one value, and what is merged field by field, key by key or item by item.
 * Source: sigs.k8s.io/structured-merge-diff/schema; `x-kubernetes-list-type` and `-map-type` of the OpenAPI document.
 */
import { messages } from '../protobuf/field-numbers.ts'
import { type FieldFacts, fieldOf, schema } from '../schema/schema.ts'

export type Shape =
  | { readonly type: 'leaf' }
  | StructShape
  | { readonly type: 'map'; readonly item: Shape }
  | { readonly type: 'set' }
  | { readonly type: 'keyed'; readonly item: Shape; readonly keys: readonly string[]; readonly defaults: Json }

export interface StructShape {
  readonly type: 'struct'
  /** Undefined for a field that the type does not have. */
  field(name: string): StructField | undefined
}

export interface StructField {
  readonly shape: Shape
  /** Its path element. */
  readonly element: string
  /** `openingOf(element)`, for a field of a struct. */
  readonly opening?: string
  /** It is there, if only empty, when nobody has set it. */
  readonly isAlwaysThere: boolean
}

export type Json = Readonly<Record<string, unknown>>

const leaf: Shape = { type: 'leaf' }

const structs = new Map<string, Shape>()

/** The shape of the definition called `name`. */
export function shapeOf(name: string): Shape {
  const known = structs.get(name)
  if (known) return known
  const definition = schema[name]
  const shape = definition?.fields && definition.mapType !== 'atomic' ? structOf(name) : leaf
  structs.set(name, shape)
  return shape
}

function structOf(name: string): StructShape {
  const definition = schema[name] ?? {}
  const pointers = messages[name]?.pointers ?? []
  const known = new Map<string, StructField>()
  return {
    type: 'struct',
    field(field) {
      const found = known.get(field)
      if (found) return found
      const facts = fieldOf(definition, field)
      if (!facts) return undefined
      const isStruct = facts.type.startsWith('io.') && schema[facts.type]?.fields !== undefined
      const isAlwaysThere = isStruct && !pointers.includes(field)
      const element = `f:${field}`
      const made = { shape: shapeOfField(facts), element, opening: openingOf(element), isAlwaysThere }
      known.set(field, made)
      return made
    },
  }
}

/** The shape of what is in a field. */
export function shapeOfField({ type, listType, listKeys, mapType }: FieldFacts): Shape {
  if (mapType === 'atomic') return leaf
  if (type.startsWith('{}')) return { type: 'map', item: shapeOfType(type.slice(2)) }
  if (!type.startsWith('[]')) return shapeOfType(type)
  if (listType === 'set') return { type: 'set' }
  if (listType !== 'map' || !listKeys) return leaf
  const item = type.slice(2)
  return { type: 'keyed', item: shapeOfType(item), keys: [...listKeys].sort(), defaults: keyDefaults[item] ?? {} }
}

function shapeOfType(type: string): Shape {
  if (type.startsWith('{}') || type.startsWith('[]')) return leaf
  return type.startsWith('io.') ? shapeOf(type) : leaf
}

/** Keys that may be left out: what they are then. Source: `+default` in k8s.io/api/core/v1/types.go. */
const keyDefaults: Readonly<Record<string, Json>> = {
  'io.k8s.api.core.v1.ContainerPort': { protocol: 'TCP' },
  'io.k8s.api.core.v1.ServicePort': { protocol: 'TCP' },
}

/** The beginning of a path element's node in the JSON of a set. */
export function openingOf(element: string): string {
  return `${JSON.stringify(element)}:{`
}

/** An entry of a map, as a field. */
export function entryOf(map: Shape & { type: 'map' }, key: string): StructField {
  return { shape: map.item, element: `f:${key}`, isAlwaysThere: false }
}

/** A value of an object or undefined. */
export function isJson(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The path element of an item of a list. Items without their keys have none. */
export function elementOf(shape: Shape & { type: 'set' | 'keyed' }, item: unknown): string | undefined {
  if (shape.type === 'set') return `v:${JSON.stringify(item)}`
  if (!isJson(item)) return undefined
  let pairs = ''
  for (const key of shape.keys) {
    const value = item[key] ?? shape.defaults[key]
    // A key that is not there is no part of the name, as long as another one is.
    if (value !== undefined) pairs += `${pairs === '' ? '' : ','}"${key}":${JSON.stringify(value)}`
  }
  return pairs === '' ? undefined : `k:{${pairs}}`
}
