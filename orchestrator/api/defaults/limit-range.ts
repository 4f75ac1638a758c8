/** Source: SetDefaults_LimitRangeItem in k8s.io/kubernetes/pkg/apis/core/v1/defaults.go. */
import type { LimitRange } from '../types.ts'

/** A container's limit is the largest allowed one unless said, its request what its limit is, or the least. */
export function setLimitRangeDefaults({ spec }: LimitRange): void {
  for (const limit of spec?.limits ?? []) {
    if (limit.type !== 'Container') continue
    const limits = { ...limit.max, ...limit.default }
    const requests = { ...limit.min, ...limits, ...limit.defaultRequest }
    if (Object.keys(limits).length > 0) limit.default = limits
    if (Object.keys(requests).length > 0) limit.defaultRequest = requests
  }
}
