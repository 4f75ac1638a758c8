/**
 * Writes `../generated/schema.json`: the facts of the OpenAPI 2.0 document of Kubernetes (names, types, required,
 * formats, list types, merge keys) that are reachable from the kinds we serve. Sentences stay out.
 *
 *     node orchestrator/api/generate/schema.ts <openapi-2.0.json>
 */
import { readFileSync, writeFileSync } from 'node:fs'
import type { Definition, FieldFacts, Schema } from '../schema/schema.ts'
import { metricsTypes, olderVersions } from './beyond-openapi.ts'

/** The packages whose kinds are served: everything that is reachable from a kind of theirs is taken. */
const packages = [
  'io.k8s.api.core.v1',
  'io.k8s.api.apps.v1',
  'io.k8s.api.authentication.v1',
  'io.k8s.api.authorization.v1',
  'io.k8s.api.autoscaling.v1',
  'io.k8s.api.autoscaling.v2',
  'io.k8s.api.batch.v1',
  'io.k8s.api.certificates.v1',
  'io.k8s.api.coordination.v1',
  'io.k8s.api.discovery.v1',
  'io.k8s.api.events.v1',
  'io.k8s.api.networking.v1',
  'io.k8s.api.node.v1',
  'io.k8s.api.policy.v1',
  'io.k8s.api.rbac.v1',
  'io.k8s.api.scheduling.v1',
  'io.k8s.api.storage.v1',
  'io.k8s.apimachinery.pkg.apis.meta.v1',
]

const others = ['io.k8s.apimachinery.pkg.apis.meta.v1.Patch', 'io.k8s.apimachinery.pkg.version.Info']

interface OpenApiType {
  type?: string
  format?: string
  $ref?: string
  items?: OpenApiType
  additionalProperties?: OpenApiType
  properties?: Record<string, OpenApiType>
  required?: string[]
  'x-kubernetes-list-type'?: string
  'x-kubernetes-list-map-keys'?: string[]
  'x-kubernetes-map-type'?: string
  'x-kubernetes-patch-merge-key'?: string
  'x-kubernetes-patch-strategy'?: string
  'x-kubernetes-group-version-kind'?: { group: string; version: string; kind: string }[]
}

function typeOf(field: OpenApiType): string {
  if (field.$ref) return field.$ref.replace('#/definitions/', '')
  if (field.type === 'array' && field.items) return `[]${typeOf(field.items)}`
  if (field.additionalProperties) return `{}${typeOf(field.additionalProperties)}`
  return field.format ? `${field.type}:${field.format}` : (field.type ?? 'object')
}

function factsOf(field: OpenApiType): string | FieldFacts {
  const type = typeOf(field)
  const facts: FieldFacts = { type }
  if (field['x-kubernetes-list-type']) facts.listType = field['x-kubernetes-list-type']
  if (field['x-kubernetes-list-map-keys']) facts.listKeys = field['x-kubernetes-list-map-keys']
  if (field['x-kubernetes-map-type']) facts.mapType = field['x-kubernetes-map-type']
  if (field['x-kubernetes-patch-merge-key']) facts.mergeKey = field['x-kubernetes-patch-merge-key']
  if (field['x-kubernetes-patch-strategy']) facts.strategy = field['x-kubernetes-patch-strategy']
  return Object.keys(facts).length === 1 ? type : facts
}

function definitionOf(source: OpenApiType): Definition {
  const definition: Definition = {}
  const kinds = source['x-kubernetes-group-version-kind']
  // DeleteOptions and WatchEvent are of every group; only core/v1 is a fact worth keeping.
  if (kinds)
    definition.kinds = kinds.length > 1 ? kinds.filter((kind) => kind.group === '' && kind.version === 'v1') : kinds
  if (source['x-kubernetes-map-type']) definition.mapType = source['x-kubernetes-map-type']
  if (source.required) definition.required = source.required
  if (source.properties) {
    definition.fields = Object.fromEntries(
      Object.entries(source.properties).map(([name, field]) => [name, factsOf(field)]),
    )
  } else if (source.type !== 'object') definition.scalar = typeOf(source)
  return definition
}

function referencesOf(definition: Definition): string[] {
  return Object.values(definition.fields ?? {})
    .map((field) => (typeof field === 'string' ? field : field.type).replace(/^(\[\]|\{\})+/, ''))
    .filter((type) => type.startsWith('io.'))
}

/** Kinds, by the packages above. */
function rootsOf(definitions: Record<string, OpenApiType>): string[] {
  const kinds = Object.keys(definitions).filter((name) => definitions[name]?.['x-kubernetes-group-version-kind'])
  return [...kinds.filter((name) => packages.includes(name.slice(0, name.lastIndexOf('.')))), ...others]
}

function reachable(document: { definitions: Record<string, OpenApiType> }): Schema {
  const schema: Schema = {}
  const queue = rootsOf(document.definitions)
  for (let name = queue.pop(); name !== undefined; name = queue.pop()) {
    if (schema[name]) continue
    const source = document.definitions[name]
    if (!source) throw new Error(`read the OpenAPI document: it has no definition ${name}`)
    const definition = definitionOf(source)
    schema[name] = definition
    queue.push(...referencesOf(definition))
  }
  return schema
}

const [, , input] = process.argv
if (!input) throw new Error('usage: node orchestrator/api/generate/schema.ts <openapi-2.0.json>')
const current = reachable(JSON.parse(readFileSync(input, 'utf8')))
const schema = { ...current, ...olderVersions(current), ...metricsTypes }
const lines = Object.keys(schema)
  .sort()
  .map((name) => `${JSON.stringify(name)}: ${JSON.stringify(schema[name])}`)
writeFileSync(new URL('../generated/schema.json', import.meta.url), `{\n${lines.join(',\n')}\n}\n`)
