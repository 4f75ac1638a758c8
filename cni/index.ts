import type { Log } from '../runtime/base/log.ts'
import type { Attachment } from './attachment.ts'
import { parseConfigList } from './conf.ts'
import {
  addAttachment,
  type Chain,
  checkAttached,
  checkStatus,
  collectGarbage,
  deleteAttachment,
  tearDown,
} from './invoke.ts'
import { OperationLocks } from './locks.ts'
import type { Plugin } from './plugin.ts'
import { builtinPlugins } from './plugins/builtin.ts'
import type { CniResult } from './result.ts'
import { openResultCache } from './result-cache.ts'
import { requirePlugin } from './run-plugin.ts'

export type { Attachment } from './attachment.ts'
export type { Plugin } from './plugin.ts'
export type { CniAddress, CniDns, CniInterface, CniResult, CniRoute } from './result.ts'
export { type PluginAnswer, servePlugin } from './serve-plugin.ts'

/** One network of this host. Errors carry the codes of `errors.ts`. */
export interface Network {
  /** The network's name in its configuration. */
  readonly name: string
  /** Connects a container. When it fails, nothing of the attempt is left. */
  add(attachment: Attachment): Promise<CniResult>
  /** Disconnects a container; succeeds when it is not connected, and when its namespace is gone. */
  del(attachment: Attachment): Promise<void>
  /** Throws `CNI_CHECK_FAILED` when the connection is not as ADD left it. */
  check(attachment: Attachment): Promise<void>
  /** Removes everything that belongs to none of the given attachments. */
  gc(valid: readonly { containerId: string; ifname: string }[]): Promise<void>
  /** Throws when an ADD would fail now. */
  status(): Promise<void>
  /** Removes the bridge, packet filter table, addresses and results of this network. */
  teardown(): Promise<void>
}

export interface NetworkOptions {
  /** A network configuration list (CNI 1.1.0), parsed from JSON. */
  conflist: unknown
  /** Where results are kept; `/var/lib/cni` shares them with other users of libcni. */
  stateDir: string
  /** CNI_PATH: where programs are looked for when a plugin is not built in. */
  pluginDirs: readonly string[]
  log: Log
  /** Instead of those built in; an empty map leaves everything to programs. */
  builtins?: ReadonlyMap<string, Plugin>
}

/** Reads the configuration and checks that its plugins are there; touches no device. */
export async function openNetwork(options: NetworkOptions): Promise<Network> {
  const list = parseConfigList(options.conflist)
  const source = { builtins: options.builtins ?? builtinPlugins, directories: options.pluginDirs }
  for (const plugin of list.plugins) await requirePlugin(source, plugin.type, list.cniVersion)
  const chain: Chain = { list, source, cache: openResultCache(options.stateDir, list) }
  const locks = new OperationLocks()
  const told = async <Result>(what: string, attachment: Attachment, act: () => Promise<Result>): Promise<Result> => {
    const started = performance.now()
    const result = await locks.run(attachment.containerId, act)
    const milliseconds = Math.round((performance.now() - started) * 100) / 100
    options.log.debug(what, { network: list.name, container: attachment.containerId, milliseconds })
    return result
  }
  return {
    name: list.name,
    add: (attachment) => told('attached', attachment, () => addAttachment(chain, attachment)),
    del: (attachment) => told('detached', attachment, () => deleteAttachment(chain, attachment)),
    check: (attachment) => locks.run(attachment.containerId, () => checkAttached(chain, attachment)),
    gc: (valid) => locks.alone(() => collectGarbage(chain, valid)),
    status: () => checkStatus(chain),
    teardown: () => locks.alone(() => tearDown(chain)),
  }
}
