/** What bounds a namespace. */
import type { LimitRange, ResourceQuota } from '../types.ts'
import { inGroup, specAndStatus } from './define.ts'
import { statusSubresource } from './kind.ts'

const core = inGroup('', 'v1', 'io.k8s.api.core.v1.')

export const limitRangeKind = core<LimitRange>({
  kind: 'LimitRange',
  resource: 'limitranges',
  shortNames: ['limits'],
  namespaced: true,
})

export const resourceQuotaKind = core<ResourceQuota>({
  kind: 'ResourceQuota',
  resource: 'resourcequotas',
  shortNames: ['quota'],
  namespaced: true,
  subresources: [statusSubresource],
  strategy: { ...specAndStatus<ResourceQuota>(() => ({})), isNewGeneration: () => false },
})
