/** Source: ValidatePodUpdate in k8s.io/kubernetes/pkg/apis/core/validation/validation.go. */
import { isEqual } from '../equal.ts'
import type { Container, Pod, PodSpec } from '../types.ts'
import { invalidValue, notAllowed, type Problem } from './problem.ts'

const allowed =
  'pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)'

/** What an update of a pod may not do: nearly all of its spec is fixed at birth. */
export function validatePodUpdate({ spec }: Pod, old: Pod): readonly Problem[] {
  const before = old.spec
  if (!spec || !before) return []
  const countProblems = (['containers', 'initContainers'] as const).flatMap((list) =>
    (spec[list]?.length ?? 0) === (before[list]?.length ?? 0)
      ? []
      : [notAllowed(`spec.${list}`, 'pod updates may not add or remove containers')],
  )
  if (countProblems.length > 0) return countProblems
  const problems = [
    ...validateDeadline(spec, before),
    ...validateTolerations(spec, before),
    ...validateGates(spec, before),
  ]
  const isGated = (before.schedulingGates?.length ?? 0) > 0
  return isEqual(withoutChangeable(spec, before, isGated), before)
    ? problems
    : [...problems, notAllowed('spec', allowed)]
}

/** The new spec with everything put back that may change. */
function withoutChangeable(spec: PodSpec, before: PodSpec, isGated: boolean): PodSpec {
  const back = <Field extends keyof PodSpec>(...fields: Field[]) =>
    Object.fromEntries(fields.map((field) => [field, before[field]])) as Pick<PodSpec, Field>
  const hadNegativeGrace = (before.terminationGracePeriodSeconds ?? 0) < 0 && spec.terminationGracePeriodSeconds === 1
  return {
    ...spec,
    containers: withImagesOf(spec.containers, before.containers),
    ...(spec.initContainers ? { initContainers: withImagesOf(spec.initContainers, before.initContainers ?? []) } : {}),
    ...back('activeDeadlineSeconds', 'tolerations', 'schedulingGates'),
    ...(hadNegativeGrace ? back('terminationGracePeriodSeconds') : {}),
    // Before a pod is up for scheduling, where it may run can still be narrowed.
    ...(isGated ? back('nodeSelector', 'affinity') : {}),
  }
}

function withImagesOf(containers: readonly Container[], before: readonly Container[]): Container[] {
  return containers.map((container, at) => {
    const { image, ...rest } = container
    const earlier = before[at]?.image
    // An image may change, but not vanish.
    return image && earlier ? { ...rest, image: earlier } : container
  })
}

function validateDeadline(
  { activeDeadlineSeconds: now }: PodSpec,
  { activeDeadlineSeconds: before }: PodSpec,
): readonly Problem[] {
  if (before === undefined) return []
  const field = 'spec.activeDeadlineSeconds'
  if (now === undefined) return [invalidValue(field, null, 'must not update from a positive integer to nil value')]
  return now > before ? [invalidValue(field, now, `must be less than or equal to previous value`)] : []
}

function validateTolerations(spec: PodSpec, before: PodSpec): readonly Problem[] {
  const isKept = (before.tolerations ?? []).every((toleration) =>
    spec.tolerations?.some((each) =>
      isEqual({ ...each, tolerationSeconds: undefined }, { ...toleration, tolerationSeconds: undefined }),
    ),
  )
  return isKept
    ? []
    : [notAllowed('spec.tolerations', 'existing toleration can not be modified except its tolerationSeconds')]
}

function validateGates({ schedulingGates = [] }: PodSpec, before: PodSpec): readonly Problem[] {
  const known = (before.schedulingGates ?? []).map(({ name }) => name)
  const added = schedulingGates.filter(({ name }) => !known.includes(name))
  if (added.length === 0) return []
  const names = added.map(({ name }) => name).join(', ')
  return [notAllowed('spec.schedulingGates', `only deletion is allowed, but found new scheduling gates '${names}'`)]
}
