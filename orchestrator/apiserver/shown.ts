/** Versions of a kind: objects are stored in one of them, and shown and taken in each. */
import { deepFreeze } from '../api/deep-freeze.ts'
import type { Kind } from '../api/kinds/kind.ts'
import type { KubeObject } from '../api/types.ts'
import { typed } from './objects.ts'

/** The row of the version in which the objects of `kind` are stored. */
export function storedKindOf(kind: Kind): Kind {
  return kind.conversion?.stored ?? kind
}

const converted = new WeakMap<KubeObject, Map<Kind, KubeObject>>()

/** A stored object as a client of `kind` sees it: frozen, and for a frozen object made once. */
export function shownBy(kind: Kind, object: KubeObject): KubeObject {
  if (!kind.conversion) return object
  const known = converted.get(object)?.get(kind)
  if (known) return known
  const shown = deepFreeze(typed(kind, kind.conversion.fromStored(object)))
  if (Object.isFrozen(object)) {
    const versions = converted.get(object) ?? new Map<Kind, KubeObject>()
    converted.set(object, versions.set(kind, shown))
  }
  return shown
}

/** What a client of `kind` sent, in the version that is stored. Takes a private copy over. */
export function takenBy<T extends KubeObject>(kind: Kind, object: T): T {
  return kind.conversion ? (kind.conversion.toStored(object) as T) : object
}
