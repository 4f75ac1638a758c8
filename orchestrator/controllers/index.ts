import { clusterRoleAggregationController } from './cluster-role-aggregation.ts'
import { namespaceController } from './namespace.ts'
import type { Controller, ControllerOptions } from './reconciler.ts'
import { resourceQuotaController } from './resource-quota.ts'
import { rootCaPublisher } from './root-ca-publisher.ts'
import { serviceAccountController } from './service-account.ts'
import { serviceAccountTokenController, type TokenSource } from './service-account-token.ts'
import { claimProtectionController, volumeProtectionController } from './storage-protection.ts'

/** All controllers as one. */
export function controllers(options: ControllerOptions & { tokens: TokenSource }): Controller {
  const all = [
    namespaceController(options),
    serviceAccountController(options),
    rootCaPublisher({ ...options, caPem: options.tokens.caPem }),
    resourceQuotaController(options),
    claimProtectionController(options),
    volumeProtectionController(options),
    serviceAccountTokenController(options),
    clusterRoleAggregationController(options),
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
