import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { messageOf } from '../../../runtime/base/errors.ts'
import { cniError } from '../../errors.ts'
import { type Plugin, type PluginCall, validAttachments } from '../../plugin.ts'
import type { CniDns } from '../../result.ts'
import { allocate } from './allocate.ts'
import { parseHostLocal } from './ranges.ts'
import { removeStore, withStore } from './store.ts'

/**
 * IPAM from ranges in the configuration, kept in files of this host. Beyond the reference plugin: GC frees what is not
 * in `cni.dev/valid-attachments`, and teardown removes the files.
 */
export const hostLocal: Plugin = {
  async add(call) {
    const config = parseHostLocal(call)
    const ips = await withStore(directoryOf(call), (store) => allocate(store, call, config))
    const dns = config.resolvConf === undefined ? undefined : readResolvConf(config.resolvConf)
    return {
      ips,
      ...(config.routes.length > 0 ? { routes: config.routes } : {}),
      ...(dns ? { dns } : {}),
    }
  },
  del: (call) => withStore(directoryOf(call), (store) => store.release(call)),
  async check(call) {
    const held = await withStore(directoryOf(call), (store) => store.addressesOf(call))
    if (held.length > 0) return
    throw cniError('CNI_CHECK_FAILED', `check address: ${call.containerId} ${call.ifname} holds none`)
  },
  gc(call) {
    const keep = validAttachments(call.config).map(({ containerID, ifname }) => ({ containerId: containerID, ifname }))
    return withStore(directoryOf(call), (store) => store.keepOnly(keep))
  },
  async status(call) {
    parseHostLocal(call)
    await withStore(directoryOf(call), () => {})
  },
  async teardown(call) {
    removeStore(directoryOf(call))
  },
}

function directoryOf(call: PluginCall): string {
  return join(parseHostLocal(call).dataDir, call.config.name)
}

/** The lines of resolv.conf(5) that a result can carry. */
function readResolvConf(file: string): CniDns {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    throw cniError('CNI_IO', `read ${file}: ${messageOf(error)}`, { cause: error })
  }
  const lines = text.split('\n').map((line) => line.trim().split(/\s+/))
  const values = (word: string) => lines.filter(([first]) => first === word).flatMap(([, ...rest]) => rest)
  const domain = values('domain').at(-1)
  return {
    nameservers: values('nameserver'),
    ...(domain ? { domain } : {}),
    search: values('search'),
    options: values('options'),
  }
}
