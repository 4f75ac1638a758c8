/**
 * `POST pods/x/eviction`: a deletion that asks the pod's disruption budget first.
 * Source: k8s.io/kubernetes/pkg/registry/core/pod/storage/eviction.go.
 */
import type { Kind } from '../../api/kinds/kind.ts'
import { podDisruptionBudgetKind } from '../../api/kinds/policy.ts'
import { fromSelectorFields, matchesLabels } from '../../api/selectors/label.ts'
import { badRequest, forbidden, internalError, tooManyRequests } from '../../api/status.ts'
import type { Eviction, Pod, PodDisruptionBudget } from '../../api/types.ts'
import { copyOf, type ObjectPlace } from '../objects.ts'
import { type Registry, timestamp } from '../registry.ts'
import { getStored } from '../stored.ts'
import { deleteObject } from './delete.ts'
import { updateObject } from './update.ts'
import type { WriteOptions } from './write.ts'

export interface EvictionRequest extends WriteOptions {
  readonly eviction: Eviction
}

const budgetKind = podDisruptionBudgetKind as unknown as Kind

/** More confirmations than this are not waited for. */
const mostDisrupted = 2000

/** Deletes the pod if its budget allows it. Throws NOT_FOUND, TOO_MANY_REQUESTS, CONFLICT (preconditions), FORBIDDEN. */
export async function evictPod(registry: Registry, place: ObjectPlace, request: EvictionRequest): Promise<void> {
  const { eviction, ...options } = request
  const { name } = eviction.metadata ?? {}
  if (name && name !== place.name) throw badRequest('name in URL does not match name in Eviction object')
  const pod = getStored(registry, place) as Pod
  const dryRun = request.dryRun || (eviction.deleteOptions?.dryRun ?? []).length > 0
  const budget = isFreeToGo(pod) ? undefined : budgetFor(registry, place, pod)
  if (budget && !mayIgnore(budget, pod)) await takeFromBudget(registry, budget, { ...options, dryRun, pod })
  if (!isFreeToGo(pod)) await markAsDisrupted(registry, place, { ...options, dryRun })
  await deletePod(registry, place, { ...options, dryRun, eviction })
}

/** A pod that does not run disturbs nobody by going. */
function isFreeToGo({ status, metadata }: Pod): boolean {
  const phase = status?.phase ?? ''
  return ['Succeeded', 'Failed', 'Pending'].includes(phase) || metadata?.deletionTimestamp !== undefined
}

function budgetFor(registry: Registry, { namespace = '' }: ObjectPlace, pod: Pod): PodDisruptionBudget | undefined {
  const [first, ...others] = registry
    .cacheOf(budgetKind)
    .listBelow(`${budgetKind.storedAt}${namespace}/`)
    .map(({ value }) => value as PodDisruptionBudget)
    .filter(({ spec }) => spec?.selector && matchesLabels(fromSelectorFields(spec.selector), pod.metadata?.labels))
  if (others.length === 0) return first
  throw internalError(
    'This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.',
  )
}

/** A pod that is not ready counts for nothing: going, it takes nothing from the budget. */
function mayIgnore({ spec, status }: PodDisruptionBudget, pod: Pod): boolean {
  const isReady = pod.status?.conditions?.some(({ type, status: value }) => type === 'Ready' && value === 'True')
  if (isReady) return false
  if (spec?.unhealthyPodEvictionPolicy === 'AlwaysAllow') return true
  const { currentHealthy = 0, desiredHealthy = 0 } = status ?? {}
  return currentHealthy >= desiredHealthy && desiredHealthy > 0
}

const refusal = "Cannot evict pod as it would violate the pod's disruption budget."

/** One disruption less is allowed from now on: of several evictions at once, no more succeed than the budget has room for. */
async function takeFromBudget(
  registry: Registry,
  { metadata = {} }: PodDisruptionBudget,
  request: WriteOptions & { pod: Pod },
): Promise<void> {
  const { name = '', namespace } = metadata
  const place: ObjectPlace = { kind: budgetKind, name, ...(namespace ? { namespace } : {}) }
  const { pod, ...options } = request
  await updateObject(registry, place, {
    ...options,
    subresource: 'status',
    isConditional: false,
    next(current) {
      const budget = copyOf(current as PodDisruptionBudget)
      refuseUnlessAllowed(budget)
      const left = (budget.status?.disruptionsAllowed ?? 0) - 1
      const disruptedPods = { ...budget.status?.disruptedPods, [pod.metadata?.name ?? '']: timestamp(registry.clock) }
      budget.status = {
        ...budget.status,
        disruptionsAllowed: left,
        disruptedPods,
      } as PodDisruptionBudget['status'] & {}
      delete budget.metadata?.resourceVersion
      return budget
    },
  })
}

function refuseUnlessAllowed({ metadata = {}, status }: PodDisruptionBudget): void {
  const { name = '', generation = 0 } = metadata
  const { observedGeneration = 0, disruptionsAllowed = 0, desiredHealthy = 0, currentHealthy = 0 } = status ?? {}
  const cause = (message: string) => [{ reason: 'DisruptionBudget', message }]
  if (observedGeneration < generation) {
    const text = `The disruption budget ${name} is still being processed by the server.`
    throw tooManyRequests(refusal, 10, cause(text))
  }
  if (disruptionsAllowed < 0) throw forbidden(podDisruptionBudgetKind, name, 'pdb disruptions allowed is negative')
  if (Object.keys(status?.disruptedPods ?? {}).length > mostDisrupted) {
    const text = 'DisruptedPods map too big - too many evictions not confirmed by PDB controller'
    throw forbidden(podDisruptionBudgetKind, name, text)
  }
  if (disruptionsAllowed === 0) {
    const text = `The disruption budget ${name} needs ${desiredHealthy} healthy pods and has ${currentHealthy} currently`
    throw tooManyRequests(refusal, 0, cause(text))
  }
}

async function markAsDisrupted(registry: Registry, place: ObjectPlace, options: WriteOptions): Promise<void> {
  const condition = {
    type: 'DisruptionTarget',
    status: 'True',
    reason: 'EvictionByEvictionAPI',
    message: 'Eviction API: evicting',
    lastTransitionTime: timestamp(registry.clock),
  }
  await updateObject(registry, place, {
    ...options,
    subresource: 'status',
    isConditional: false,
    next(current) {
      const pod = copyOf(current as Pod)
      const others = (pod.status?.conditions ?? []).filter(({ type }) => type !== condition.type)
      pod.status = { ...pod.status, conditions: [...others, condition] }
      delete pod.metadata?.resourceVersion
      return pod
    },
  })
}

async function deletePod(registry: Registry, place: ObjectPlace, request: EvictionRequest): Promise<void> {
  const { eviction, ...options } = request
  const { gracePeriodSeconds, preconditions, propagationPolicy } = eviction.deleteOptions ?? {}
  await deleteObject(registry, place, {
    ...options,
    ...(gracePeriodSeconds === undefined ? {} : { gracePeriodSeconds }),
    ...(preconditions ? { preconditions } : {}),
    ...(propagationPolicy ? { propagationPolicy } : {}),
  })
}
