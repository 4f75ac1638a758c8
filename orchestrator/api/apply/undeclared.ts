/**
 * What of an applied configuration its type cannot hold, whatever else is wrong with it.
 * Source: sigs.k8s.io/structured-merge-diff/typed/validate.go.
 */
import { type FieldFacts, fieldOf, schema } from '../schema/schema.ts'
import { pathText } from './field-set.ts'
import { elementOf, isJson, type Json, shapeOfField } from './shape.ts'

/** Fields that the type called `name` does not have, items that are there twice, items without their keys; in a line each, with their place. */
export function undeclaredIn(name: string, config: Json): string[] {
  return ofStruct(name, config, '')
}

/** The first alone: Kubernetes looks no further into a struct where it has found one. */
function ofStruct(name: string, value: Json, place: string): string[] {
  const definition = schema[name]
  if (!definition?.fields) return []
  const problems: string[] = []
  for (const [field, inner] of Object.entries(value)) {
    const facts = fieldOf(definition, field)
    if (!facts) return [...problems, `${place}.${field}: field not declared in schema`]
    problems.push(...ofField(facts, inner, `${place}.${field}`))
  }
  return problems
}

function ofField(facts: FieldFacts, value: unknown, place: string): string[] {
  const { type } = facts
  if (type.startsWith('{}')) {
    const entries = isJson(value) ? Object.entries(value) : []
    return entries.flatMap(([key, inner]) => ofField({ type: type.slice(2) }, inner, `${place}.${key}`))
  }
  if (type.startsWith('[]')) return Array.isArray(value) ? ofItems(facts, value, place) : []
  return isJson(value) ? ofStruct(type, value, place) : []
}

function ofItems(facts: FieldFacts, items: readonly unknown[], place: string): string[] {
  const shape = shapeOfField(facts)
  const item = { type: facts.type.slice(2) }
  const seen = new Set<string>()
  const problems: string[] = []
  for (const [at, value] of items.entries()) {
    const isNamed = shape.type === 'keyed' || shape.type === 'set'
    const element = isNamed ? elementOf(shape, value) : `i:${at}`
    if (element === undefined) {
      const keys = shape.type === 'keyed' ? shape.keys.map((key) => JSON.stringify(key)).join(' ') : ''
      const what = `omits all key fields [${keys}] (and doesn't have default values for any key fields)`
      return [...problems, `${place}: element ${at}: associative list with keys has an element that ${what}`]
    }
    if (seen.has(element)) problems.push(`${place}: duplicate entries for key ${pathText([element])}`)
    seen.add(element)
    problems.push(...ofField(item, value, place + pathText([element])))
  }
  return problems
}
