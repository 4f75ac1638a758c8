import { chmod, mkdir } from 'node:fs/promises'
import { cpus, totalmem } from 'node:os'
import { join } from 'node:path'
import type { Network } from '../cni/index.ts'
import type { Images, ReclaimOptions } from '../images/index.ts'
import type { ApiClient } from '../orchestrator/client/api-client.ts'
import { EventRecorder } from '../orchestrator/client/event-recorder.ts'
import type { Clock } from '../runtime/base/clock.ts'
import { runAll } from '../runtime/base/errors.ts'
import type { Log } from '../runtime/base/log.ts'
import type { Runtime, RuntimeHandler } from '../runtime/index.ts'
import { hostFacts } from '../runtime/linux/host.ts'
import { apiConfigReader, apiRuntimeClasses } from './config-reader.ts'
import { ContainerStops } from './container-stops.ts'
import { InProcessRuntime } from './cri/in-process.ts'
import { inProcessImages } from './cri/in-process-images.ts'
import { ImageGarbage, type ImageGarbageOptions } from './image-gc.ts'
import { pruneMirrors } from './mirror-pods.ts'
import { NodeStatus } from './node-status.ts'
import { podsDirectory } from './pod-directory.ts'
import type { PodSync } from './pod-round.ts'
import { PodWorkers } from './pod-workers.ts'
import { Prober } from './probes/prober.ts'
import { KubeletServer } from './server/index.ts'
import { ServiceCache } from './service-variables.ts'
import { Sources } from './sources.ts'
import { StatusWriter } from './status-writer.ts'
import { SyncLoop } from './sync-loop.ts'
import { interruptIfEnding, syncPod } from './sync-pod.ts'
import { accountTokens } from './volumes/account-tokens.ts'

export interface KubeletOptions {
  client: ApiClient
  runtime: Runtime
  images: Images
  /** When images are removed to make room; the kubelet's defaults without it. */
  imageGarbage?: ReclaimOptions
  network: Network
  nodeName: string
  nodeIP: string
  /** 0 takes any free port. */
  port: number
  podCidr: string
  /** The data directory. */
  root: string
  tls: { cert: string; key: string; ca: string }
  /** Below which every pod has its cgroup, e.g. `coracle/node-1`. */
  cgroupRoot: string
  /** Other OCI runtimes of this machine, by the handler that a RuntimeClass names. */
  runtimeHandlers: ReadonlyMap<string, RuntimeHandler>
  version: string
  clock: Clock
  log: Log
}

export interface Kubelet {
  /** Stops looking after the pods; they go on running. */
  close(): Promise<void>
}

/** Starts the node agent. Resolves when the node is registered and Ready and its pods are being worked on. */
export async function startKubelet(options: KubeletOptions): Promise<Kubelet> {
  const { client, nodeName: name, nodeIP: ip, root, clock, log } = options
  await makeDirectories(root)
  const runtime = new InProcessRuntime(options)
  await runtime.start()
  const events = new EventRecorder({ client, component: 'kubelet', host: name, clock, log })
  const images = inProcessImages(options.images)
  const node = { name, ip, cpus: cpus().length, memoryBytes: totalmem() }
  const wake = (uid: string) => {
    interruptIfEnding(pods, uid)
    workers.wake(uid)
  }
  const prober = new Prober({ runtime, events, clock, nodeIP: ip, onChange: wake })
  const manifestDirectory = join(root, 'manifests')
  const sources = new Sources({ client, nodeName: name, manifestDirectory, clock, log, onChange: wake })
  const { port, tls, cgroupRoot } = options
  const address = { host: ip, port, nodeName: name }
  const server = new KubeletServer({ ...address, tls, pods: () => sources.list(), runtime, root, clock, log })
  const status = new NodeStatus({ ...options, images, name, ip, kubeletPort: await server.start() })
  const stops = new ContainerStops({ runtime, events, clock, log })
  const cache = new ServiceCache(client)
  const shown = { ...readersOf(options), services: cache.services }
  const pods: PodSync = {
    executor: { root, runtime, images, ...shown, events, node, cgroupRoot, dns: [], stops, clock },
    sources,
    client,
    statuses: new StatusWriter(client),
    probes: prober,
    clock,
    node: () => status.node,
    refreshNode: () => status.refresh(),
    selinux: hostFacts().modules.selinux,
    memories: new Map(),
    interrupts: new Map(),
    departed: new Map(),
  }
  const workers = new PodWorkers({ sync: (uid, signal) => syncPod(pods, uid, signal), clock, log })
  const loop = new SyncLoop({ root, runtime, sources, workers, clock, log })
  await status.start()
  await cache.start()
  await sources.start()
  loop.start()
  const garbage = new ImageGarbage(imageGarbageOf(options))
  garbage.start()
  await pruneMirrors(pods)
  return {
    close: () =>
      runAll('stop kubelet', [
        () => garbage.close(),
        () => loop.close(),
        () => sources.close(),
        () => cache.close(),
        () => prober.close(),
        () => workers.close(),
        () => status.close(),
        () => server.close(),
        () => events.close(),
      ]),
  }
}

/** What pods refer to, from the API. */
function readersOf({ client, clock }: KubeletOptions) {
  return {
    reader: apiConfigReader(client),
    runtimeClasses: apiRuntimeClasses(client),
    tokens: accountTokens(client, clock),
  }
}

function imageGarbageOf({ images, imageGarbage: settings, clock, log }: KubeletOptions): ImageGarbageOptions {
  return { images, clock, log, ...(settings ? { settings } : {}) }
}

/** Secrets of pods and what they print are for root's eyes: containers reach them by mounts, past these folders. */
async function makeDirectories(root: string): Promise<void> {
  for (const directory of [podsDirectory(root), join(root, 'logs', 'pods')]) {
    await mkdir(directory, { recursive: true })
    await chmod(directory, 0o750)
  }
}
