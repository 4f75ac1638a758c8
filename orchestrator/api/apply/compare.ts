/** What differs between two states of an object, field by field. Source: structured-merge-diff/typed, `compareWalker`. */
import { isEqual } from '../equal.ts'
import { type FieldSet, isEmpty, nothing, union } from './field-set.ts'
import { elementOf, entryOf, isJson, type Json, type Shape, shapeOf } from './shape.ts'

export interface Comparison {
  readonly added: FieldSet
  readonly modified: FieldSet
  readonly removed: FieldSet
}

type Difference = 'added' | 'modified' | 'removed'

/** From `old` to `next`; `old` undefined is an object in which nobody has set anything. */
export function compare(definition: string, old: unknown, next: unknown): Comparison {
  const found: Record<Difference, Builder> = { added: new Builder(), modified: new Builder(), removed: new Builder() }
  new Walk(found).descend(shapeOf(definition), { old: old ?? {}, next: next ?? {} })
  return { added: found.added.set, modified: found.modified.set, removed: found.removed.set }
}

/** Everything that was written. */
export function changedOf({ added, modified }: Comparison): FieldSet {
  return union(added, modified)
}

/** True if nothing differs. */
export function isSame({ added, modified, removed }: Comparison): boolean {
  return isEmpty(added) && isEmpty(modified) && isEmpty(removed)
}

/** A set that grows path by path. */
class Builder {
  readonly set: Record<string, FieldSet> = {}

  insert(path: readonly string[]): void {
    let node = this.set as Record<string, Record<string, FieldSet>>
    for (const [depth, element] of path.entries()) {
      const isLast = depth === path.length - 1
      const known = node[element]
      if (isLast) {
        if (!known) node[element] = {}
        else if (Object.keys(known).length > 0) known['.'] = nothing
        return
      }
      if (!known) node[element] = {}
      // An empty node was a member; with something below it has to say so.
      else if (Object.keys(known).length === 0) known['.'] = nothing
      node = node[element] as Record<string, Record<string, FieldSet>>
    }
  }
}

interface Sides {
  readonly old: unknown
  readonly next: unknown
}

class Walk {
  readonly #found: Record<Difference, Builder>
  readonly #path: string[] = []

  constructor(found: Record<Difference, Builder>) {
    this.#found = found
  }

  descend(shape: Shape, sides: Sides): void {
    if (shape.type === 'leaf') this.#leaf(sides)
    else if (shape.type === 'struct' || shape.type === 'map') this.#fields(shape, sides)
    else this.#items(shape, sides)
  }

  #note(difference: Difference): void {
    if (this.#path.length > 0) this.#found[difference].insert(this.#path)
  }

  #leaf({ old, next }: Sides): void {
    if (old === undefined) this.#note('added')
    else if (next === undefined) this.#note('removed')
    else if (!isEqual(old, next)) this.#note('modified')
  }

  /** What has fields is itself added or removed only when the other side does not have it at all. */
  #whole({ old, next }: Sides): void {
    if (old === undefined) this.#note('added')
    else if (next === undefined) this.#note('removed')
  }

  #fields(shape: Shape & { type: 'struct' | 'map' }, sides: Sides): void {
    const old = isJson(sides.old) ? sides.old : {}
    const next = isJson(sides.next) ? sides.next : {}
    const names = namesOf(old, next)
    if (names.length === 0) {
      this.#leaf(sides)
      return
    }
    this.#whole(sides)
    for (const name of names) {
      const field = shape.type === 'struct' ? shape.field(name) : entryOf(shape, name)
      if (!field) continue
      const absent = field.isAlwaysThere ? {} : undefined
      this.#path.push(field.element)
      this.descend(field.shape, { old: own(old, name) ?? absent, next: own(next, name) ?? absent })
      this.#path.pop()
    }
  }

  #items(shape: Shape & { type: 'set' | 'keyed' }, sides: Sides): void {
    const old = byElement(shape, sides.old)
    const next = byElement(shape, sides.next)
    if (old.size === 0 && next.size === 0) {
      this.#leaf(sides)
      return
    }
    this.#whole(sides)
    for (const element of new Set([...old.keys(), ...next.keys()])) {
      const item = { old: old.get(element), next: next.get(element) }
      this.#path.push(element)
      if (shape.type === 'keyed') this.descend(shape.item, item)
      else this.#leaf(item)
      this.#path.pop()
    }
  }
}

function namesOf(old: Json, next: Json): string[] {
  const names = Object.keys(old)
  for (const name of Object.keys(next)) if (!Object.hasOwn(old, name)) names.push(name)
  return names
}

function own(object: Json, name: string): unknown {
  return Object.hasOwn(object, name) ? object[name] : undefined
}

/** The items of a list by their path elements. Of two with the same one the last counts. */
export function byElement(shape: Shape & { type: 'set' | 'keyed' }, value: unknown): Map<string, unknown> {
  const items = new Map<string, unknown>()
  if (!Array.isArray(value)) return items
  for (const item of value) {
    const element = elementOf(shape, item)
    if (element !== undefined) items.set(element, item)
  }
  return items
}
