/** Source: k8s.io/kubernetes/pkg/apis/policy/validation/validation.go. */
import type { PodDisruptionBudget } from '../types.ts'
import { validateAmount, validateAtMostAll } from './amount.ts'
import { allOf, invalidValue, none, type Problem, unsupported } from './problem.ts'
import { validateSelector } from './selector.ts'

const policies = ['AlwaysAllow', 'IfHealthyBudget']

/** What is wrong with a PodDisruptionBudget. */
export function validateDisruptionBudget({ spec = {} }: PodDisruptionBudget): readonly Problem[] {
  const { minAvailable, maxUnavailable, selector, unhealthyPodEvictionPolicy: policy } = spec
  if (minAvailable !== undefined && maxUnavailable !== undefined) {
    return [
      invalidValue('spec', { minAvailable, maxUnavailable }, 'minAvailable and maxUnavailable cannot be both set'),
    ]
  }
  return allOf(
    validateAmount(minAvailable, 'spec.minAvailable'),
    validateAtMostAll(minAvailable, 'spec.minAvailable'),
    validateAmount(maxUnavailable, 'spec.maxUnavailable'),
    validateAtMostAll(maxUnavailable, 'spec.maxUnavailable'),
    validateSelector(selector, 'spec.selector'),
    policy !== undefined && !policies.includes(policy)
      ? [unsupported('spec.unhealthyPodEvictionPolicy', policy, policies)]
      : none,
  )
}
