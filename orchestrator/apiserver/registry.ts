import type { Clock } from '../../runtime/base/clock.ts'
import type { AdmissionChain } from '../admission/admission.ts'
import type { Kind } from '../api/kinds/kind.ts'
import type { KindTable } from '../api/kinds/table.ts'
import type { KubeObject } from '../api/types.ts'
import type { Authorizer } from '../auth/authorize.ts'
import type { ServiceAccountTokens } from '../auth/tokens/service-account.ts'
import type { Broadcaster } from '../store/broadcaster.ts'
import type { Store } from '../store/store.ts'
import type { WatchCache } from '../store/watch-cache.ts'
import type { ServerMetrics } from './metrics.ts'

export type ObjectCache = WatchCache<KubeObject>

/** What the verbs work on: the kinds, where their objects are, and what has to be asked before a write. */
export interface Registry {
  readonly kinds: KindTable
  readonly store: Store
  readonly broadcaster: Broadcaster
  readonly admission: AdmissionChain
  readonly authorizer: Authorizer
  /** Unset where no tokens are given out or believed. */
  readonly tokens?: ServiceAccountTokens
  readonly clock: Clock
  readonly metrics: ServerMetrics
  /** A new UUID. */
  newUid(): string
  /** A whole number from 0 to `below` - 1. */
  random(below: number): number
  cacheOf(kind: Kind): ObjectCache
}

let lastSecond = 0
let lastText = ''

/** Now, to the second, as metav1.Time. */
export function timestamp(clock: Clock, plusSeconds = 0): string {
  const second = Math.floor(clock.now() / 1000) + plusSeconds
  // A thousand objects a second need their time only once.
  if (second !== lastSecond) {
    lastSecond = second
    lastText = `${new Date(second * 1000).toISOString().slice(0, 19)}Z`
  }
  return lastText
}
