/** The node's own object: capacity, addresses, conditions, and a Lease that says it is alive (KEP-589). */
import { readFileSync } from 'node:fs'
import { statfs } from 'node:fs/promises'
import { arch, cpus, release, totalmem } from 'node:os'
import { resources } from '../orchestrator/api/resources.ts'
import type { Node, NodeCondition } from '../orchestrator/api/types.ts'
import type { ApiClient } from '../orchestrator/client/api-client.ts'
import type { Clock } from '../runtime/base/clock.ts'
import { hasCode, messageOf } from '../runtime/base/errors.ts'
import type { Log } from '../runtime/base/log.ts'
import { ownHandlers } from './cri/handlers.ts'
import type { Image, ImageService } from './cri/types.ts'
import { seconds } from './status.ts'

export interface NodeStatusOptions {
  client: ApiClient
  images: ImageService
  name: string
  ip: string
  kubeletPort: number
  podCidr: string
  /** Other runtimes of this machine, by their handlers. */
  runtimeHandlers: ReadonlyMap<string, unknown>
  /** The data directory: its filesystem is the one whose pressure counts. */
  root: string
  version: string
  clock: Clock
  log: Log
}

const leaseRenewMs = 10_000
const leaseSeconds = 40
const statusEveryMs = 300_000
const maxPods = 110

/** Registers the node and keeps its lease and status fresh until closed. */
export class NodeStatus {
  readonly #options: NodeStatusOptions
  readonly #stop = new AbortController()
  #loop: Promise<void> = Promise.resolve()
  #node: Node | undefined

  constructor(options: NodeStatusOptions) {
    this.#options = options
  }

  /** Resolves when the node object says Ready. */
  async start(): Promise<void> {
    await this.#register()
    await this.#reportStatus()
    await this.#renewLease()
    this.#loop = this.#keepFresh()
  }

  /** Reads the node object anew: others write its labels and taints. */
  async refresh(): Promise<void> {
    const { client, name } = this.#options
    this.#node = await client.get(resources.nodes, { name })
  }

  /** The node object as last written or read. */
  get node(): Node {
    return this.#node ?? { metadata: { name: this.#options.name } }
  }

  async close(): Promise<void> {
    this.#stop.abort()
    await this.#loop
  }

  async #register(): Promise<void> {
    const { client, name, podCidr } = this.#options
    const labels = {
      'kubernetes.io/hostname': name,
      'kubernetes.io/os': 'linux',
      'kubernetes.io/arch': goArch(),
      'beta.kubernetes.io/os': 'linux',
      'beta.kubernetes.io/arch': goArch(),
    }
    const metadata = { name, labels }
    const spec = { podCIDR: podCidr, podCIDRs: [podCidr] }
    try {
      this.#node = await client.create(resources.nodes, { apiVersion: 'v1', kind: 'Node', metadata, spec } as Node)
    } catch (error) {
      if (!hasCode(error, 'ALREADY_EXISTS')) throw error
      this.#node = await client.patch(resources.nodes, { name }, { type: 'merge', body: { metadata: { labels } } })
    }
  }

  async #reportStatus(): Promise<void> {
    const { client, name, images } = this.#options
    const status = await nodeStatus(this.#options, { before: this.#node, images: await images.listImages() })
    this.#node = await client.patch(
      resources.nodes,
      { name },
      { type: 'merge', body: { status }, subresource: 'status' },
    )
  }

  async #renewLease(): Promise<void> {
    const { client, name, clock } = this.#options
    const key = { namespace: 'kube-node-lease', name }
    const renewTime = new Date(clock.now()).toISOString().replace('Z', '000Z')
    const spec = { holderIdentity: name, leaseDurationSeconds: leaseSeconds, renewTime }
    try {
      await client.patch(resources.leases, key, { type: 'merge', body: { spec } })
    } catch (error) {
      if (!hasCode(error, 'NOT_FOUND')) throw error
      const owner = { apiVersion: 'v1', kind: 'Node', name, uid: this.#node?.metadata?.uid ?? '' }
      const metadata = { ...key, ownerReferences: [owner] }
      await client.create(resources.leases, { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata, spec })
    }
  }

  async #keepFresh(): Promise<void> {
    const { clock, log } = this.#options
    let reported = clock.now()
    while (!this.#stop.signal.aborted) {
      try {
        await clock.sleep(leaseRenewMs, this.#stop.signal)
        await this.#renewLease()
        if (clock.now() - reported < statusEveryMs) continue
        await this.#reportStatus()
        reported = clock.now()
      } catch (error) {
        if (!this.#stop.signal.aborted) log.warn(`node status: ${messageOf(error)}`, { error })
      }
    }
  }
}

/** Go's name of this machine's architecture, as node labels carry it. */
function goArch(): string {
  return arch() === 'x64' ? 'amd64' : arch()
}

async function nodeStatus(
  options: NodeStatusOptions,
  at: { before: Node | undefined; images: Awaited<ReturnType<ImageService['listImages']>> },
) {
  const { name, ip, kubeletPort, version, root } = options
  const disk = await statfs(root)
  const capacity = {
    cpu: String(cpus().length),
    memory: `${Math.floor(totalmem() / 1024)}Ki`,
    'ephemeral-storage': `${Math.floor((disk.blocks * disk.bsize) / 1024)}Ki`,
    pods: String(maxPods),
  }
  return {
    capacity,
    allocatable: capacity,
    conditions: await conditions(options, at.before),
    addresses: [
      { type: 'InternalIP', address: ip },
      { type: 'Hostname', address: name },
    ],
    daemonEndpoints: { kubeletEndpoint: { Port: kubeletPort } },
    nodeInfo: {
      machineID: readText('/etc/machine-id'),
      systemUUID: '',
      bootID: readText('/proc/sys/kernel/random/boot_id'),
      kernelVersion: release(),
      osImage: osName(),
      containerRuntimeVersion: `coracle://${version}`,
      kubeletVersion: `v1.36.0+coracle-${version}`,
      kubeProxyVersion: '',
      operatingSystem: 'linux',
      architecture: goArch(),
    },
    images: imagesStatus(at.images),
    runtimeHandlers: handlersStatus(options.runtimeHandlers),
  }
}

/** Which handlers a RuntimeClass may name here (KEP-3857); of other runtimes no more than their names is known. */
function handlersStatus(others: ReadonlyMap<string, unknown>) {
  const own = ownHandlers.map((name) => ({
    name,
    features: { recursiveReadOnlyMounts: true, userNamespaces: false },
  }))
  return [...own, ...[...others.keys()].map((name) => ({ name }))]
}

const mostImages = 50
const mostNames = 5

/** The largest images, for the scheduler's ImageLocality; bounded as upstream bounds them (nodeStatusMaxImages). */
export function imagesStatus(images: readonly Image[]): { names: string[]; sizeBytes: number }[] {
  return [...images]
    .sort((a, b) => b.sizeBytes - a.sizeBytes)
    .slice(0, mostImages)
    .map(({ references, sizeBytes }) => ({ names: references.slice(0, mostNames), sizeBytes }))
}

interface Pressure {
  type: string
  calm: readonly [reason: string, message: string]
  pressed: readonly [reason: string, message: string]
  isPressed: (root: string) => Promise<boolean>
}

const memoryFloorBytes = 100 * 1024 * 1024
const diskFloor = 0.1
const pidFloor = 0.05

/** Upstream's default hard eviction thresholds (kubelet docs: node-pressure-eviction). */
const pressures: readonly Pressure[] = [
  {
    type: 'MemoryPressure',
    calm: ['KubeletHasSufficientMemory', 'kubelet has sufficient memory available'],
    pressed: ['KubeletHasInsufficientMemory', 'kubelet has insufficient memory available'],
    isPressed: async () => {
      const kilobytes = /^MemAvailable:\s+(\d+) kB/m.exec(readText('/proc/meminfo'))?.[1]
      return kilobytes !== undefined && Number(kilobytes) * 1024 < memoryFloorBytes
    },
  },
  {
    type: 'DiskPressure',
    calm: ['KubeletHasNoDiskPressure', 'kubelet has no disk pressure'],
    pressed: ['KubeletHasDiskPressure', 'kubelet has disk pressure'],
    isPressed: async (root) => {
      const { bavail, blocks } = await statfs(root)
      return bavail < blocks * diskFloor
    },
  },
  {
    type: 'PIDPressure',
    calm: ['KubeletHasSufficientPID', 'kubelet has sufficient PID available'],
    pressed: ['KubeletHasInsufficientPID', 'kubelet has insufficient PID available'],
    isPressed: async () => {
      const used = Number(/\/(\d+) /.exec(readText('/proc/loadavg'))?.[1] ?? 0)
      const most = Number(readText('/proc/sys/kernel/pid_max'))
      return most > 0 && most - used < most * pidFloor
    },
  },
]

async function conditions(options: NodeStatusOptions, before: Node | undefined): Promise<NodeCondition[]> {
  const now = seconds(options.clock.now())
  const one = (type: string, status: string, why: readonly [string, string]) => {
    const old = before?.status?.conditions?.find((each) => each.type === type)
    const lastTransitionTime = old?.status === status ? old.lastTransitionTime : now
    return {
      type,
      status,
      lastHeartbeatTime: now,
      lastTransitionTime,
      reason: why[0],
      message: why[1],
    } as NodeCondition
  }
  const measured = pressures.map(async ({ type, calm, pressed, isPressed }) =>
    (await isPressed(options.root)) ? one(type, 'True', pressed) : one(type, 'False', calm),
  )
  return [...(await Promise.all(measured)), one('Ready', 'True', ['KubeletReady', 'kubelet is posting ready status'])]
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch {
    return ''
  }
}

function osName(): string {
  return /^PRETTY_NAME="?([^"\n]*)/m.exec(readText('/etc/os-release'))?.[1] ?? 'Linux'
}
