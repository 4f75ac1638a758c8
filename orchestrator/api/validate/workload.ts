/** Deployments, ReplicaSets, StatefulSets, DaemonSets. Source: k8s.io/kubernetes/pkg/apis/apps/validation/validation.go. */
import { isEqual } from '../equal.ts'
import type { ControllerRevision, DaemonSet, Deployment, ReplicaSet, StatefulSet } from '../types.ts'
import { type Amount, isNothing, validateAmount, validateAtMostAll } from './amount.ts'
import { validateNotNegative } from './numbers.ts'
import { validateRestartsAlways, validateTemplate, validateTemplateSelector } from './pod-template.ts'
import { allOf, eachItem, invalidValue, none, notAllowed, type Problem, required, unsupported } from './problem.ts'

const oneOf = (value: string | undefined, supported: readonly string[], field: string): readonly Problem[] => {
  if (value && supported.includes(value)) return []
  return value ? [unsupported(field, value, supported)] : [required(field)]
}

/** What is wrong with a Deployment. */
export function validateDeployment({ spec }: Deployment): readonly Problem[] {
  if (!spec) return [required('spec.selector'), required('spec.template')]
  const { replicas, strategy, minReadySeconds, revisionHistoryLimit, progressDeadlineSeconds: deadline } = spec
  return allOf(
    validateNotNegative(replicas, 'spec.replicas'),
    validateTemplateSelector(spec, 'spec'),
    validateTemplate(spec.template, 'spec.template'),
    validateRestartsAlways(spec.template, 'spec.template'),
    validateDeploymentStrategy(strategy),
    validateNotNegative(minReadySeconds, 'spec.minReadySeconds'),
    validateNotNegative(revisionHistoryLimit, 'spec.revisionHistoryLimit'),
    validateNotNegative(deadline, 'spec.progressDeadlineSeconds'),
    deadline !== undefined && deadline <= (minReadySeconds ?? 0)
      ? [invalidValue('spec.progressDeadlineSeconds', deadline, 'must be greater than minReadySeconds')]
      : none,
  )
}

function validateDeploymentStrategy(strategy: NonNullable<Deployment['spec']>['strategy']): readonly Problem[] {
  const field = 'spec.strategy'
  const { type, rollingUpdate } = strategy ?? {}
  if (type === 'Recreate') {
    return rollingUpdate
      ? [notAllowed(`${field}.rollingUpdate`, "may not be specified when strategy `type` is 'Recreate'")]
      : []
  }
  if (type !== 'RollingUpdate') return oneOf(type, ['Recreate', 'RollingUpdate'], `${field}.type`)
  if (!rollingUpdate) return [required(`${field}.rollingUpdate`, 'this should be defaulted and never be nil')]
  return validateRollingUpdate(rollingUpdate, `${field}.rollingUpdate`)
}

function validateRollingUpdate(
  update: { maxUnavailable?: Amount; maxSurge?: Amount },
  field: string,
): readonly Problem[] {
  const { maxUnavailable, maxSurge } = update
  return allOf(
    validateAmount(maxUnavailable, `${field}.maxUnavailable`),
    validateAmount(maxSurge, `${field}.maxSurge`),
    isNothing(maxUnavailable) && isNothing(maxSurge)
      ? [invalidValue(`${field}.maxUnavailable`, maxUnavailable, 'may not be 0 when `maxSurge` is 0')]
      : none,
    validateAtMostAll(maxUnavailable, `${field}.maxUnavailable`),
  )
}

/** What a selector may not do: the pods of before would be nobody's. */
export function validateSameSelector(
  next: { spec?: { selector?: unknown } },
  old: { spec?: { selector?: unknown } },
): readonly Problem[] {
  return isEqual(next.spec?.selector, old.spec?.selector)
    ? []
    : [invalidValue('spec.selector', next.spec?.selector, 'field is immutable')]
}

/** What is wrong with a ReplicaSet. */
export function validateReplicaSet({ spec }: ReplicaSet): readonly Problem[] {
  if (!spec) return [required('spec.selector')]
  return allOf(
    validateNotNegative(spec.replicas, 'spec.replicas'),
    validateNotNegative(spec.minReadySeconds, 'spec.minReadySeconds'),
    validateTemplateSelector(spec, 'spec'),
    validateTemplate(spec.template, 'spec.template'),
    validateRestartsAlways(spec.template, 'spec.template'),
  )
}

/** What is wrong with a DaemonSet. */
export function validateDaemonSet({ spec }: DaemonSet): readonly Problem[] {
  if (!spec) return [required('spec.selector')]
  return allOf(
    validateTemplateSelector(spec, 'spec'),
    validateTemplate(spec.template, 'spec.template'),
    validateRestartsAlways(spec.template, 'spec.template'),
    validateNotNegative(spec.minReadySeconds, 'spec.minReadySeconds'),
    validateNotNegative(spec.revisionHistoryLimit, 'spec.revisionHistoryLimit'),
    validateDaemonSetStrategy(spec.updateStrategy),
  )
}

function validateDaemonSetStrategy(strategy: NonNullable<DaemonSet['spec']>['updateStrategy']): readonly Problem[] {
  const field = 'spec.updateStrategy'
  const { type, rollingUpdate } = strategy ?? {}
  if (type !== 'RollingUpdate') return oneOf(type, ['OnDelete', 'RollingUpdate'], `${field}.type`)
  if (!rollingUpdate) return [required(`${field}.rollingUpdate`)]
  const { maxUnavailable, maxSurge } = rollingUpdate
  const both = !isNothing(maxUnavailable) && !isNothing(maxSurge)
  return allOf(
    validateRollingUpdate(rollingUpdate, `${field}.rollingUpdate`),
    both
      ? [invalidValue(`${field}.rollingUpdate.maxSurge`, maxSurge, 'may not be set when maxUnavailable is non-zero')]
      : none,
  )
}

/** What is wrong with a StatefulSet. */
export function validateStatefulSet({ spec }: StatefulSet): readonly Problem[] {
  if (!spec) return [required('spec.selector')]
  return allOf(
    oneOf(spec.podManagementPolicy, ['OrderedReady', 'Parallel'], 'spec.podManagementPolicy'),
    validateStatefulSetStrategy(spec.updateStrategy),
    validateRetention(spec.persistentVolumeClaimRetentionPolicy),
    validateNotNegative(spec.replicas, 'spec.replicas'),
    validateNotNegative(spec.minReadySeconds, 'spec.minReadySeconds'),
    validateNotNegative(spec.ordinals?.start, 'spec.ordinals.start'),
    validateNotNegative(spec.revisionHistoryLimit, 'spec.revisionHistoryLimit'),
    validateTemplateSelector(spec, 'spec'),
    validateTemplate(spec.template, 'spec.template'),
    validateRestartsAlways(spec.template, 'spec.template'),
    eachItem(spec.volumeClaimTemplates, 'spec.volumeClaimTemplates', ({ metadata }, at) =>
      metadata?.name ? none : [required(`${at}.metadata.name`)],
    ),
  )
}

function validateStatefulSetStrategy(strategy: NonNullable<StatefulSet['spec']>['updateStrategy']): readonly Problem[] {
  const field = 'spec.updateStrategy'
  const { type, rollingUpdate } = strategy ?? {}
  const wrongType = oneOf(type, ['OnDelete', 'RollingUpdate'], `${field}.type`)
  if (type === 'OnDelete' && rollingUpdate) {
    return [invalidValue(`${field}.rollingUpdate`, rollingUpdate, "only allowed for updateStrategy 'RollingUpdate'")]
  }
  const { partition, maxUnavailable } = rollingUpdate ?? {}
  return allOf(
    wrongType,
    validateNotNegative(partition, `${field}.rollingUpdate.partition`),
    validateAmount(maxUnavailable, `${field}.rollingUpdate.maxUnavailable`),
    isNothing(maxUnavailable)
      ? [invalidValue(`${field}.rollingUpdate.maxUnavailable`, maxUnavailable, 'cannot be 0')]
      : none,
    validateAtMostAll(maxUnavailable, `${field}.rollingUpdate.maxUnavailable`),
  )
}

const retentions = ['Delete', 'Retain']

function validateRetention(
  policy: NonNullable<StatefulSet['spec']>['persistentVolumeClaimRetentionPolicy'],
): readonly Problem[] {
  if (!policy) return []
  const field = 'spec.persistentVolumeClaimRetentionPolicy'
  return (['whenDeleted', 'whenScaled'] as const).flatMap((when) => oneOf(policy[when], retentions, `${field}.${when}`))
}

const changeable = [
  'replicas',
  'ordinals',
  'template',
  'updateStrategy',
  'revisionHistoryLimit',
  'persistentVolumeClaimRetentionPolicy',
  'minReadySeconds',
] as const

/** What an update of a StatefulSet may not do: its pods and their volumes are named after what it was. */
export function validateStatefulSetUpdate({ spec }: StatefulSet, old: StatefulSet): readonly Problem[] {
  const fixed = (part: StatefulSet['spec']) => {
    const rest: Record<string, unknown> = { ...part }
    for (const name of changeable) delete rest[name]
    return rest
  }
  if (isEqual(fixed(spec), fixed(old.spec))) return []
  const names = changeable.map((name) => `'${name}'`)
  const list = `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`
  return [notAllowed('spec', `updates to statefulset spec for fields other than ${list} are forbidden`)]
}

/** What is wrong with a ControllerRevision. */
export function validateControllerRevision({ data, revision }: ControllerRevision): readonly Problem[] {
  return allOf(
    data === undefined ? [required('data', 'data is mandatory')] : none,
    validateNotNegative(revision, 'revision'),
  )
}

/** What an update of a ControllerRevision may not do. */
export function validateControllerRevisionUpdate(
  revision: ControllerRevision,
  old: ControllerRevision,
): readonly Problem[] {
  return isEqual(revision.data, old.data) ? [] : [invalidValue('data', revision.data, 'field is immutable')]
}
