import type { PluginConfig } from './conf.ts'
import type { CniResult } from './result.ts'

/** The verbs of CNI, and TEARDOWN, which only built-in plugins know. */
export type Verb = 'ADD' | 'DEL' | 'CHECK' | 'GC' | 'STATUS' | 'TEARDOWN'

/** One run of a plugin: what the CNI exec protocol passes in environment and standard input. */
export interface PluginCall {
  /** CNI_CONTAINERID; empty for GC and STATUS. */
  containerId: string
  /** CNI_NETNS: path of the container's network namespace; may be empty for DEL. */
  netns: string
  /** CNI_IFNAME: name of the device inside the container. */
  ifname: string
  /** CNI_ARGS as pairs. */
  args: Readonly<Record<string, string>>
  config: PluginConfig
  /** Runs the plugin of that type (an IPAM plugin) with this same call. */
  delegate(verb: Verb, type: string): Promise<CniResult>
}

/** A call before the plugin that it goes to is known. */
export type BareCall = Omit<PluginCall, 'delegate'>

/** A plugin that runs inside this process, with the data of the exec protocol. Errors are those of `errors.ts`. */
export interface Plugin {
  add(call: PluginCall): Promise<CniResult>
  /** Also succeeds when there is nothing left to undo. */
  del(call: PluginCall): Promise<void>
  check(call: PluginCall): Promise<void>
  gc(call: PluginCall): Promise<void>
  status(call: PluginCall): Promise<void>
  /** Beyond CNI: removes what the network itself left on the host (bridge, packet filter table, allocation files). */
  teardown?(call: PluginCall): Promise<void>
}

/** `cni.dev/valid-attachments`: what GC must keep. */
export interface ValidAttachment {
  containerID: string
  ifname: string
}

/** The attachments that GC was told to keep. */
export function validAttachments(config: PluginConfig): ValidAttachment[] {
  const list = config['cni.dev/valid-attachments']
  return Array.isArray(list) ? (list as ValidAttachment[]) : []
}
