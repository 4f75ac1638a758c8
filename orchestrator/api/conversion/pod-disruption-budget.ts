/**
 * PodDisruptionBudget: policy/v1beta1 and policy/v1, which is stored. An empty selector selected nothing in v1beta1 and
 * selects everything in v1; a label that no pod has keeps the meaning.
 * Source: k8s.io/kubernetes/pkg/apis/policy/v1beta1/conversion.go.
 */
import { isEqual } from '../equal.ts'
import type { KubeObject, LabelSelector, PodDisruptionBudget } from '../types.ts'

const key = 'pdb.kubernetes.io/deprecated-v1beta1-empty-selector-match'
const nothing: LabelSelector = { matchExpressions: [{ key, operator: 'Exists' }] }
const everything: LabelSelector = { matchExpressions: [{ key, operator: 'DoesNotExist' }] }

const isEmpty = (selector: LabelSelector) =>
  Object.keys(selector.matchLabels ?? {}).length === 0 && (selector.matchExpressions ?? []).length === 0

/** As policy/v1beta1 shows it. */
export function budgetFromV1(object: KubeObject): PodDisruptionBudget {
  return exchange(object, { from: nothing, empty: everything })
}

/** As it is stored. */
export function budgetToV1(object: KubeObject): PodDisruptionBudget {
  return exchange(object, { from: everything, empty: nothing })
}

/** What says `from` becomes empty, what is empty says `empty`. */
function exchange(object: KubeObject, { from, empty }: { from: LabelSelector; empty: LabelSelector }) {
  const budget = object as PodDisruptionBudget
  const selector = budget.spec?.selector
  if (!selector) return budget
  if (isEmpty(selector)) return { ...budget, spec: { ...budget.spec, selector: structuredClone(empty) } }
  return isEqual(selector, from) ? { ...budget, spec: { ...budget.spec, selector: {} } } : budget
}
