import { generateSelector, setCronJobDefaults, setJobDefaults } from '../defaults/job.ts'
import { cronJobPrinter, jobPrinter } from '../print/workload.ts'
import type { CronJob, Job } from '../types.ts'
import { validateCronJob, validateJob, validateJobUpdate } from '../validate/job.ts'
import { inGroup, specAndStatus } from './define.ts'
import { statusSubresource } from './kind.ts'

const batch = inGroup('batch', 'v1', 'io.k8s.api.batch.v1.')

export const jobKind = batch<Job>({
  kind: 'Job',
  resource: 'jobs',
  printer: jobPrinter,
  categories: ['all'],
  namespaced: true,
  subresources: [statusSubresource],
  strategy: {
    ...specAndStatus<Job>(() => ({})),
    setDefaults: setJobDefaults,
    beforeCreate(job) {
      job.status = {}
      generateSelector(job)
    },
    validate: validateJob,
    validateUpdate: validateJobUpdate,
    fields: { 'status.successful': ({ status }) => String(status?.succeeded ?? 0) },
  },
})

export const cronJobKind = batch<CronJob>({
  kind: 'CronJob',
  resource: 'cronjobs',
  printer: cronJobPrinter,
  shortNames: ['cj'],
  categories: ['all'],
  namespaced: true,
  subresources: [statusSubresource],
  strategy: { ...specAndStatus<CronJob>(() => ({})), setDefaults: setCronJobDefaults, validate: validateCronJob },
})
