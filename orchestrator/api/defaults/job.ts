/** Source: k8s.io/kubernetes/pkg/apis/batch/v1/defaults.go; registry/batch/job/strategy.go for the selector. */
import type { CronJob, Job } from '../types.ts'
import { setTemplateDefaults } from './workload.ts'

type JobSpec = NonNullable<Job['spec']>

const usualBackoffLimit = 6
const noBackoffLimit = 2 ** 31 - 1

/** Sets what a Job leaves open. */
export function setJobDefaults({ spec }: Job): void {
  if (spec) setJobSpecDefaults(spec)
}

function setJobSpecDefaults(spec: JobSpec): void {
  if (spec.completions === undefined && spec.parallelism === undefined) spec.completions = 1
  spec.parallelism ??= 1
  spec.backoffLimit ??= spec.backoffLimitPerIndex === undefined ? usualBackoffLimit : noBackoffLimit
  spec.completionMode ??= 'NonIndexed'
  spec.suspend ??= false
  spec.manualSelector ??= false
  spec.podReplacementPolicy ??= spec.podFailurePolicy ? 'Failed' : 'TerminatingOrFailed'
  setTemplateDefaults(spec.template)
}

/** Sets what a CronJob leaves open. The Job's own part is left to the Job. */
export function setCronJobDefaults({ spec }: CronJob): void {
  if (!spec) return
  spec.concurrencyPolicy ??= 'Allow'
  spec.suspend ??= false
  spec.successfulJobsHistoryLimit ??= 3
  spec.failedJobsHistoryLimit ??= 1
  setTemplateDefaults(spec.jobTemplate?.spec?.template)
}

const prefix = 'batch.kubernetes.io/'

/** Gives a new Job labels that no other Job's pods have, and a selector that finds them. Its uid is known by now. */
export function generateSelector({ metadata, spec }: Job): void {
  if (!spec || spec.manualSelector) return
  const uid = metadata?.uid ?? ''
  const name = metadata?.name ?? ''
  const labels = {
    ...spec.template.metadata?.labels,
    'controller-uid': uid,
    'job-name': name,
    [`${prefix}controller-uid`]: uid,
    [`${prefix}job-name`]: name,
  }
  spec.template.metadata = { ...spec.template.metadata, labels }
  spec.selector = {
    ...spec.selector,
    matchLabels: { ...spec.selector?.matchLabels, [`${prefix}controller-uid`]: uid },
  }
}
