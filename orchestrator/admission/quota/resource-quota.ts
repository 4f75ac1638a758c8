/** Source: k8s.io/apiserver/pkg/admission/plugin/resourcequota/controller.go. */
import { resourceQuotaKind } from '../../api/kinds/limits.ts'
import { riseOf } from '../../api/quota/amounts.ts'
import { usageOf } from '../../api/quota/usage.ts'
import type { AdmissionPlugin, AdmissionRequest } from '../admission.ts'
import type { ResourceQuotaOptions } from './claim.ts'
import { Reservations } from './reservations.ts'

/**
 * Refuses what would take more of a namespace than its quotas allow. What is allowed is written into `status.used`
 * before the object itself is stored, so that of many requests at once no more succeed than there is room for.
 */
export function resourceQuota(options: ResourceQuotaOptions): AdmissionPlugin {
  const reservations = new Reservations(options)
  return {
    name: 'ResourceQuota',
    validate(request) {
      const { namespace, object, old } = request
      if (namespace === undefined || !object || !isCounted(request)) return
      if (options.objects.list(resourceQuotaKind, namespace).length === 0) return
      const { kind, name, dryRun } = request
      const now = options.clock.now()
      if (old && Object.keys(riseOf(usageOf(kind, object, now), usageOf(kind, old, now))).length === 0) return
      return reservations.reserve(namespace, { kind, name, dryRun, object, ...(old ? { old } : {}) })
    },
  }
}

const countedOnUpdate = ['services', 'persistentvolumeclaims']

function isCounted({ verb, kind, subresource }: AdmissionRequest): boolean {
  if (verb === 'create') return !subresource && !(kind.resource === 'events')
  if (verb !== 'update' || kind.group !== '') return false
  return subresource ? kind.resource === 'pods' && subresource === 'resize' : countedOnUpdate.includes(kind.resource)
}
