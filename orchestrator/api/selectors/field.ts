/**
 * Field selectors: `spec.nodeName=a,status.phase!=Failed`. Which fields exist is a fact of each kind.
 * Source: k8s.io/apimachinery/pkg/fields/selector.go.
 */
import { refusal } from '../errors.ts'

export interface FieldRequirement {
  field: string
  equal: boolean
  value: string
}

export type FieldSelector = readonly FieldRequirement[]

/** The selector that `text` means; an empty text selects everything. Throws BAD_SELECTOR. */
export function parseFieldSelector(text: string): FieldSelector {
  return splitUnescaped(text)
    .filter((term) => term !== '')
    .map((term) => {
      const match = /^((?:[^\\=!]|\\.)*?)(!=|==|=)(.*)$/.exec(term)
      if (!match) throw malformed(`invalid selector: '${text}'; can't understand '${term}'`)
      const [, field = '', operator, value = ''] = match
      return { field: field.trim(), equal: operator !== '!=', value: withoutEscapes(value, text) }
    })
}

const malformed = (reason: string) => refusal('BAD_SELECTOR', reason)

function splitUnescaped(text: string): string[] {
  return text.match(/(?:\\.|[^,\\])+/g) ?? []
}

function withoutEscapes(value: string, text: string): string {
  return value.replace(/\\(.)|[,=]/g, (whole, escaped?: string) => {
    if (escaped === undefined) throw malformed(`invalid field selector: invalid field value '${value}' in '${text}'`)
    if (!['\\', ',', '='].includes(escaped))
      throw malformed(`invalid field selector: invalid escape sequence: ${whole}`)
    return escaped
  })
}

/** True if every requirement holds, where `read` gives the text of a field (empty when unset). */
export function matchesFields(selector: FieldSelector, read: (field: string) => string): boolean {
  return selector.every(({ field, equal, value }) => (read(field) === value) === equal)
}

/** The value that `field` must have, when the selector says so: lets a list by name be a get. */
export function requiredValue(selector: FieldSelector, field: string): string | undefined {
  return selector.find((requirement) => requirement.field === field && requirement.equal)?.value
}
