import type { FilterPlugin } from '../framework.ts'

/**
 * Refuses every node for a pod whose place depends on other pods: required (anti-)affinity, and spreading that must
 * hold, are not judged yet, and a pod in the wrong place is worse than one that waits and says why.
 */
export const unsupportedConstraints: FilterPlugin = {
  name: 'UnsupportedConstraints',
  filter({ pod }) {
    const { affinity, topologySpreadConstraints = [] } = pod.spec ?? {}
    const required = [affinity?.podAffinity, affinity?.podAntiAffinity].some(
      (each) => (each?.requiredDuringSchedulingIgnoredDuringExecution ?? []).length > 0,
    )
    if (required) return 'node(s) cannot be judged: required pod (anti-)affinity is not supported yet'
    const spread = topologySpreadConstraints.some((each) => each.whenUnsatisfiable === 'DoNotSchedule')
    return spread ? 'node(s) cannot be judged: topology spread with DoNotSchedule is not supported yet' : undefined
  },
}
