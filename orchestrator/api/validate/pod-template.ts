/** The pods that a workload makes. Source: k8s.io/kubernetes/pkg/apis/apps/validation/validation.go. */
import { fromSelectorFields, matchesLabels } from '../selectors/label.ts'
import type { LabelSelector, PodTemplateSpec } from '../types.ts'
import { validateLabels } from './metadata.ts'
import { validatePod, validatePodCreate } from './pod.ts'
import { allOf, invalidValue, none, notAllowed, type Problem, required, unsupported } from './problem.ts'
import { isEmptySelector, validateSelector } from './selector.ts'

/** What is wrong with a template: as with a pod, at `field`. */
export function validateTemplate(template: PodTemplateSpec | undefined, field: string): readonly Problem[] {
  if (!template) return [required(field)]
  const { metadata, spec } = template
  const pod = spec ? { spec } : {}
  const ofPod = [...validatePod(pod), ...validatePodCreate(pod)]
  return allOf(
    validateLabels(metadata?.labels, `${field}.labels`),
    ofPod.map((problem) => ({ ...problem, field: `${field}.${problem.field}` })),
  )
}

/** A selector that has to find exactly the pods of the template. */
export function validateTemplateSelector(
  { selector, template }: { selector?: LabelSelector | undefined; template?: PodTemplateSpec | undefined },
  field: string,
): readonly Problem[] {
  const at = `${field}.selector`
  if (!selector) return [required(at)]
  const problems = validateSelector(selector, at)
  if (problems.length > 0) return problems
  const labels = template?.metadata?.labels ?? {}
  const empty = isEmptySelector(selector)
    ? [invalidValue(at, selector, 'empty selector is invalid for deployment')]
    : []
  return matchesLabels(fromSelectorFields(selector), labels)
    ? empty
    : [
        ...empty,
        invalidValue(`${field}.template.metadata.labels`, labels, '`selector` does not match template `labels`'),
      ]
}

/** What runs for ever has to be started again. */
export function validateRestartsAlways(template: PodTemplateSpec | undefined, field: string): readonly Problem[] {
  const { restartPolicy = 'Always', activeDeadlineSeconds } = template?.spec ?? {}
  return allOf(
    restartPolicy === 'Always' ? none : [unsupported(`${field}.spec.restartPolicy`, restartPolicy, ['Always'])],
    activeDeadlineSeconds === undefined
      ? none
      : [notAllowed(`${field}.spec.activeDeadlineSeconds`, 'activeDeadlineSeconds in ReplicaSet is not Supported')],
  )
}
