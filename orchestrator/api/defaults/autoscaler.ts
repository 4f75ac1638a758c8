/** Source: k8s.io/kubernetes/pkg/apis/autoscaling/v2/defaults.go. */
import type { HorizontalPodAutoscaler } from '../types.ts'

const usualUse = 80
const periodSeconds = 15

/** Sets what a HorizontalPodAutoscaler leaves open. */
export function setAutoscalerDefaults({ spec }: HorizontalPodAutoscaler): void {
  if (!spec) return
  spec.minReplicas ??= 1
  if (!spec.metrics?.length) {
    const target = { type: 'Utilization', averageUtilization: usualUse }
    spec.metrics = [{ type: 'Resource', resource: { name: 'cpu', target } }]
  }
  if (!spec.behavior) return
  const { scaleUp, scaleDown } = spec.behavior
  spec.behavior = {
    scaleUp: {
      stabilizationWindowSeconds: 0,
      selectPolicy: 'Max',
      policies: [
        { type: 'Pods', value: 4, periodSeconds },
        { type: 'Percent', value: 100, periodSeconds },
      ],
      ...scaleUp,
    },
    scaleDown: {
      selectPolicy: 'Max',
      policies: [{ type: 'Percent', value: 100, periodSeconds }],
      ...scaleDown,
    },
  }
}
