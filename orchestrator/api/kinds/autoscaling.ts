import type { HorizontalPodAutoscaler } from '../types.ts'
import { inGroup, specAndStatus } from './define.ts'
import { statusSubresource } from './kind.ts'

const autoscaling = inGroup('autoscaling', 'v2', 'io.k8s.api.autoscaling.v2.')

export const horizontalPodAutoscalerKind = autoscaling<HorizontalPodAutoscaler>({
  kind: 'HorizontalPodAutoscaler',
  resource: 'horizontalpodautoscalers',
  shortNames: ['hpa'],
  categories: ['all'],
  namespaced: true,
  subresources: [statusSubresource],
  strategy: { ...specAndStatus<HorizontalPodAutoscaler>(() => ({ desiredReplicas: 0 })) },
})
