import type { WatchEvent } from './messages.ts'

/** A write: `expected` is 0 for a create; a deletion has no value. */
export interface Write {
  readonly key: string
  readonly value?: string
  readonly expected: number
  readonly ttlSeconds?: number
}

/** What the watch has told of the event that a write's condition allows. */
export interface Witness {
  /** Unset: nobody has changed the key from the expected state. `found` is what others have left there; 0: nothing. */
  seen:
    | { readonly isOurs: true; readonly revision: number }
    | { readonly isOurs: false; readonly found: number }
    | undefined
  /** Events were lost: it cannot be said. */
  isBlind: boolean
}

/**
 * Writes under way, and what became of them, seen from the watch: the event that follows the expected state of the key
 * tells whether a write without answer was carried out. Another process that wrote
 * the very same bytes on the very same state is taken for us: nobody can tell the difference, or has lost anything.
 */
export class Witnesses {
  readonly #byKey = new Map<string, Map<Write, Witness>>()

  /** Looks out for `write` until `release`. */
  watch(write: Write): Witness {
    const witness: Witness = { seen: undefined, isBlind: false }
    const ofKey = this.#byKey.get(write.key) ?? new Map<Write, Witness>()
    this.#byKey.set(write.key, ofKey.set(write, witness))
    return witness
  }

  release(write: Write): void {
    const ofKey = this.#byKey.get(write.key)
    ofKey?.delete(write)
    if (ofKey?.size === 0) this.#byKey.delete(write.key)
  }

  tell(events: readonly WatchEvent[]): void {
    if (this.#byKey.size === 0) return
    for (const { type, kv, prev_kv } of events) {
      for (const [write, witness] of this.#byKey.get(kv.key.toString()) ?? []) {
        if ((prev_kv?.mod_revision ?? 0) !== write.expected) continue
        const isOurs = type === 'DELETE' ? write.value === undefined : write.value === kv.value.toString()
        // A key that is not there can be made and removed by others before ours comes: ours counts.
        if (witness.seen?.isOurs) continue
        witness.seen = isOurs
          ? { isOurs, revision: kv.mod_revision }
          : { isOurs, found: type === 'DELETE' ? 0 : kv.mod_revision }
      }
    }
  }

  /** Events were lost. */
  blind(): void {
    for (const ofKey of this.#byKey.values()) for (const witness of ofKey.values()) witness.isBlind = true
  }
}
