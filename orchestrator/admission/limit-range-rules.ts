/** What one item of a LimitRange says of the amounts of a container, a pod or a claim, in Kubernetes' words. */
import { compareQuantities, formatQuantity, parseQuantity } from '../api/quantity.ts'
import type { LimitRange } from '../api/types.ts'

export type LimitItem = NonNullable<LimitRange['spec']>['limits'][number]
export type Amounts = Readonly<Record<string, string>>

interface Asked {
  readonly requests: Amounts
  readonly limits: Amounts
}

/** All that is wrong; empty when the item is content. */
export function violationsOf(item: LimitItem, asked: Asked): string[] {
  const ofClaim = item.type === 'PersistentVolumeClaim'
  return [
    ...each(item.min, (name, bound) => tooLittle({ name, bound, type: item.type }, asked)),
    ...each(item.max, (name, bound) => (ofClaim ? tooMuchAsked : tooMuch)({ name, bound, type: item.type }, asked)),
    ...each(item.maxLimitRequestRatio, (name, bound) => tooFarApart({ name, bound, type: item.type }, asked)),
  ]
}

interface Rule {
  readonly name: string
  readonly bound: string
  readonly type: string
}

function each(bounds: Amounts | undefined, check: (name: string, bound: string) => string | undefined): string[] {
  return Object.entries(bounds ?? {}).flatMap(([name, bound]) => check(name, bound) ?? [])
}

const canonical = (text: string) => formatQuantity(parseQuantity(text))
const compare = (left: string, right: string) => compareQuantities(parseQuantity(left), parseQuantity(right))

function tooLittle({ name, bound, type }: Rule, { requests, limits }: Asked): string | undefined {
  const rule = `minimum ${name} usage per ${type} is ${canonical(bound)}`
  const request = requests[name]
  const limit = limits[name]
  if (request === undefined) return `${rule}.  No request is specified`
  if (compare(request, bound) < 0) return `${rule}, but request is ${canonical(request)}`
  if (limit !== undefined && compare(limit, bound) < 0) return `${rule}, but limit is ${canonical(limit)}`
  return undefined
}

function tooMuch({ name, bound, type }: Rule, { requests, limits }: Asked): string | undefined {
  const rule = `maximum ${name} usage per ${type} is ${canonical(bound)}`
  const request = requests[name]
  const limit = limits[name]
  if (limit === undefined) return `${rule}.  No limit is specified`
  if (compare(limit, bound) > 0) return `${rule}, but limit is ${canonical(limit)}`
  if (request !== undefined && compare(request, bound) > 0) return `${rule}, but request is ${canonical(request)}`
  return undefined
}

/** A claim has no limits. */
function tooMuchAsked({ name, bound, type }: Rule, { requests }: Asked): string | undefined {
  const rule = `maximum ${name} usage per ${type} is ${canonical(bound)}`
  const request = requests[name]
  if (request === undefined) return `${rule}.  No request is specified`
  return compare(request, bound) > 0 ? `${rule}, but request is ${canonical(request)}` : undefined
}

function tooFarApart({ name, bound, type }: Rule, { requests, limits }: Asked): string | undefined {
  const rule = `${name} max limit to request ratio per ${type} is ${canonical(bound)}`
  const request = parseQuantity(requests[name] ?? '0').nano
  const limit = parseQuantity(limits[name] ?? '0').nano
  if (request === 0n) return `${rule}, but no request is specified or request is 0`
  if (limit === 0n) return `${rule}, but no limit is specified or limit is 0`
  if (limit * 1_000_000_000n <= parseQuantity(bound).nano * request) return undefined
  return `${rule}, but provided ratio is ${(Number(limit) / Number(request)).toFixed(6)}`
}
