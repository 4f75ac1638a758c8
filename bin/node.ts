/** One node, all in one process: server, scheduler, controllers and agent, put together. The only `new` of real things. */
import { hostname } from 'node:os'
import { type Images, openImages } from '../images/index.ts'
import { type ApiServer, type KeyPair, startServer, writeKubeconfig } from '../orchestrator/index.ts'
import { systemClock as clock } from '../runtime/base/clock.ts'
import { hasCode, runAll } from '../runtime/base/errors.ts'
import type { Log } from '../runtime/base/log.ts'
import { openRuntime, type Runtime, type RuntimeHandler } from '../runtime/index.ts'
import { primaryAddress, startAgent } from './agent.ts'
import { type AuthFlags, authOptions } from './auth-flags.ts'
import { startControlLoops } from './control-loops.ts'
import { cgroupRoot, type DataDir } from './data-dir.ts'
import { buildDefaultImages } from './default-images.ts'
import { type KeyFlags, sharedKeysOf } from './key-flags.ts'
import { registryAccess } from './registry-access.ts'
import type { Steps } from './steps.ts'
import { type StoreFlags, storeChoice } from './store-flags.ts'

export interface NodeOptions {
  directory: DataDir
  listen: { host: string; port: number }
  nodeName: string
  /** The pod network's CNI configuration. */
  network: unknown
  kubeletPort: number
  store: StoreFlags
  auth: AuthFlags
  keys: KeyFlags
  runtimeHandlers: ReadonlyMap<string, RuntimeHandler>
  version: string
  log: Log
  steps: Steps
}

export interface RunningNode {
  server: ApiServer
  runtime: Runtime
  /** The administrator's certificate, as in the kubeconfig. */
  admin: KeyPair
  /** Stops server and agent. Pods go on running. */
  close(): Promise<void>
}

/** Starts everything; resolves when the node is Ready. What was started is stopped again when a later part fails. */
export async function startNode(options: NodeOptions): Promise<RunningNode> {
  const started: (() => Promise<void>)[] = []
  const close = () => runAll('stop', started.toReversed())
  try {
    return { ...(await assemble(options, started)), close }
  } catch (error) {
    await close().catch((also: unknown) => options.log.error(`while stopping: ${String(also)}`))
    throw error
  }
}

async function assemble(options: NodeOptions, started: (() => Promise<void>)[]): Promise<Omit<RunningNode, 'close'>> {
  const { directory, log, steps, nodeName } = options
  const nodeIP = primaryAddress()
  const keep = async <T>(starting: Promise<T>, undo: (part: T) => Promise<void>) => {
    const part = await starting
    started.push(() => undo(part))
    return part
  }
  // These three do not need each other.
  const parts = [
    keep(
      steps.step(
        'API server',
        () => startApi(options, nodeIP),
        (api) => `${api.server.url} (store: ${options.store.store})`,
      ),
      ({ server }) => server.close(),
    ),
    keep(
      steps.step('launcher', () => openRuntime({ root: directory.runtime, log })),
      leaveRuntime,
    ),
    keep(openNodeImages(directory, log), (images) => images.close()),
  ] as const
  // When one fails, the others must not go on starting behind our back.
  await Promise.allSettled(parts)
  const [{ server, admin }, runtime, images] = await Promise.all(parts)
  await steps.step(
    'images',
    () => buildDefaultImages(images, process.execPath),
    (names) => names.join(', '),
  )
  await steps.step('scheduler and controllers', () =>
    startControlLoops({ server, log, isShared: options.store.store !== 'embedded' }, started),
  )
  const kubelet = await steps.step(
    'node',
    () => startAgent({ ...options, server, runtime, images, nodeIP, cgroupRoot: cgroupRoot(directory, nodeName) }),
    () => `${nodeName} (${nodeIP}) is Ready`,
  )
  started.push(() => kubelet.close())
  return { server, runtime, admin }
}

async function openNodeImages(directory: DataDir, log: Log): Promise<Images> {
  return openImages({ root: directory.images, log, access: await registryAccess(directory.root) })
}

/** The launcher stays for as long as it has containers to look after. */
async function leaveRuntime(runtime: Runtime): Promise<void> {
  await runtime.shutdownLauncher().catch((error: unknown) => {
    if (!hasCode(error, 'LAUNCHER_BUSY')) throw error
  })
  await runtime.close()
}

async function startApi(options: NodeOptions, nodeIP: string): Promise<{ server: ApiServer; admin: KeyPair }> {
  const { directory, listen, log, nodeName } = options
  const server = await startServer({
    dataDir: directory.root,
    store: storeChoice(options.store),
    listen,
    advertise: [nodeIP, nodeName],
    ...authOptions(options.auth),
    ...sharedKeysOf(options.keys),
    log,
    clock,
  })
  const subject = { commonName: 'kubernetes-admin', organizations: ['system:masters'] }
  const admin = await server.pki.keep('admin', [], () => server.pki.issueClient(subject))
  writeKubeconfig(directory.kubeconfig, { server: server.url, caPem: server.pki.caPem, user: admin })
  return { server, admin }
}

/** This machine's name as a node's: lower case, as DNS wants it. */
export function defaultNodeName(): string {
  return hostname().toLowerCase()
}
