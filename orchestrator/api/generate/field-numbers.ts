/**
 * Writes `../generated/field-numbers.json`: for each type of the schema the protobuf number of every field, from the
 * tags in the type files of the Kubernetes modules (facts only).
 *
 *     node orchestrator/api/generate/field-numbers.ts <package>=<types.go> …
 *     e.g. io.k8s.api.core.v1=…/core/v1/types.go io.k8s.apimachinery.pkg.apis.meta.v1=…/meta/v1/types.go
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { messages as known, type MessageFacts } from '../protobuf/field-numbers.ts'
import { schema } from '../schema/schema.ts'

const struct = /^type (\w+) struct \{\n([\s\S]*?)^\}/gm
const field = /^\s+(?:(\w+)\s+)?(\*?)([\w.[\]*]+)\s+`json:"([^",]*)[^"]*"(?: \w+:"[^"]*")* protobuf:"\w+,(\d+)[^"]*"/gm

function factsOf(body: string): MessageFacts {
  const facts: MessageFacts = { fields: {} }
  for (const [, , star, type = '', name = '', number] of body.matchAll(field)) {
    // An embedded type has no name of its own in JSON: its fields are those of its owner.
    if (name === '') facts.inline = { ...facts.inline, [type.split('.').at(-1) ?? '']: Number(number) }
    else facts.fields[name] = Number(number)
    if (star === '*' && name !== '') facts.pointers = [...(facts.pointers ?? []), name]
  }
  return facts
}

const messages: Record<string, MessageFacts> = {}
for (const argument of process.argv.slice(2)) {
  const [name = '', file = ''] = argument.split('=')
  for (const [, type = '', body = ''] of readFileSync(file, 'utf8').matchAll(struct))
    messages[`${name}.${type}`] = factsOf(body)
}
if (Object.keys(messages).length === 0)
  throw new Error(`give the type files; so far ${Object.keys(known).length} messages are known`)

/** Types of the schema, and those that they embed. */
function isNeeded(name: string): boolean {
  if (schema[name]) return true
  const short = name.split('.').at(-1) ?? ''
  return Object.entries(messages).some(([owner, { inline }]) => schema[owner] && inline?.[short] !== undefined)
}

const lines = Object.keys(messages)
  .filter(isNeeded)
  .sort()
  .map((name) => `${JSON.stringify(name)}: ${JSON.stringify(messages[name])}`)
writeFileSync(new URL('../generated/field-numbers.json', import.meta.url), `{\n${lines.join(',\n')}\n}\n`)
