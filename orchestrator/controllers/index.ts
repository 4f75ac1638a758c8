import type { ApiClient } from '../client/api-client.ts'
import { clusterRoleAggregationController } from './cluster-role-aggregation.ts'
import { namespaceController } from './namespace.ts'
import type { Controller, ControllerOptions } from './reconciler.ts'
import { resourceQuotaController } from './resource-quota.ts'
import { rootCaPublisher } from './root-ca-publisher.ts'
import { serviceAccountController } from './service-account.ts'
import { serviceAccountTokenController, type TokenSource } from './service-account-token.ts'
import { claimProtectionController, volumeProtectionController } from './storage-protection.ts'

export interface ControllersOptions extends ControllerOptions {
  /** The API with the rights of one controller, by its service account in kube-system; `client` has those of them all. */
  clientOf(account: string): ApiClient
  readonly tokens: TokenSource
}

/** All controllers as one, each with the rights that its upstream namesake has. */
export function controllers({ clientOf, tokens, ...options }: ControllersOptions): Controller {
  const as = (account: string) => ({ ...options, client: withSharedReads(options.client, clientOf(account)) })
  const all = [
    namespaceController(as('namespace-controller')),
    serviceAccountController(as('service-account-controller')),
    rootCaPublisher({ ...as('root-ca-cert-publisher'), caPem: tokens.caPem }),
    resourceQuotaController(as('resourcequota-controller')),
    claimProtectionController(as('pvc-protection-controller')),
    volumeProtectionController(as('pv-protection-controller')),
    // Upstream, too, this one has no account of its own: it makes the tokens of accounts.
    serviceAccountTokenController({ ...options, tokens }),
    clusterRoleAggregationController(as('clusterrole-aggregation-controller')),
  ]
  return {
    start: async () => {
      for (const each of all) await each.start()
    },
    close: async () => {
      await Promise.all(all.map((each) => each.close()))
    },
  }
}

/**
 * Caches are filled with the rights of kube-controller-manager, as upstream's shared informers are: the role of a
 * controller often does not let it list what it reacts to. All else it does in its own name.
 */
function withSharedReads(shared: ApiClient, own: ApiClient): ApiClient {
  return { ...own, list: shared.list, watch: shared.watch }
}
