/** When a container that failed may be tried again: 10 s, doubled each time up to 5 minutes; forgotten after 10 good minutes. */
export const firstDelayMs = 10_000
export const longestDelayMs = 300_000
export const forgetAfterMs = 600_000

interface Entry {
  delayMs: number
  notBefore: number
}

/** One backoff a key, e.g. a pod's container, or its image. Times are milliseconds since the epoch. */
export class Backoff {
  readonly #entries = new Map<string, Entry>()
  readonly #firstIsFree: boolean

  constructor(options: { firstIsFree: boolean }) {
    this.#firstIsFree = options.firstIsFree
  }

  /** Something failed at `now`; `ranMs` is how long it had worked before. Returns the time of the next try. */
  failed(key: string, now: number, ranMs = 0): number {
    const old = ranMs >= forgetAfterMs ? undefined : this.#entries.get(key)
    const delayMs = old
      ? Math.min(longestDelayMs, Math.max(firstDelayMs, old.delayMs * 2))
      : this.#firstIsFree
        ? 0
        : firstDelayMs
    this.#entries.set(key, { delayMs, notBefore: now + delayMs })
    return now + delayMs
  }

  /** 0 when it may be tried at once. */
  notBefore(key: string): number {
    return this.#entries.get(key)?.notBefore ?? 0
  }

  delayMs(key: string): number {
    return this.#entries.get(key)?.delayMs ?? 0
  }

  forget(key: string): void {
    this.#entries.delete(key)
  }
}
