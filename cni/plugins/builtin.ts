import type { Plugin } from '../plugin.ts'
import { addToBridge } from './bridge/add.ts'
import { bridgeStatus, checkBridge } from './bridge/check.ts'
import { collectBridgeGarbage, deleteFromBridge, tearDownBridge } from './bridge/del.ts'
import { hostLocal } from './host-local/host-local.ts'
import { loopback } from './loopback/loopback.ts'

const bridge: Plugin = {
  add: addToBridge,
  del: deleteFromBridge,
  check: checkBridge,
  gc: collectBridgeGarbage,
  status: bridgeStatus,
  teardown: tearDownBridge,
}

/** The plugins that need no program, by the `type` that configurations call them. */
export const builtinPlugins: ReadonlyMap<string, Plugin> = new Map([
  ['bridge', bridge],
  ['host-local', hostLocal],
  ['loopback', loopback],
])
