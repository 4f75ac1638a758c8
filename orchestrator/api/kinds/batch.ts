import type { CronJob, Job } from '../types.ts'
import { inGroup, specAndStatus } from './define.ts'
import { statusSubresource } from './kind.ts'

const batch = inGroup('batch', 'v1', 'io.k8s.api.batch.v1.')

export const jobKind = batch<Job>({
  kind: 'Job',
  resource: 'jobs',
  categories: ['all'],
  namespaced: true,
  subresources: [statusSubresource],
  strategy: { ...specAndStatus<Job>(() => ({})) },
})

export const cronJobKind = batch<CronJob>({
  kind: 'CronJob',
  resource: 'cronjobs',
  shortNames: ['cj'],
  categories: ['all'],
  namespaced: true,
  subresources: [statusSubresource],
  strategy: { ...specAndStatus<CronJob>(() => ({})) },
})
