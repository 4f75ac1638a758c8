/** Classes of the cluster that pods name: of priority and of runtime. */
import type { PriorityClass, RuntimeClass } from '../types.ts'
import { inGroup, isOtherContent } from './define.ts'

export const priorityClassKind = inGroup(
  'scheduling.k8s.io',
  'v1',
  'io.k8s.api.scheduling.v1.',
)<PriorityClass>({
  kind: 'PriorityClass',
  resource: 'priorityclasses',
  shortNames: ['pc'],
  namespaced: false,
  strategy: { isNewGeneration: isOtherContent },
})

export const runtimeClassKind = inGroup(
  'node.k8s.io',
  'v1',
  'io.k8s.api.node.v1.',
)<RuntimeClass>({
  kind: 'RuntimeClass',
  resource: 'runtimeclasses',
  namespaced: false,
})
