/** Requests and limits. Source: ValidateResourceRequirements in k8s.io/kubernetes/pkg/apis/core/validation/validation.go. */
import { checkQualifiedName } from '../names.ts'
import { own } from '../own.ts'
import { compareQuantities, parseQuantity } from '../quantity.ts'
import type { Container } from '../types.ts'
import {
  allOf,
  duplicate,
  invalidName,
  invalidValue,
  none,
  notAllowed,
  type Problem,
  required,
  unresolved,
} from './problem.ts'

type Requirements = NonNullable<Container['resources']>

const standard = ['cpu', 'memory', 'ephemeral-storage']
const hugePages = 'hugepages-'

/** True for a name that the platform does not own, such as `example.com/gpu`. */
function isExtended(name: string): boolean {
  return name.includes('/') && !name.includes('kubernetes.io/') && !name.startsWith('requests.')
}

const mayOvercommit = (name: string) => !isExtended(name) && !name.startsWith(hugePages)

/** What is wrong with a container's resources. */
export function validateResources(resources: Requirements | undefined, field: string): readonly Problem[] {
  if (!resources) return none
  const { limits = {}, requests = {}, claims } = resources
  return allOf(
    validateAmounts(limits, `${field}.limits`),
    validateAmounts(requests, `${field}.requests`),
    validateRequests(requests, limits, field),
    Object.keys(limits)
      .filter((name) => !mayOvercommit(name) && own(requests, name) === undefined)
      .map((name) => required(`${field}.limits`, `Request must be set for non overcommitable resource ${name}`)),
    validateHugePages(limits, requests, field),
    claims ? validateClaims(claims, `${field}.claims`) : none,
  )
}

type Amounts = Readonly<Record<string, string>>

function validateRequests(requests: Amounts, limits: Amounts, field: string): readonly Problem[] {
  let problems = none
  for (const name in requests) {
    const amount = requests[name] ?? ''
    problems = allOf(problems, compareToLimit({ name, amount, limit: own(limits, name) }, field))
  }
  return problems
}

function validateAmounts(amounts: Amounts, field: string): readonly Problem[] {
  let problems = none
  for (const name in amounts) problems = allOf(problems, validateAmount(name, amounts[name] ?? '', `${field}[${name}]`))
  return problems
}

function validateAmount(name: string, amount: string, field: string): readonly Problem[] {
  const { nano } = parseQuantity(amount)
  return allOf(
    validateName(name, field),
    nano < 0n ? [invalidValue(field, amount, 'must be greater than or equal to 0')] : none,
    isExtended(name) && nano % 1_000_000_000n !== 0n ? [invalidValue(field, amount, 'must be an integer')] : none,
  )
}

function validateName(name: string, field: string): readonly Problem[] {
  const reasons = checkQualifiedName(name)
  if (reasons.length > 0) return invalidName(field, name, reasons)
  if (name.includes('/') || standard.includes(name) || name.startsWith(hugePages)) return []
  return [
    invalidValue(field, name, 'must be a standard resource type or fully qualified'),
    invalidValue(field, name, 'must be a standard resource for containers'),
  ]
}

function compareToLimit(
  { name, amount, limit }: { name: string; amount: string; limit: string | undefined },
  field: string,
): readonly Problem[] {
  const at = `${field}.requests`
  if (limit === undefined) {
    return mayOvercommit(name)
      ? []
      : [required(`${field}.limits`, 'Limit must be set for non overcommitable resources')]
  }
  const order = compareQuantities(parseQuantity(amount), parseQuantity(limit))
  if (!mayOvercommit(name) && order !== 0)
    return [invalidValue(at, amount, `must be equal to ${name} limit of ${limit}`)]
  return order > 0 ? [invalidValue(at, amount, `must be less than or equal to ${name} limit of ${limit}`)] : []
}

function validateHugePages(limits: Amounts, requests: Amounts, field: string): readonly Problem[] {
  const isAny = (test: (name: string) => boolean) => Object.keys(limits).some(test) || Object.keys(requests).some(test)
  if (isAny((name) => name === 'cpu' || name === 'memory') || !isAny((name) => name.startsWith(hugePages))) return none
  return [notAllowed(field, 'HugePages require cpu or memory')]
}

function validateClaims(claims: NonNullable<Requirements['claims']>, field: string): readonly Problem[] {
  const seen = new Set<string>()
  return claims.flatMap(({ name, request = '' }, at) => {
    const id = `${name}/${request}`
    if (!name) return [required(`${field}[${at}].name`)]
    if (seen.has(id)) return [duplicate(`${field}[${at}]`, name)]
    seen.add(id)
    // Pods that claim devices need dynamic resource allocation, whose kinds are not served.
    return [unresolved(`${field}[${at}].name`, name)]
  })
}
