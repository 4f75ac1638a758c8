/** One node, all in one process: server, scheduler, controllers and agent, put together. The only `new` of real things. */
import { hostname, networkInterfaces } from 'node:os'
import { openNetwork } from '../cni/index.ts'
import { openImages } from '../images/index.ts'
import { startKubelet } from '../kubelet-lite/index.ts'
import type { ApiClient } from '../orchestrator/client/api-client.ts'
import { controllers } from '../orchestrator/controllers/index.ts'
import { startServer, writeKubeconfig } from '../orchestrator/index.ts'
import { Scheduler } from '../orchestrator/scheduler/index.ts'
import { systemClock as clock } from '../runtime/base/clock.ts'
import { runAll } from '../runtime/base/errors.ts'
import type { Log } from '../runtime/base/log.ts'
import { openRuntime, type Runtime } from '../runtime/index.ts'
import { cgroupRoot, type DataDir, writeNote } from './data-dir.ts'
import { buildDefaultImages } from './default-images.ts'
import { networkConfig } from './network-config.ts'
import type { Steps } from './steps.ts'

export interface NodeOptions {
  directory: DataDir
  listen: { host: string; port: number }
  nodeName: string
  podCidr: string
  kubeletPort: number
  version: string
  log: Log
  steps: Steps
}

export interface RunningNode {
  client: ApiClient
  runtime: Runtime
  url: string
  cgroupRoot: string
  /** Stops server and agent. Pods go on running. */
  close(): Promise<void>
}

/** Starts everything; resolves when the node is Ready. What was started is stopped again when a later part fails. */
export async function startNode(options: NodeOptions): Promise<RunningNode> {
  const started: (() => Promise<void>)[] = []
  const close = () => runAll('stop', started.reverse())
  try {
    return { ...(await assemble(options, started)), close }
  } catch (error) {
    await close().catch((also: unknown) => options.log.error(`while stopping: ${String(also)}`))
    throw error
  }
}

async function assemble(options: NodeOptions, started: (() => Promise<void>)[]): Promise<Omit<RunningNode, 'close'>> {
  const { directory, log, steps, nodeName, version } = options
  const groups = cgroupRoot(directory, nodeName)
  await writeNote(directory, { nodeName, cgroupRoot: groups })
  const nodeIP = primaryAddress()
  // These three do not need each other.
  const [server, runtime, images] = await Promise.all([
    steps.step(
      'API server',
      () => startApi(options, nodeIP),
      (api) => `${api.url} (embedded store)`,
    ),
    steps.step('launcher', () => openRuntime({ root: directory.runtime, log })),
    openImages({ root: directory.images, log }),
  ])
  started.push(
    () => server.close(),
    () => runtime.close(),
    () => images.close(),
  )
  const { client, pki } = server
  await steps.step(
    'images',
    () => buildDefaultImages(images, process.execPath),
    (names) => names.join(', '),
  )
  const scheduler = new Scheduler({ client, clock, log, random: Math.random })
  const controlLoops = controllers({ client, clock, log })
  started.push(
    () => scheduler.close(),
    () => controlLoops.close(),
  )
  await steps.step('scheduler and controllers', () => Promise.all([scheduler.start(), controlLoops.start()]))
  const network = await openNetwork({
    conflist: await networkConfig(directory, options.podCidr),
    stateDir: directory.network,
    pluginDirs: ['/opt/cni/bin', '/usr/lib/cni'],
    log,
  })
  const serving = await pki.issueServing({
    commonName: `system:node:${nodeName}`,
    hosts: [nodeIP, '127.0.0.1', 'localhost', nodeName],
  })
  const kubelet = await steps.step(
    'node',
    () =>
      startKubelet({
        client,
        runtime,
        images,
        network,
        nodeName,
        nodeIP,
        port: options.kubeletPort,
        podCidr: options.podCidr,
        root: directory.root,
        tls: { cert: serving.certificatePem, key: serving.privateKeyPem, ca: pki.caPem },
        cgroupRoot: groups,
        version,
        clock,
        log,
      }),
    () => `${nodeName} (${nodeIP}) is Ready`,
  )
  started.push(() => kubelet.close())
  return { client, runtime, url: server.url, cgroupRoot: groups }
}

async function startApi(options: NodeOptions, nodeIP: string) {
  const { directory, listen, log, nodeName } = options
  const server = await startServer({ dataDir: directory.root, listen, advertise: [nodeIP, nodeName], log, clock })
  const admin = await server.pki.issueClient({ commonName: 'kubernetes-admin', organizations: ['system:masters'] })
  writeKubeconfig(directory.kubeconfig, {
    server: server.url,
    caPem: server.pki.caPem,
    user: admin,
  })
  return server
}

/** The first address that others can reach; loopback on a machine that has no other. */
function primaryAddress(): string {
  const all = Object.entries(networkInterfaces()).filter(([name]) => !/^(lo|cor\d|veth|docker|br-)/.test(name))
  const addresses = all.flatMap(([, each]) => each ?? []).filter((each) => each.family === 'IPv4' && !each.internal)
  return addresses[0]?.address ?? '127.0.0.1'
}

/** This machine's name as a node's: lower case, as DNS wants it. */
export function defaultNodeName(): string {
  return hostname().toLowerCase()
}
