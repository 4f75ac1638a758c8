import type { Clock } from '../../../runtime/base/clock.ts'
import type { ResourceQuota } from '../../api/types.ts'
import type { AdmissionRequest } from '../admission.ts'
import type { StoredObjects } from '../stored-objects.ts'

export interface ResourceQuotaOptions {
  readonly objects: StoredObjects
  readonly clock: Clock
  /** Stores the next state of `old`. Throws CONFLICT when `old` is no longer the newest, NOT_FOUND. */
  replace(old: ResourceQuota, next: ResourceQuota): Promise<void>
  /** Waits until `objects` knows what any server has acknowledged. */
  reachNewest(): Promise<void>
}

/** What is asked of the quotas of a namespace. */
export type Claim = Pick<AdmissionRequest, 'kind' | 'name' | 'dryRun'> & {
  readonly object: NonNullable<AdmissionRequest['object']>
  readonly old?: NonNullable<AdmissionRequest['old']>
}
