/** Jobs and CronJobs. Source: k8s.io/kubernetes/pkg/apis/batch/validation/validation.go. */
import { isEqual } from '../equal.ts'
import { fromSelectorFields, matchesLabels } from '../selectors/label.ts'
import type { CronJob, Job } from '../types.ts'
import { validateNotNegative } from './numbers.ts'
import { validateTemplate } from './pod-template.ts'
import { allOf, invalidValue, none, type Problem, required, unsupported } from './problem.ts'
import { problemOfSchedule, problemOfTimeZone } from './schedule.ts'
import { validateSelector } from './selector.ts'

type Spec = NonNullable<Job['spec']>

const mostIndexes = 100_000

/** What is wrong with a Job. */
export function validateJob({ spec }: Job): readonly Problem[] {
  if (!spec) return [required('spec.template')]
  return allOf(validateJobSpec(spec, 'spec'), validateJobSelector(spec))
}

const counts = [
  'parallelism',
  'completions',
  'activeDeadlineSeconds',
  'backoffLimit',
  'ttlSecondsAfterFinished',
  'backoffLimitPerIndex',
  'maxFailedIndexes',
] as const

function validateJobSpec(spec: Spec, field: string): readonly Problem[] {
  return allOf(
    counts.flatMap((name) => validateNotNegative(spec[name], `${field}.${name}`)),
    validateCompletion(spec, field),
    validateRestart(spec, `${field}.template.spec.restartPolicy`),
    validateReplacement(spec, `${field}.podReplacementPolicy`),
    validateTemplate(spec.template, `${field}.template`),
  )
}

function validateCompletion(spec: Spec, field: string): readonly Problem[] {
  const { completionMode = 'NonIndexed', completions, parallelism = 1, backoffLimitPerIndex, maxFailedIndexes } = spec
  if (completionMode !== 'NonIndexed' && completionMode !== 'Indexed') {
    return [unsupported(`${field}.completionMode`, completionMode, ['NonIndexed', 'Indexed'])]
  }
  if (completionMode === 'NonIndexed') {
    return allOf(
      backoffLimitPerIndex === undefined
        ? none
        : [invalidValue(`${field}.backoffLimitPerIndex`, backoffLimitPerIndex, 'requires indexed completion mode')],
      spec.successPolicy
        ? [invalidValue(`${field}.successPolicy`, spec.successPolicy, 'requires indexed completion mode')]
        : none,
    )
  }
  const tooMany = `must be less than or equal to ${mostIndexes} when completion mode is Indexed`
  return allOf(
    completions === undefined ? [required(`${field}.completions`, 'when completion mode is Indexed')] : none,
    parallelism > mostIndexes ? [invalidValue(`${field}.parallelism`, parallelism, tooMany)] : none,
    maxFailedIndexes !== undefined && backoffLimitPerIndex === undefined
      ? [required(`${field}.backoffLimitPerIndex`, 'when maxFailedIndexes is specified')]
      : none,
    maxFailedIndexes !== undefined && completions !== undefined && maxFailedIndexes > completions
      ? [invalidValue(`${field}.maxFailedIndexes`, maxFailedIndexes, 'must be less than or equal to completions')]
      : none,
  )
}

function validateRestart(
  { template, podFailurePolicy, backoffLimitPerIndex }: Spec,
  field: string,
): readonly Problem[] {
  const policy = template?.spec?.restartPolicy ?? 'Always'
  if (policy === 'Always') return [required(field, 'valid values: "OnFailure", "Never"')]
  if (policy !== 'OnFailure' && policy !== 'Never') return [unsupported(field, policy, ['OnFailure', 'Never'])]
  if (policy === 'Never') return []
  return allOf(
    podFailurePolicy
      ? [invalidValue(field, policy, 'only "Never" is supported when podFailurePolicy is specified')]
      : none,
    backoffLimitPerIndex === undefined
      ? none
      : [invalidValue(field, policy, 'only "Never" is supported when backoffLimitPerIndex is specified')],
  )
}

function validateReplacement({ podReplacementPolicy, podFailurePolicy }: Spec, field: string): readonly Problem[] {
  const supported = podFailurePolicy ? ['Failed'] : ['Failed', 'TerminatingOrFailed']
  if (podReplacementPolicy === undefined || supported.includes(podReplacementPolicy)) return []
  return [unsupported(field, podReplacementPolicy, supported)]
}

/** The selector is written by the server, unless the Job says `manualSelector`. */
function validateJobSelector({ selector, template }: Spec): readonly Problem[] {
  if (!selector) return [required('spec.selector')]
  const problems = validateSelector(selector, 'spec.selector')
  if (problems.length > 0) return problems
  const labels = template?.metadata?.labels ?? {}
  return matchesLabels(fromSelectorFields(selector), labels)
    ? []
    : [invalidValue('spec.template.metadata.labels', labels, '`selector` does not match template `labels`')]
}

const fixed = [
  'selector',
  'completionMode',
  'podFailurePolicy',
  'backoffLimitPerIndex',
  'managedBy',
  'successPolicy',
] as const

const immutable = 'field is immutable'

/** What an update of a Job may not do. */
export function validateJobUpdate({ spec }: Job, old: Job): readonly Problem[] {
  const before = old.spec
  if (!spec || !before) return []
  return allOf(
    isEqual(spec.completions, before.completions) || isElastic(spec, before)
      ? none
      : [invalidValue('spec.completions', spec.completions, immutable)],
    fixed
      .filter((name) => !isEqual(spec[name], before[name]))
      .map((name) => invalidValue(`spec.${name}`, spec[name] ?? null, immutable)),
    validateTemplateUpdate(spec, before, old),
  )
}

/** An indexed Job whose parallelism goes along may be made larger and smaller. */
function isElastic(spec: Spec, before: Spec): boolean {
  return (
    spec.completionMode === 'Indexed' &&
    spec.completions !== undefined &&
    before.completions !== undefined &&
    spec.completions === spec.parallelism
  )
}

/** While a Job is suspended and has never run, where its pods may run can still be said. */
function validateTemplateUpdate(spec: Spec, before: Spec, { status }: Job): readonly Problem[] {
  const mayMove = before.suspend === true && status?.startTime === undefined
  const comparable = (template: Spec['template']) => {
    if (!mayMove) return template
    const {
      nodeSelector: _s,
      tolerations: _t,
      affinity: _a,
      schedulingGates: _g,
      ...rest
    } = template.spec ?? { containers: [] }
    const { labels: _l, annotations: _n, ...metadata } = template.metadata ?? {}
    return { metadata, spec: rest }
  }
  return isEqual(comparable(spec.template), comparable(before.template))
    ? []
    : [invalidValue('spec.template', spec.template, immutable)]
}

/** The name of a Job that a CronJob makes has eleven characters more. */
const longestName = 52

/** What is wrong with a CronJob. */
export function validateCronJob({ metadata, spec }: CronJob): readonly Problem[] {
  if (!spec) return [required('spec.schedule')]
  const name = metadata?.name ?? ''
  const policies = ['Allow', 'Forbid', 'Replace']
  const policy = spec.concurrencyPolicy ?? 'Allow'
  const template = spec.jobTemplate?.spec
  return allOf(
    name.length > longestName
      ? [invalidValue('metadata.name', name, `must be no more than ${longestName} characters`)]
      : none,
    validateSchedule(spec),
    policies.includes(policy) ? none : [unsupported('spec.concurrencyPolicy', policy, policies)],
    validateNotNegative(spec.startingDeadlineSeconds, 'spec.startingDeadlineSeconds'),
    validateNotNegative(spec.successfulJobsHistoryLimit, 'spec.successfulJobsHistoryLimit'),
    validateNotNegative(spec.failedJobsHistoryLimit, 'spec.failedJobsHistoryLimit'),
    template ? validateJobSpec(template, 'spec.jobTemplate.spec') : [required('spec.jobTemplate.spec.template')],
    template?.manualSelector ? [unsupported('spec.jobTemplate.spec.manualSelector', true, ['nil', 'false'])] : none,
  )
}

function validateSchedule({ schedule, timeZone }: NonNullable<CronJob['spec']>): readonly Problem[] {
  if (!schedule) return [required('spec.schedule')]
  if (schedule.includes('TZ')) {
    const text = 'cannot use TZ or CRON_TZ in schedule, use timeZone field instead'
    return [invalidValue('spec.schedule', schedule, text)]
  }
  const wrongSchedule = problemOfSchedule(schedule)
  const wrongZone = timeZone === undefined ? undefined : problemOfTimeZone(timeZone)
  return allOf(
    wrongSchedule === undefined ? none : [invalidValue('spec.schedule', schedule, wrongSchedule)],
    wrongZone === undefined ? none : [invalidValue('spec.timeZone', timeZone, wrongZone)],
  )
}
