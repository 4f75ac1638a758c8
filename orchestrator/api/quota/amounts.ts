/** Lists of amounts by resource name, as in `spec.hard` and `resources.requests`. */
import { addQuantities, compareQuantities, formatQuantity, parseQuantity, type Quantity } from '../quantity.ts'

export type Amounts = Record<string, string>

export function addAmounts(left: Amounts, right: Amounts): Amounts {
  return merge(left, right, addQuantities)
}

export function largerAmounts(left: Amounts, right: Amounts): Amounts {
  return merge(left, right, (one, other) => (compareQuantities(one, other) < 0 ? other : one))
}

/** The smaller of both, of what both have. */
export function smallerAmounts(left: Amounts, right: Amounts): Amounts {
  const common = pickAmounts(left, Object.keys(right))
  return merge(common, pickAmounts(right, Object.keys(common)), (one, other) =>
    compareQuantities(one, other) < 0 ? one : other,
  )
}

/** What `left` has more than `right`; what is not more is left out. */
export function riseOf(left: Amounts, right: Amounts): Amounts {
  const risen: Amounts = {}
  for (const [name, amount] of Object.entries(left)) {
    const one = parseQuantity(amount)
    const nano = one.nano - parseQuantity(right[name] ?? '0').nano
    if (nano > 0n) risen[name] = formatQuantity({ nano, format: one.format })
  }
  return risen
}

/** Only these names. */
export function pickAmounts(amounts: Amounts, names: Iterable<string>): Amounts {
  const picked: Amounts = {}
  for (const name of names) if (Object.hasOwn(amounts, name)) picked[name] = amounts[name] as string
  return picked
}

function merge(left: Amounts, right: Amounts, by: (one: Quantity, other: Quantity) => Quantity): Amounts {
  const merged = { ...left }
  for (const [name, amount] of Object.entries(right)) {
    const before = Object.hasOwn(left, name) ? left[name] : undefined
    merged[name] = before === undefined ? amount : formatQuantity(by(parseQuantity(before), parseQuantity(amount)))
  }
  return merged
}
