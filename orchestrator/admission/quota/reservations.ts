import { hasCode } from '../../../runtime/base/errors.ts'
import { resourceQuotaKind } from '../../api/kinds/limits.ts'
import type { ResourceQuota } from '../../api/types.ts'
import type { Claim, ResourceQuotaOptions } from './claim.ts'
import { Ledger } from './ledger.ts'

interface Waiting {
  readonly claim: Claim
  resolve(): void
  reject(error: unknown): void
}

/** Each lost race is another server's success, so this is reached only when something is wrong. */
const attempts = 1000

/**
 * Takes from the quotas of a namespace for all who wait, with one write for each quota:
 * ```
 *   claim ─┐                       ┌─ refused: told at once
 *   claim ─┼─▶ ledger of the quotas┤
 *   claim ─┘   as they are now     └─ allowed ─▶ status.used is stored ─▶ told
 *                    ▲                                │ somebody else was faster
 *                    └────────────────────────────────┘
 * ```
 */
export class Reservations {
  readonly #options: ResourceQuotaOptions
  readonly #waiting = new Map<string, Waiting[]>()

  constructor(options: ResourceQuotaOptions) {
    this.#options = options
  }

  /** Resolves when the quotas of the namespace have given what is claimed. Throws FORBIDDEN. */
  reserve(namespace: string, claim: Claim): Promise<void> {
    return new Promise((resolve, reject) => {
      const queue = this.#waiting.get(namespace)
      if (queue) queue.push({ claim, resolve, reject })
      else {
        this.#waiting.set(namespace, [{ claim, resolve, reject }])
        void this.#serve(namespace)
      }
    })
  }

  /** One at a time for each namespace, until nobody waits. */
  async #serve(namespace: string): Promise<void> {
    for (;;) {
      const batch = this.#waiting.get(namespace)?.splice(0) ?? []
      if (batch.length === 0) break
      await this.#settle(namespace, batch)
    }
    this.#waiting.delete(namespace)
  }

  async #settle(namespace: string, batch: readonly Waiting[]): Promise<void> {
    let left = batch
    try {
      for (let attempt = 1; left.length > 0; attempt++) {
        const ledger = this.#ledgerOf(namespace)
        left = left.filter((each) => isAllowed(ledger, each))
        if (await this.#store(ledger, attempt)) break
        await this.#options.reachNewest()
      }
      for (const { resolve } of left) resolve()
    } catch (error) {
      for (const { reject } of left) reject(error)
    }
  }

  #ledgerOf(namespace: string): Ledger {
    const { objects, clock } = this.#options
    return new Ledger({ quotas: objects.list(resourceQuotaKind, namespace), objects, namespace, now: clock.now() })
  }

  /** False when somebody else was faster: what is allowed has to be decided anew. */
  async #store(ledger: Ledger, attempt: number): Promise<boolean> {
    const changed: { old: ResourceQuota; next: ResourceQuota }[] = ledger.changes()
    for (const { old, next } of changed) {
      try {
        await this.#options.replace(old, next)
      } catch (error) {
        const isLost = hasCode(error, 'CONFLICT') || hasCode(error, 'NOT_FOUND')
        if (!isLost || attempt === attempts) throw error
        return false
      }
    }
    return true
  }
}

function isAllowed(ledger: Ledger, { claim, reject }: Waiting): boolean {
  try {
    ledger.take(claim)
    return true
  } catch (error) {
    reject(error)
    return false
  }
}
