import type { Log } from '../../runtime/base/log.ts'
import type { Authorizer } from '../auth/authorize.ts'
import type { Audit } from './audit.ts'
import type { KubeletAccess } from './kubelet-proxy.ts'
import type { HealthChecks } from './paths.ts'
import type { Registry } from './registry.ts'

/** What the server answers with. */
export interface Serving {
  readonly registry: Registry
  readonly authorizer: Authorizer
  readonly checks: HealthChecks
  readonly access: KubeletAccess
  /** What other parts of the server have to tell, by the beginning of its path: the rest of the path in, JSON out. */
  readonly pages: ReadonlyMap<string, Page>
  readonly log: Log
  /** Takes down who did what, where that is wished. */
  readonly audit?: Audit
  /** False: nobody is told even health and version without saying who he is. */
  readonly anonymousAuth?: boolean
}

/** Undefined when there is nothing under that name. */
export type Page = (rest: string) => unknown
