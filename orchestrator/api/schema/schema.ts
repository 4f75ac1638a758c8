import facts from '../generated/schema.json' with { type: 'json' }

/**
 * The type of a field: a scalar as `type` or `type:format` (`integer:int32`, `string:byte`), the name of a
 * definition, or either behind `[]` (list) or `{}` (map with string keys).
 */
export type TypeName = string

export interface FieldFacts {
  type: TypeName
  /** `atomic`, `set` or `map`: how server-side apply merges it. */
  listType?: string
  listKeys?: string[]
  mapType?: string
  /** Strategic merge patch: the field that identifies an item of this list. */
  mergeKey?: string
  /** Strategic merge patch: comma-separated `merge`, `replace`, `retainKeys`. */
  strategy?: string
}

/** One type of the API. Neither `fields` nor `scalar` means: any JSON object. */
export interface Definition {
  fields?: Record<string, TypeName | FieldFacts>
  required?: string[]
  scalar?: TypeName
  mapType?: string
  kinds?: { group: string; version: string; kind: string }[]
}

export type Schema = Record<string, Definition>

/** Definitions by their OpenAPI name, e.g. `io.k8s.api.core.v1.Pod`. Facts only; see `../generate/schema.ts`. */
export const schema: Readonly<Schema> = facts

/** The definition called `name`. Throws when the generated file lacks it: a mistake of ours, not of a caller. */
export function definitionOf(name: string): Definition {
  const definition = schema[name]
  if (!definition) throw new Error(`read the schema: no definition ${name}`)
  return definition
}

/** A field's type with its merge facts, or undefined for an unknown field. */
export function fieldOf(definition: Definition, name: string): FieldFacts | undefined {
  const fields = definition.fields
  if (!fields || !Object.hasOwn(fields, name)) return undefined
  const field = fields[name]
  return typeof field === 'string' ? { type: field } : field
}

/** Go's name of a type, as error messages show it: `[]v1.Container`, `map[string]string`, `int32`. */
export function goTypeName(type: TypeName): string {
  if (type.startsWith('[]')) return `[]${goTypeName(type.slice(2))}`
  if (type.startsWith('{}')) return `map[string]${goTypeName(type.slice(2))}`
  if (type.startsWith('io.')) return type.split('.').slice(-2).join('.')
  const [base = type, format] = type.split(':')
  if (base === 'boolean') return 'bool'
  if (format === 'byte') return '[]uint8'
  if (base === 'integer') return format ?? 'int64'
  return base === 'number' ? 'float64' : base
}
