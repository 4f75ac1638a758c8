/** Source: upstream's resource quota controller. What admission reserves is settled here with what is really there. */
import { hasCode } from '../../runtime/base/errors.ts'
import { isEqual } from '../api/equal.ts'
import { resourceQuotaKind } from '../api/kinds/limits.ts'
import { builtInKinds } from '../api/kinds/table.ts'
import { type Amounts, addAmounts, largerAmounts, riseOf, smallerAmounts } from '../api/quota/amounts.ts'
import { isInScope } from '../api/quota/scopes.ts'
import { totalUsage, usageOf } from '../api/quota/usage.ts'
import type { KubeObject, ResourceQuota } from '../api/types.ts'
import { Informer, splitKey } from '../client/informer.ts'
import { type Controller, type ControllerOptions, Reconciler } from './reconciler.ts'

/** What was reserved is in the store after this time, or never will be. */
const settleMs = 2000

/** Pods end without anybody's doing, when their grace period is over: look again now and then. */
const resyncMs = 60_000

const countable = builtInKinds.filter(
  (kind) => kind.namespaced && kind.storedAt !== '' && !kind.conversion && kind.resource !== 'events',
)

/**
 * Keeps `status` of every ResourceQuota true: `hard` is what the spec says, `used` is counted. It is lowered only when
 * all that was reserved of late has been stored, so a creation on its way is never forgotten.
 */
export function resourceQuotaController(options: ControllerOptions): Controller {
  const { client, clock } = options
  const reserved = new Reserved()
  const reconciler = new Reconciler({ ...options, name: 'resource-quota', reconcile: (key) => reconcile(key) })
  const quotas = new Informer<ResourceQuota>({
    client,
    resource: resourceQuotaKind,
    indexes: { namespace: ({ metadata }) => [metadata?.namespace ?? ''] },
    onChange(key) {
      reserved.note(key, quotas.get(key)?.status?.used, clock.now())
      reconciler.add(key)
    },
  })
  const recount = (key: string) => {
    const { namespace = '' } = splitKey(key)
    for (const { metadata } of quotas.byIndex('namespace', namespace)) reconciler.add(`${namespace}/${metadata?.name}`)
  }
  const counted = countable.map((kind) => new Informer<KubeObject>({ client, resource: kind, onChange: recount }))
  const reconcile = async (key: string) => {
    const quota = quotas.get(key)
    if (!quota) return
    const hard = quota.spec?.hard ?? {}
    const actual = await countUsage(options, quota)
    const recent = reserved.since(key, clock.now() - settleMs)
    // Not above what is written: of what was reserved of late, some has been counted already.
    const used = largerAmounts(actual, smallerAmounts(addAmounts(actual, recent), quota.status?.used ?? {}))
    const isSettled = isEqual(used, actual)
    if (!isEqual({ hard, used }, quota.status ?? {})) await write({ ...quota, status: { hard, used } })
    reconciler.addAfter(key, isSettled ? resyncMs : settleMs)
  }
  const write = async (quota: ResourceQuota) => {
    try {
      await client.update(resourceQuotaKind, quota, 'status')
    } catch (error) {
      // Whoever was faster has woken us.
      if (!hasCode(error, 'CONFLICT') && !hasCode(error, 'NOT_FOUND')) throw error
    }
  }
  return reconciler.with([quotas, ...counted])
}

async function countUsage({ client, clock }: ControllerOptions, quota: ResourceQuota): Promise<Amounts> {
  const names = Object.keys(quota.spec?.hard ?? {})
  const { namespace = '' } = quota.metadata ?? {}
  const measured = ['pods', 'services', 'persistentvolumeclaims']
  const usages: Amounts[] = []
  for (const kind of countable) {
    if (!measured.includes(kind.resource) && !names.some((name) => name.includes(kind.resource))) continue
    const { items } = await client.list<KubeObject>(kind, { namespace })
    for (const item of items) if (isInScope(quota, kind, item)) usages.push(usageOf(kind, item, clock.now()))
  }
  return totalUsage(usages, names)
}

/** How much `used` has risen of late, by quota. */
class Reserved {
  readonly #last = new Map<string, Amounts>()
  readonly #rises = new Map<string, { at: number; amounts: Amounts }[]>()

  note(key: string, used: Amounts | undefined, at: number): void {
    if (!used) {
      this.#last.delete(key)
      this.#rises.delete(key)
      return
    }
    const amounts = riseOf(used, this.#last.get(key) ?? {})
    this.#last.set(key, used)
    if (Object.keys(amounts).length > 0) this.#rises.set(key, [...(this.#rises.get(key) ?? []), { at, amounts }])
  }

  since(key: string, start: number): Amounts {
    const recent = (this.#rises.get(key) ?? []).filter(({ at }) => at > start)
    this.#rises.set(key, recent)
    return recent.map(({ amounts }) => amounts).reduce(addAmounts, {})
  }
}
