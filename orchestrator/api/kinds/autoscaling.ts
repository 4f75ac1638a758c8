import { setAutoscalerDefaults } from '../defaults/autoscaler.ts'
import { autoscalerPrinter } from '../print/cluster.ts'
import type { HorizontalPodAutoscaler } from '../types.ts'
import { validateAutoscaler } from '../validate/autoscaler.ts'
import { inGroup, specAndStatus, withoutGeneration } from './define.ts'
import { statusSubresource } from './kind.ts'

const autoscaling = inGroup('autoscaling', 'v2', 'io.k8s.api.autoscaling.v2.')

export const horizontalPodAutoscalerKind = autoscaling<HorizontalPodAutoscaler>({
  kind: 'HorizontalPodAutoscaler',
  resource: 'horizontalpodautoscalers',
  printer: autoscalerPrinter,
  shortNames: ['hpa'],
  categories: ['all'],
  namespaced: true,
  subresources: [statusSubresource],
  strategy: {
    ...withoutGeneration(specAndStatus<HorizontalPodAutoscaler>(() => ({ desiredReplicas: 0 }))),
    setDefaults: setAutoscalerDefaults,
    validate: validateAutoscaler,
  },
})
