import type { Clock } from '../../runtime/base/clock.ts'
import { CoracleError } from '../../runtime/base/errors.ts'

const attempts = 5
const firstPauseMs = 200
/** A registry that wants to be left alone for longer than this is an error now. */
const longestPauseMs = 60_000

export interface Retrying {
  clock: Clock
  /** From 0 to 1: attempts of many clients must not come in step. */
  random: () => number
}

/** Counts failures in a row, and waits between them. */
export class Retries {
  readonly #at: Retrying
  #failures = 0

  constructor(at: Retrying) {
    this.#at = at
  }

  /** Something came: what fails now has failed for the first time. */
  progressed(): void {
    this.#failures = 0
  }

  /** Waits before the next attempt, as long as the registry has asked for; throws `error` when there shall be none. */
  async pauseAfter(error: unknown, signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted()
    if (!(error instanceof CoracleError && error.retryable) || ++this.#failures >= attempts) throw error
    const wanted = Number(error.facts.retryAfterMs ?? 0)
    if (wanted > longestPauseMs) throw error
    const pause = firstPauseMs * 2 ** (this.#failures - 1) * (0.5 + this.#at.random())
    await this.#at.clock.sleep(Math.max(wanted, pause), signal)
  }
}

/** What `Retry-After` says (RFC 9110, section 10.2.3: seconds or a date), in milliseconds from `now`. */
export function retryAfterMs(header: string | undefined, now: number): number | undefined {
  if (header === undefined) return undefined
  if (/^\d+$/.test(header.trim())) return Number(header) * 1000
  const date = Date.parse(header)
  return Number.isNaN(date) ? undefined : Math.max(0, date - now)
}
