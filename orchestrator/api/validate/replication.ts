/** ReplicationControllers and PodTemplates. Source: k8s.io/kubernetes/pkg/apis/core/validation/validation.go. */
import { matchesLabels } from '../selectors/label.ts'
import type { PodTemplate, ReplicationController } from '../types.ts'
import { validateNotNegative } from './numbers.ts'
import { validateRestartsAlways, validateTemplate } from './pod-template.ts'
import { allOf, invalidValue, none, type Problem, required } from './problem.ts'

/** What is wrong with a ReplicationController. */
export function validateReplicationController({ spec }: ReplicationController): readonly Problem[] {
  if (!spec) return [required('spec.selector')]
  const { selector = {}, template, replicas, minReadySeconds } = spec
  const labels = template?.metadata?.labels ?? {}
  const wanted = Object.entries(selector).map(([key, value]) => ({ key, operator: '=' as const, values: [value] }))
  const problems = [
    ...validateNotNegative(minReadySeconds, 'spec.minReadySeconds'),
    ...validateNotNegative(replicas, 'spec.replicas'),
    ...(wanted.length === 0 ? [required('spec.selector')] : []),
  ]
  if (!template) return [...problems, required('spec.template')]
  return allOf(
    problems,
    matchesLabels(wanted, labels)
      ? none
      : [invalidValue('spec.template.metadata.labels', labels, '`selector` does not match template `labels`')],
    validateTemplate(template, 'spec.template'),
    validateRestartsAlways(template, 'spec.template'),
  )
}

/** What is wrong with a PodTemplate. */
export function validatePodTemplate({ template }: PodTemplate): readonly Problem[] {
  return validateTemplate(template, 'template')
}
