import { namespaceController } from './namespace.ts'
import type { Controller, ControllerOptions } from './reconciler.ts'
import { resourceQuotaController } from './resource-quota.ts'
import { serviceAccountController } from './service-account.ts'
import { claimProtectionController, volumeProtectionController } from './storage-protection.ts'

/** All controllers as one. */
export function controllers(options: ControllerOptions): Controller {
  const all = [
    namespaceController(options),
    serviceAccountController(options),
    resourceQuotaController(options),
    claimProtectionController(options),
    volumeProtectionController(options),
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
