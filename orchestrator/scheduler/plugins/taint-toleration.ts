import type { Node, Pod } from '../../api/types.ts'
import type { FilterPlugin } from '../framework.ts'

type Taint = NonNullable<NonNullable<Node['spec']>['taints']>[number]
type Toleration = NonNullable<NonNullable<Pod['spec']>['tolerations']>[number]

const unschedulable: Taint = { key: 'node.kubernetes.io/unschedulable', effect: 'NoSchedule' }

/** Refuses a node with a taint, or a cordon, that the pod does not tolerate. */
export const taintToleration: FilterPlugin = {
  name: 'TaintToleration',
  filter({ pod }, { node }) {
    const tolerations = pod.spec?.tolerations ?? []
    const tolerated = (taint: Taint) => tolerations.some((each) => tolerates(each, taint))
    if (node.spec?.unschedulable && !tolerated(unschedulable)) return 'node(s) were unschedulable'
    const taint = (node.spec?.taints ?? []).find((each) => each.effect !== 'PreferNoSchedule' && !tolerated(each))
    return taint && `node(s) had untolerated taint {${taint.key}: ${taint.value ?? ''}}`
  },
}

function tolerates(toleration: Toleration, taint: Taint): boolean {
  if (toleration.effect && toleration.effect !== taint.effect) return false
  if (toleration.key && toleration.key !== taint.key) return false
  if (toleration.operator === 'Exists') return true
  return toleration.key !== undefined && (toleration.value ?? '') === (taint.value ?? '')
}
