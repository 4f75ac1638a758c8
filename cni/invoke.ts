import { runAll } from '../runtime/base/errors.ts'
import { type Attachment, checkAttachment } from './attachment.ts'
import type { ConfigList, PluginConfig } from './conf.ts'
import { cniError } from './errors.ts'
import type { BareCall } from './plugin.ts'
import { type CniResult, compareVersions } from './result.ts'
import type { ResultCache } from './result-cache.ts'
import { type PluginSource, requirePlugin, runPlugin } from './run-plugin.ts'

/** A network that can be run: its configuration, where its plugins are, and what earlier ADDs said. */
export interface Chain {
  list: ConfigList
  source: PluginSource
  cache: ResultCache
}

const atLeast = (chain: Chain, version: string) => compareVersions(chain.list.cniVersion, version) >= 0

/**
 * ADD: every plugin in order, each with the result of the one before. The last result is kept. When one fails, the
 * whole chain is deleted again, as CNI asks of runtimes; the first error is the one that is thrown.
 */
export async function addAttachment(chain: Chain, attachment: Attachment): Promise<CniResult> {
  checkAttachment(attachment, 'netns')
  requireCapabilities(chain.list, attachment)
  try {
    let result: CniResult | undefined
    for (const plugin of chain.list.plugins) {
      result = await runPlugin(chain.source, 'ADD', callFor(plugin, attachment, result))
    }
    chain.cache.write(attachment, result ?? {})
    return result ?? {}
  } catch (error) {
    await deleteAttachment(chain, attachment).catch(() => {})
    throw error
  }
}

/** DEL: every plugin in reverse, each with the result of ADD. Succeeds when there is nothing left to delete. */
export async function deleteAttachment(chain: Chain, attachment: Attachment): Promise<void> {
  checkAttachment(attachment, 'no netns')
  const cached = atLeast(chain, '0.4.0') ? chain.cache.read(attachment) : undefined
  // What was asked for at ADD is what has to be undone, also by a runtime that has forgotten it.
  const whole = {
    ...attachment,
    args: attachment.args ?? cached?.args ?? {},
    capabilities: capabilitiesOf(attachment, cached),
  }
  for (const plugin of chain.list.plugins.toReversed()) {
    await runPlugin(chain.source, 'DEL', callFor(plugin, whole, cached?.result))
  }
  chain.cache.remove(attachment)
}

const capabilitiesOf = (attachment: Attachment, cached: Attachment | undefined) =>
  attachment.capabilities ?? cached?.capabilities ?? {}

/** CHECK: every plugin in order, each with the result of ADD. */
export async function checkAttached(chain: Chain, attachment: Attachment): Promise<void> {
  checkAttachment(attachment, 'netns')
  if (!atLeast(chain, '0.4.0')) {
    throw cniError('CNI_INCOMPATIBLE_VERSION', `check attachment: CNI ${chain.list.cniVersion} has no CHECK`)
  }
  if (chain.list.disableCheck) return
  const cached = chain.cache.read(attachment)
  if (!cached) {
    const { containerId, ifname } = attachment
    throw cniError(
      'CNI_CHECK_FAILED',
      `check attachment: ${containerId} ${ifname} was never added to ${chain.list.name}`,
    )
  }
  for (const plugin of chain.list.plugins) {
    await runPlugin(chain.source, 'CHECK', callFor(plugin, { ...cached, ...attachment }, cached.result))
  }
}

/** GC: deletes what is cached and not valid any more, then lets every plugin look for left-overs of its own. */
export async function collectGarbage(
  chain: Chain,
  valid: readonly { containerId: string; ifname: string }[],
): Promise<void> {
  if (chain.list.disableGC) return
  const isValid = (one: Attachment) => valid.some((v) => v.containerId === one.containerId && v.ifname === one.ifname)
  const stale = chain.cache.list().filter((cached) => !isValid(cached))
  const attachments = valid.map(({ containerId, ifname }) => ({ containerID: containerId, ifname }))
  // libcni sends the list under its older name too.
  const extra = { 'cni.dev/valid-attachments': attachments, 'cni.dev/attachments': attachments }
  const plugins = atLeast(chain, '1.1.0') ? chain.list.plugins : []
  await runAll(`collect garbage of network ${chain.list.name}`, [
    ...stale.map((cached) => () => deleteAttachment(chain, cached)),
    ...plugins.map((plugin) => async () => {
      await runPlugin(chain.source, 'GC', bare({ ...plugin, ...extra }))
    }),
  ])
}

/** STATUS: throws the first reason why an ADD would fail now. */
export async function checkStatus(chain: Chain): Promise<void> {
  for (const plugin of chain.list.plugins) {
    await requirePlugin(chain.source, plugin.type, chain.list.cniVersion)
    // Before 1.1.0 there was no such verb; that the plugin is there is all one can know.
    if (atLeast(chain, '1.1.0')) await runPlugin(chain.source, 'STATUS', bare(plugin))
  }
}

/** Deletes every attachment, then what the network itself has on this host. */
export async function tearDown(chain: Chain): Promise<void> {
  await runAll(`tear down network ${chain.list.name}`, [
    ...chain.cache.list().map((cached) => () => deleteAttachment(chain, cached)),
    ...chain.list.plugins.toReversed().map((plugin) => async () => {
      await runPlugin(chain.source, 'TEARDOWN', bare(plugin))
    }),
  ])
}

/** What is asked for and no plugin does would be silently missing: CNI leaves that to the runtime. */
function requireCapabilities(list: ConfigList, { capabilities = {} }: Attachment): void {
  for (const [name, value] of Object.entries(capabilities)) {
    const asksNothing = value === undefined || (Array.isArray(value) && value.length === 0)
    if (asksNothing || list.plugins.some((plugin) => plugin.capabilities?.[name] === true)) continue
    throw cniError('CNI_UNSUPPORTED_FIELD', `attach to network ${list.name}: no plugin of it offers ${name}`, {
      hint: `add a plugin with "capabilities": {"${name}": true} to the network`,
    })
  }
}

/** The configuration as one plugin sees it, and the attachment. */
function callFor(plugin: PluginConfig, attachment: Attachment, prevResult: CniResult | undefined): BareCall {
  const { capabilities: offered = {}, ...rest } = plugin
  const asked = Object.entries(attachment.capabilities ?? {}).filter(([name]) => offered[name] === true)
  return {
    containerId: attachment.containerId,
    netns: attachment.netns,
    ifname: attachment.ifname,
    args: attachment.args ?? {},
    config: {
      ...rest,
      ...(asked.length > 0 ? { runtimeConfig: Object.fromEntries(asked) } : {}),
      ...(prevResult ? { prevResult } : {}),
    },
  }
}

function bare(config: PluginConfig): BareCall {
  const { capabilities: _, ...rest } = config
  return { containerId: '', netns: '', ifname: '', args: {}, config: rest }
}
