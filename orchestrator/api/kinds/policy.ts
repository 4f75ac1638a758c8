import { disruptionBudgetPrinter } from '../print/cluster.ts'
import type { PodDisruptionBudget } from '../types.ts'
import { validateDisruptionBudget } from '../validate/disruption-budget.ts'
import { inGroup, setEmptySpec, specAndStatus } from './define.ts'
import { statusSubresource } from './kind.ts'

const policy = inGroup('policy', 'v1', 'io.k8s.api.policy.v1.')

export const podDisruptionBudgetKind = policy<PodDisruptionBudget>({
  kind: 'PodDisruptionBudget',
  resource: 'poddisruptionbudgets',
  printer: disruptionBudgetPrinter,
  shortNames: ['pdb'],
  namespaced: true,
  subresources: [statusSubresource],
  strategy: {
    ...specAndStatus<PodDisruptionBudget>(() => ({
      currentHealthy: 0,
      desiredHealthy: 0,
      disruptionsAllowed: 0,
      expectedPods: 0,
    })),
    setDefaults: setEmptySpec,
    validate: validateDisruptionBudget,
  },
})
