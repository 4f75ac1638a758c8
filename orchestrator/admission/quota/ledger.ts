import { builtInKinds } from '../../api/kinds/table.ts'
import { compareQuantities, formatQuantity, parseQuantity } from '../../api/quantity.ts'
import { type Amounts, addAmounts, pickAmounts, riseOf } from '../../api/quota/amounts.ts'
import { isInScope } from '../../api/quota/scopes.ts'
import { totalUsage, unsaidAmounts, usageOf } from '../../api/quota/usage.ts'
import { forbidden } from '../../api/status.ts'
import type { Pod, ResourceQuota } from '../../api/types.ts'
import type { StoredObjects } from '../stored-objects.ts'
import type { Claim } from './claim.ts'

export interface LedgerOptions {
  readonly quotas: readonly ResourceQuota[]
  readonly objects: StoredObjects
  readonly namespace: string
  /** Milliseconds. */
  readonly now: number
}

interface Account {
  readonly quota: ResourceQuota
  readonly hard: Amounts
  used: Amounts
  isChanged: boolean
}

/** What the quotas of a namespace allow and what is taken of it, while several claims are decided one after another. */
export class Ledger {
  readonly #accounts: readonly Account[]
  readonly #now: number

  constructor({ quotas, objects, namespace, now }: LedgerOptions) {
    this.#now = now
    this.#accounts = quotas.map((quota) => {
      const hard = quota.spec?.hard ?? {}
      const known = pickAmounts(quota.status?.used ?? {}, Object.keys(hard))
      const unknown = Object.keys(hard).filter((name) => !Object.hasOwn(known, name))
      const counted = unknown.length > 0 ? countedNow({ quota, names: unknown, objects, namespace, now }) : {}
      return { quota, hard, used: { ...known, ...counted }, isChanged: false }
    })
  }

  /** Takes from every quota that counts the object, or from none. Throws FORBIDDEN. */
  take(claim: Claim): void {
    const takings = this.#accounts.flatMap((account) => {
      const wanted = this.#wantedOf(account, claim)
      return wanted ? [{ account, next: checked(account, wanted, claim), dryRun: claim.dryRun }] : []
    })
    for (const { account, next, dryRun } of takings) {
      if (dryRun) continue
      account.used = next
      account.isChanged = true
    }
  }

  /** The quotas that something was taken of. */
  changes(): { old: ResourceQuota; next: ResourceQuota }[] {
    return this.#accounts
      .filter(({ isChanged }) => isChanged)
      .map(({ quota, hard, used }) => ({
        old: quota,
        next: { ...quota, metadata: { ...quota.metadata }, status: { hard: { ...hard }, used } },
      }))
  }

  /** Undefined: the quota is not about this. */
  #wantedOf({ quota, hard }: Account, claim: Claim): Amounts | undefined {
    const { kind, object, old } = claim
    if (!isInScope(quota, kind, object)) return undefined
    if (kind.resource === 'pods' && kind.group === '') {
      const unsaid = unsaidAmounts(object as Pod, Object.keys(hard))
      if (unsaid) throw forbidden(kind, claim.name, `failed quota: ${quota.metadata?.name}: ${unsaid}`)
    }
    const before = old && isInScope(quota, kind, old) ? usageOf(kind, old, this.#now) : {}
    const wanted = pickAmounts(riseOf(usageOf(kind, object, this.#now), before), Object.keys(hard))
    return Object.keys(wanted).length > 0 ? wanted : undefined
  }
}

/** What is used afterwards. Throws FORBIDDEN when it is too much. */
function checked({ quota, hard, used }: Account, wanted: Amounts, { kind, name }: Claim): Amounts {
  const next = addAmounts(used, wanted)
  const exceeded = Object.keys(wanted).filter(
    (each) => compareQuantities(parseQuantity(next[each] ?? '0'), parseQuantity(hard[each] ?? '0')) > 0,
  )
  if (exceeded.length === 0) return next
  const shown = (amounts: Amounts) =>
    [...exceeded]
      .sort()
      .map((each) => `${each}=${formatQuantity(parseQuantity(amounts[each] ?? '0'))}`)
      .join(',')
  const reason = `exceeded quota: ${quota.metadata?.name}, requested: ${shown(wanted)}, used: ${shown(used)}, limited: ${shown(hard)}`
  throw forbidden(kind, name, reason)
}

/** For a quota so new that nobody has counted yet: it holds from its first moment. */
function countedNow(
  options: Omit<LedgerOptions, 'quotas'> & { quota: ResourceQuota; names: readonly string[] },
): Amounts {
  const { quota, names, objects, namespace, now } = options
  const isNamed = ({ resource }: { resource: string }) => names.some((name) => name.includes(resource))
  const measured = ['pods', 'services', 'persistentvolumeclaims']
  const kinds = builtInKinds.filter(
    (kind) =>
      kind.namespaced &&
      kind.storedAt !== '' &&
      !kind.conversion &&
      (isNamed(kind) || measured.includes(kind.resource)),
  )
  const usages = kinds.flatMap((kind) =>
    objects
      .list(kind, namespace)
      .filter((object) => isInScope(quota, kind, object))
      .map((object) => usageOf(kind, object, now)),
  )
  return totalUsage(usages, names)
}
