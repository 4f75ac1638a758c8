/** What bounds a namespace. */

import { setLimitRangeDefaults } from '../defaults/limit-range.ts'
import { createdAtPrinter, resourceQuotaPrinter } from '../print/cluster.ts'
import type { LimitRange, ResourceQuota } from '../types.ts'
import { validateLimitRange, validateResourceQuota, validateResourceQuotaUpdate } from '../validate/limits.ts'
import { inGroup, setEmptySpec, specAndStatus, withoutGeneration } from './define.ts'
import { statusSubresource } from './kind.ts'

const core = inGroup('', 'v1', 'io.k8s.api.core.v1.')

export const limitRangeKind = core<LimitRange>({
  kind: 'LimitRange',
  resource: 'limitranges',
  printer: createdAtPrinter,
  shortNames: ['limits'],
  namespaced: true,
  strategy: { setDefaults: setLimitRangeDefaults, validate: validateLimitRange },
})

export const resourceQuotaKind = core<ResourceQuota>({
  kind: 'ResourceQuota',
  resource: 'resourcequotas',
  printer: resourceQuotaPrinter,
  shortNames: ['quota'],
  namespaced: true,
  subresources: [statusSubresource],
  strategy: {
    ...withoutGeneration(specAndStatus<ResourceQuota>(() => ({}))),
    setDefaults: setEmptySpec,
    validate: validateResourceQuota,
    validateUpdate: validateResourceQuotaUpdate,
  },
})
