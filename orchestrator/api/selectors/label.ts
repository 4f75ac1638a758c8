/**
 * Label selectors: `app=web,tier in (a,b),!canary,size>3`.
 * Source: k8s.io/apimachinery/pkg/labels/selector.go.
 */
import { refusal } from '../errors.ts'
import { checkLabelValue, checkQualifiedName } from '../names.ts'
import { own } from '../own.ts'

export type Labels = Readonly<Record<string, string>>

type Operator = '=' | '!=' | 'in' | 'notin' | 'exists' | '!' | 'gt' | 'lt'

export interface Requirement {
  key: string
  operator: Operator
  values: readonly string[]
}

export type LabelSelector = readonly Requirement[]

const malformed = (reason: string) => refusal('BAD_SELECTOR', reason)

/** The selector that `text` means; an empty text selects everything. Throws BAD_SELECTOR. */
export function parseLabelSelector(text: string): LabelSelector {
  const tokens = text.match(/\(|\)|,|!=|==|=|!|<|>|[^\s(),!=<>]+/g) ?? []
  const requirements: Requirement[] = []
  let at = 0
  while (at < tokens.length) {
    const next = parseRequirement(tokens, at)
    requirements.push(checked(next.requirement))
    at = next.at
    if (at < tokens.length) {
      if (tokens[at] !== ',') throw malformed(`found '${tokens[at]}', expected: ',' or 'end of string'`)
      at++
      if (at === tokens.length) throw malformed("found '', expected: identifier after ','")
    }
  }
  return requirements
}

const isWord = (token: string | undefined): token is string =>
  token !== undefined && !/^([(),]|!=?|==?|<|>)$/.test(token)

function parseRequirement(tokens: readonly string[], start: number): { requirement: Requirement; at: number } {
  let at = start
  const negated = tokens[at] === '!'
  if (negated) at++
  const key = tokens[at++]
  if (!isWord(key)) throw malformed(`found '${key ?? ''}', expected: !, identifier, or 'end of string'`)
  const sign = tokens[at]
  if (negated || sign === undefined || sign === ',') {
    return { requirement: { key, operator: negated ? '!' : 'exists', values: [] }, at }
  }
  at++
  if (sign === 'in' || sign === 'notin') {
    const set = parseSet(tokens, at)
    return { requirement: { key, operator: sign, values: set.values }, at: set.at }
  }
  const operator = ({ '=': '=', '==': '=', '!=': '!=', '>': 'gt', '<': 'lt' } as const)[sign]
  if (!operator) throw malformed(`found '${sign}', expected: in, notin, =, ==, !=, gt, lt`)
  const value = tokens[at]
  if (isWord(value)) return { requirement: { key, operator, values: [value] }, at: at + 1 }
  return { requirement: { key, operator, values: [''] }, at }
}

function parseSet(tokens: readonly string[], start: number): { values: string[]; at: number } {
  if (tokens[start] !== '(') throw malformed(`found '${tokens[start] ?? ''}', expected: '('`)
  const values: string[] = []
  let at = start + 1
  let expectsValue = true
  for (; at < tokens.length && tokens[at] !== ')'; at++) {
    const token = tokens[at]
    if (token === ',') {
      if (expectsValue) values.push('')
      expectsValue = true
    } else if (isWord(token) && expectsValue) {
      values.push(token)
      expectsValue = false
    } else throw malformed(`found '${token}', expected: ',', or ')'`)
  }
  if (tokens[at] !== ')') throw malformed("found '', expected: ',', or ')'")
  if (expectsValue) values.push('')
  return { values, at: at + 1 }
}

function checked(requirement: Requirement): Requirement {
  const [wrongKey] = checkQualifiedName(requirement.key)
  if (wrongKey) throw malformed(`key: Invalid value: ${JSON.stringify(requirement.key)}: ${wrongKey}`)
  for (const value of requirement.values) {
    const [wrongValue] = checkLabelValue(value)
    if (wrongValue)
      throw malformed(`values[0][${requirement.key}]: Invalid value: ${JSON.stringify(value)}: ${wrongValue}`)
    const isOrder = requirement.operator === 'gt' || requirement.operator === 'lt'
    if (isOrder && !/^[+-]?[0-9]+$/.test(value)) {
      throw malformed(
        `values[0]: Invalid value: ${JSON.stringify(value)}: for 'Gt', 'Lt' operators, the value must be an integer`,
      )
    }
  }
  return requirement
}

/** True if every requirement holds for `labels`. */
export function matchesLabels(selector: LabelSelector, labels: Labels | undefined): boolean {
  return selector.every((requirement) => holds(requirement, labels ?? {}))
}

function holds({ key, operator, values }: Requirement, labels: Labels): boolean {
  const value = Object.hasOwn(labels, key) ? labels[key] : undefined
  switch (operator) {
    case 'exists':
      return value !== undefined
    case '!':
      return value === undefined
    case '=':
    case 'in':
      return value !== undefined && values.includes(value)
    case '!=':
    case 'notin':
      return value === undefined || !values.includes(value)
    case 'gt':
    case 'lt': {
      if (value === undefined || !/^[+-]?[0-9]+$/.test(value)) return false
      const [bound = '0'] = values
      return operator === 'gt' ? BigInt(value) > BigInt(bound) : BigInt(value) < BigInt(bound)
    }
  }
}

interface SelectorFields {
  matchLabels?: Labels
  matchExpressions?: readonly { key: string; operator: string; values?: readonly string[] }[]
}

/** The selector of a spec (`matchLabels`, `matchExpressions`). Throws BAD_SELECTOR for an unknown operator. */
export function fromSelectorFields(fields: SelectorFields): LabelSelector {
  const operators: Record<string, Operator> = { In: 'in', NotIn: 'notin', Exists: 'exists', DoesNotExist: '!' }
  const fromLabels = Object.entries(fields.matchLabels ?? {}).map(
    ([key, value]): Requirement => ({ key, operator: '=', values: [value] }),
  )
  const fromExpressions = (fields.matchExpressions ?? []).map(({ key, operator, values }): Requirement => {
    const known = own(operators, operator)
    if (!known) throw malformed(`${JSON.stringify(operator)} is not a valid label selector operator`)
    return { key, operator: known, values: values ?? [] }
  })
  return [...fromLabels, ...fromExpressions]
}

/** As text that `parseLabelSelector` reads: `a=b,c in (d,e),!f`, sorted by key as in Kubernetes. */
export function formatLabelSelector(selector: LabelSelector): string {
  return [...selector]
    .sort((left, right) => (left.key < right.key ? -1 : 1))
    .map(requirementText)
    .join(',')
}

function requirementText({ key, operator, values }: Requirement): string {
  const list = [...values].sort().join(',')
  switch (operator) {
    case 'exists':
      return key
    case '!':
      return `!${key}`
    case '=':
    case '!=':
      return `${key}${operator}${list}`
    case 'in':
    case 'notin':
      return `${key} ${operator} (${list})`
    case 'gt':
      return `${key}>${list}`
    case 'lt':
      return `${key}<${list}`
  }
}
