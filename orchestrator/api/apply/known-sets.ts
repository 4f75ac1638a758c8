import type { FieldSet } from './field-set.ts'

/**
 * Clients write the same fields again and again: ten thousand pods of a Deployment have one set, frozen and shared.
 * Whoever names his fields anew each time fills no memory.
 */
const known = new Map<string, FieldSet>()
const mostKnown = 1000
const longestKnown = 16 * 1024

const texts = new WeakMap<FieldSet, string>()

/** The set that `text` is, as JSON in the form of `fieldsV1`: frozen. */
export function fieldSetOf(text: string): FieldSet {
  const before = known.get(text)
  if (before) return before
  const set = frozen(JSON.parse(text) as FieldSet)
  if (text.length > longestKnown) return set
  if (known.size >= mostKnown) known.clear()
  known.set(text, set)
  // An item that is named twice is in the text twice, and in the set once.
  texts.set(set, JSON.stringify(set))
  return set
}

/** The JSON of a set, for one that `fieldSetOf` has given out; undefined for any other. */
export function textOfKnown(set: FieldSet): string | undefined {
  return texts.get(set)
}

function frozen(set: FieldSet): FieldSet {
  for (const element in set) frozen(set[element] as FieldSet)
  return Object.freeze(set)
}
