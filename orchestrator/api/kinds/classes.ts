/** Classes of the cluster that pods name: of priority and of runtime. */
import { priorityClassPrinter, runtimeClassPrinter } from '../print/cluster.ts'
import type { PriorityClass, RuntimeClass } from '../types.ts'
import {
  validatePriorityClass,
  validatePriorityClassUpdate,
  validateRuntimeClass,
  validateRuntimeClassUpdate,
} from '../validate/classes.ts'
import { inGroup, isOtherContent } from './define.ts'

const scheduling = inGroup('scheduling.k8s.io', 'v1', 'io.k8s.api.scheduling.v1.')
const node = inGroup('node.k8s.io', 'v1', 'io.k8s.api.node.v1.')

export const priorityClassKind = scheduling<PriorityClass>({
  kind: 'PriorityClass',
  resource: 'priorityclasses',
  printer: priorityClassPrinter,
  shortNames: ['pc'],
  namespaced: false,
  strategy: {
    setDefaults(priority) {
      priority.preemptionPolicy ??= 'PreemptLowerPriority'
    },
    validate: validatePriorityClass,
    validateUpdate: validatePriorityClassUpdate,
    isNewGeneration: isOtherContent,
  },
})

export const runtimeClassKind = node<RuntimeClass>({
  kind: 'RuntimeClass',
  resource: 'runtimeclasses',
  printer: runtimeClassPrinter,
  namespaced: false,
  strategy: { validate: validateRuntimeClass, validateUpdate: validateRuntimeClassUpdate },
})
