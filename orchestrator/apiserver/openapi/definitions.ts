/** The schema's facts as OpenAPI definitions, for version 2 and version 3 of that format. */
import { type FieldFacts, fieldOf, schema, type TypeName } from '../../api/schema/schema.ts'
import { type Descriptions, describe } from './descriptions.ts'

export type OpenApiVersion = 2 | 3

export interface OpenApiSchema {
  description?: string
  type?: string
  format?: string
  $ref?: string
  allOf?: { $ref: string }[]
  oneOf?: { type: string }[]
  items?: OpenApiSchema
  additionalProperties?: OpenApiSchema
  properties?: Record<string, OpenApiSchema>
  required?: string[]
  [extension: `x-${string}`]: unknown
}

/** Every definition reachable from `roots`, by name. */
export async function definitionsOf(
  roots: readonly string[],
  version: OpenApiVersion,
): Promise<Record<string, OpenApiSchema>> {
  const names = reachableFrom(roots)
  const entries = await Promise.all(
    names.map(async (name) => [name, definition(name, version, await describe(name))] as const),
  )
  return Object.fromEntries(entries)
}

function reachableFrom(roots: readonly string[]): string[] {
  const found = new Set<string>()
  const queue = [...roots]
  for (let name = queue.pop(); name !== undefined; name = queue.pop()) {
    const facts = schema[name]
    if (!facts || found.has(name)) continue
    found.add(name)
    for (const field of Object.keys(facts.fields ?? {})) {
      const type = fieldOf(facts, field)?.type.replace(/^(\[\]|\{\})+/, '') ?? ''
      if (type.startsWith('io.')) queue.push(type)
    }
  }
  return [...found].sort()
}

function definition(name: string, version: OpenApiVersion, said: Descriptions): OpenApiSchema {
  const facts = schema[name] ?? {}
  const description = said.type ? { description: said.type } : {}
  if (facts.scalar) return { ...description, ...scalarSchema(name, facts.scalar, version) }
  const fields = Object.keys(facts.fields ?? {})
  return {
    ...description,
    ...(facts.required ? { required: facts.required } : {}),
    ...(fields.length > 0
      ? {
          properties: Object.fromEntries(
            fields.map((field) => [field, property(fieldOf(facts, field), version, said.fields[field])]),
          ),
        }
      : {}),
    type: 'object',
    ...(facts.kinds ? { 'x-kubernetes-group-version-kind': facts.kinds } : {}),
    ...(facts.mapType ? { 'x-kubernetes-map-type': facts.mapType } : {}),
  }
}

function scalarSchema(name: string, type: TypeName, version: OpenApiVersion): OpenApiSchema {
  const kind = name.split('.').at(-1)
  if (version === 3 && kind === 'IntOrString')
    return { format: 'int-or-string', oneOf: [{ type: 'integer' }, { type: 'string' }] }
  if (version === 3 && kind === 'Quantity') return { oneOf: [{ type: 'string' }, { type: 'number' }] }
  return typeSchema(type, version)
}

function property(
  facts: FieldFacts | undefined,
  version: OpenApiVersion,
  description: string | undefined,
): OpenApiSchema {
  if (!facts) return {}
  const type = typeSchema(facts.type, version)
  // In version 3 nothing may stand beside $ref.
  const body = version === 3 && type.$ref ? { allOf: [{ $ref: type.$ref }] } : type
  return {
    ...(description ? { description } : {}),
    ...body,
    ...(facts.listType ? { 'x-kubernetes-list-type': facts.listType } : {}),
    ...(facts.listKeys ? { 'x-kubernetes-list-map-keys': facts.listKeys } : {}),
    ...(facts.mapType ? { 'x-kubernetes-map-type': facts.mapType } : {}),
    ...(facts.mergeKey ? { 'x-kubernetes-patch-merge-key': facts.mergeKey } : {}),
    ...(facts.strategy ? { 'x-kubernetes-patch-strategy': facts.strategy } : {}),
  }
}

function typeSchema(type: TypeName, version: OpenApiVersion): OpenApiSchema {
  if (type.startsWith('[]')) return { type: 'array', items: typeSchema(type.slice(2), version) }
  if (type.startsWith('{}')) return { type: 'object', additionalProperties: typeSchema(type.slice(2), version) }
  if (type.startsWith('io.')) return { $ref: `${version === 2 ? '#/definitions' : '#/components/schemas'}/${type}` }
  const [base = type, format] = type.split(':')
  return { type: base, ...(format ? { format } : {}) }
}
