import { networkInterfaces } from 'node:os'
import { openNetwork } from '../cni/index.ts'
import type { Images } from '../images/index.ts'
import { type Kubelet, startKubelet } from '../kubelet-lite/index.ts'
import { nodePart } from '../orchestrator/api/parts.ts'
import type { ApiServer } from '../orchestrator/index.ts'
import { systemClock as clock } from '../runtime/base/clock.ts'
import type { Log } from '../runtime/base/log.ts'
import type { Runtime, RuntimeHandler } from '../runtime/index.ts'
import { type DataDir, writeNote } from './data-dir.ts'
import { podCidrOf } from './network-config.ts'
import type { StoreFlags } from './store-flags.ts'

export interface AgentOptions {
  directory: DataDir
  server: ApiServer
  runtime: Runtime
  images: Images
  nodeName: string
  nodeIP: string
  network: unknown
  kubeletPort: number
  cgroupRoot: string
  runtimeHandlers: ReadonlyMap<string, RuntimeHandler>
  store: StoreFlags
  version: string
  log: Log
}

/** Puts the node agent together and starts it; resolves when the node is Ready. */
export async function startAgent(options: AgentOptions): Promise<Kubelet> {
  const { directory, server, nodeName, nodeIP, cgroupRoot, store, log } = options
  await writeNote(directory, { nodeName, cgroupRoot, store })
  const network = await openNetwork({
    conflist: options.network,
    stateDir: directory.network,
    pluginDirs: ['/opt/cni/bin', '/usr/lib/cni'],
    log,
  })
  const hosts = [nodeIP, '127.0.0.1', 'localhost', nodeName]
  const serving = await server.pki.keep('kubelet', hosts, () =>
    server.pki.issueServing({ commonName: `system:node:${nodeName}`, hosts }),
  )
  return startKubelet({
    ...options,
    podCidr: podCidrOf(options.network),
    client: server.clientOf(nodePart(nodeName)),
    network,
    port: options.kubeletPort,
    root: directory.root,
    tls: { cert: serving.certificatePem, key: serving.privateKeyPem, ca: server.pki.caPem },
    clock,
  })
}

/** The first address that others can reach; loopback on a machine that has no other. */
export function primaryAddress(): string {
  const all = Object.entries(networkInterfaces()).filter(([name]) => !/^(lo|cor\d|veth|docker|br-)/.test(name))
  const addresses = all.flatMap(([, each]) => each ?? []).filter((each) => each.family === 'IPv4' && !each.internal)
  return addresses[0]?.address ?? '127.0.0.1'
}
