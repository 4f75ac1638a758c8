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
export function validateResources(resources: Requirements | undefined, field: string): Problem[] {
  const { limits = {}, requests = {}, claims } = resources ?? {}
  return allOf(
    validateAmounts(limits, `${field}.limits`),
    validateAmounts(requests, `${field}.requests`),
    Object.entries(requests).flatMap(([name, amount]) =>
      compareToLimit({ name, amount, limit: own(limits, name) }, field),
    ),
    Object.keys(limits)
      .filter((name) => !mayOvercommit(name) && own(requests, name) === undefined)
      .map((name) => required(`${field}.limits`, `Request must be set for non overcommitable resource ${name}`)),
    validateHugePages({ ...limits, ...requests }, field),
    validateClaims(claims, `${field}.claims`),
  )
}

function validateAmounts(amounts: Record<string, string>, field: string): Problem[] {
  return Object.entries(amounts).flatMap(([name, amount]) => {
    const at = `${field}[${name}]`
    const quantity = parseQuantity(amount)
    const negative = quantity.nano < 0n ? [invalidValue(at, amount, 'must be greater than or equal to 0')] : []
    const isWhole = quantity.nano % 1_000_000_000n === 0n
    const fraction = isExtended(name) && !isWhole ? [invalidValue(at, amount, 'must be an integer')] : []
    return allOf(validateName(name, at), negative, fraction)
  })
}

function validateName(name: string, field: string): Problem[] {
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
): Problem[] {
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

function validateHugePages(amounts: Record<string, string>, field: string): Problem[] {
  const hasPages = Object.keys(amounts).some((name) => name.startsWith(hugePages))
  if (!hasPages || amounts.cpu !== undefined || amounts.memory !== undefined) return []
  return [notAllowed(field, 'HugePages require cpu or memory')]
}

function validateClaims(claims: Requirements['claims'], field: string): Problem[] {
  const seen = new Set<string>()
  return (claims ?? []).flatMap(({ name, request = '' }, at) => {
    const id = `${name}/${request}`
    if (!name) return [required(`${field}[${at}].name`)]
    if (seen.has(id)) return [duplicate(`${field}[${at}]`, name)]
    seen.add(id)
    // Pods that claim devices need dynamic resource allocation, whose kinds are not served.
    return [unresolved(`${field}[${at}].name`, name)]
  })
}
