import { isAbsolute } from 'node:path'
import { cniError } from './errors.ts'

/** One container's connection to the network. */
export interface Attachment {
  containerId: string
  /** Path of the network namespace, such as `/proc/4711/ns/net`; may be empty for DEL once it is gone. */
  netns: string
  /** Name of the device inside, such as `eth0`. */
  ifname: string
  /** CNI_ARGS. */
  args?: Readonly<Record<string, string>>
  /** What is asked of plugins that declare the capability, such as `portMappings`. */
  capabilities?: Readonly<Record<string, unknown>>
}

const idPattern = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/

/** Throws `CNI_INVALID_ENVIRONMENT`: the id becomes part of file names, the interface a device. CNI 1.1.0 "Parameters". */
export function checkAttachment(attachment: Attachment, needs: 'netns' | 'no netns'): void {
  const { containerId, netns, ifname, args = {} } = attachment
  if (!idPattern.test(containerId))
    throw wrong(`container id ${JSON.stringify(containerId)} has characters CNI forbids`)
  if (!/^[^\s/:]{1,15}$/.test(ifname) || ifname === '.' || ifname === '..') {
    throw wrong(`${JSON.stringify(ifname)} is no name for a network device`)
  }
  if (netns === '' && needs === 'netns') throw wrong('the network namespace is missing')
  if (netns !== '' && !isAbsolute(netns)) throw wrong(`network namespace ${netns} is no absolute path`)
  const bad = Object.entries(args).find(([key, value]) => /[;=]/.test(key) || value.includes(';'))
  if (bad) throw wrong(`CNI_ARGS cannot carry ${bad[0]}`)
}

function wrong(reason: string) {
  return cniError('CNI_INVALID_ENVIRONMENT', `read attachment: ${reason}`)
}
