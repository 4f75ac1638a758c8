/** The CRI seam over our own runtime, images and network, in this process. All facts live in the runtime's records. */
import type { Duplex } from 'node:stream'
import type { Network } from '../../cni/index.ts'
import type { Images } from '../../images/index.ts'
import type { Clock } from '../../runtime/base/clock.ts'
import { hasCode } from '../../runtime/base/errors.ts'
import type { ContainerState, Runtime, RuntimeHandler } from '../../runtime/index.ts'
import { hostDevices } from '../../runtime/linux/host-devices.ts'
import { connectLoopback } from '../../runtime/linux/tcp.ts'
import { stepFailed } from '../errors.ts'
import { containerId } from '../pod-directory.ts'
import { beginLog, beginTerminationLog } from './container-files.ts'
import { handlerNamed } from './handlers.ts'
import { imageFileReader } from './image-files.ts'
import {
  annotationsOf,
  containerAnnotations,
  containerOf,
  isSandbox,
  pidOf,
  podUidOf,
  sandboxAnnotations,
  sandboxOf,
} from './records.ts'
import { SandboxNetwork } from './sandbox-network.ts'
import { containerSpec, ociResources, withoutQuota } from './spec.ts'
import { podUsage } from './stats.ts'
import type {
  Container,
  ContainerConfig,
  PodEvent,
  PodUsage,
  Resources,
  RuntimeService,
  Sandbox,
  SandboxConfig,
  StreamOptions,
  StreamSession,
} from './types.ts'
import { resolveUser } from './user.ts'

export interface InProcessOptions {
  runtime: Runtime
  images: Images
  network: Network
  root: string
  clock: Clock
  /** Other runtimes of this machine, by name. */
  runtimeHandlers: ReadonlyMap<string, RuntimeHandler>
}

export class InProcessRuntime implements RuntimeService {
  readonly #runtime: Runtime
  readonly #images: Images
  readonly #network: SandboxNetwork
  readonly #clock: Clock
  readonly #handlers: ReadonlyMap<string, RuntimeHandler>
  /** Ids by pod UID; filled from the runtime's list by `start`, kept by us afterwards. */
  readonly #ids = new Map<string, Set<string>>()

  constructor(options: InProcessOptions) {
    this.#runtime = options.runtime
    this.#images = options.images
    this.#network = new SandboxNetwork(options.network, options.root)
    this.#clock = options.clock
    this.#handlers = options.runtimeHandlers
  }

  /** Learns what is there from an earlier life, and gives back what belongs to nothing any more. */
  async start(): Promise<void> {
    const states = await this.#runtime.list()
    for (const state of states) this.#note(podUidOf(state), state.id)
    const known = new Set(states.map((state) => state.id))
    for (const id of await this.#images.containers()) if (!known.has(id)) await this.#images.discard(id)
    await this.#network.forgetAllBut(states.filter(isSandbox).map((state) => state.id))
  }

  async runPodSandbox(config: SandboxConfig): Promise<Sandbox> {
    const id = containerId(config.podUid, '', config.attempt)
    // Ours makes every sandbox; what another runtime makes in it joins its namespaces.
    handlerNamed(config.runtimeHandler, this.#handlers)
    // A half-made sandbox of a killed kubelet has this very name.
    await this.#remove(id)
    await this.#runtime.createGroup(config.cgroupPath, ociResources(config.resources))
    this.#note(config.podUid, id)
    try {
      const state = await this.#runtime.createSandbox({
        id,
        hostname: config.hostname,
        cgroupPath: config.cgroupPath,
        sysctls: { ...config.sysctls },
        hostNetwork: config.host.network,
        hostPid: config.host.pid,
        hostIpc: config.host.ipc,
        annotations: sandboxAnnotations(config),
      })
      const ips = config.host.network ? [] : await this.#network.add(config, id, state.pid ?? 0)
      return sandboxOf(state, ips)
    } catch (error) {
      await this.#remove(id).catch(() => undefined)
      throw error
    }
  }

  async stopPodSandbox(id: string): Promise<void> {
    const state = await this.#find(id)
    if (!state) return
    for (const container of await this.#containersIn(state)) await this.stopContainer(container.id, 0)
    // A pod in the node's own network was never added: a DEL would take the node's links down.
    if (!annotationsOf(state).host.hostNetwork) await this.#network.remove(podUidOf(state), id, state.pid)
    if (state.status !== 'stopped') await this.#runtime.kill(id, 'SIGKILL')
    await this.#ended(id, 10_000)
  }

  async removePodSandbox(id: string): Promise<void> {
    const state = await this.#find(id)
    if (!state) return
    for (const container of await this.#containersIn(state)) await this.removeContainer(container.id)
    await this.stopPodSandbox(id)
    await this.#remove(id)
    const others = await this.#statesOf(podUidOf(state))
    if (others.length === 0) await this.#runtime.removeGroup(annotationsOf(state).podCgroup)
  }

  async createContainer(sandboxId: string, config: ContainerConfig): Promise<Container> {
    const sandbox = await this.#runtime.state(sandboxId)
    const facts = annotationsOf(sandbox)
    const id = containerId(facts.podUid, config.name, config.attempt)
    await this.#remove(id)
    const image = await this.#images.inspect(config.image)
    if (!image) throw stepFailed('ErrImageNeverPull', `image "${config.image}" is not present`)
    const handler = handlerNamed(facts.runtimeHandler, this.#handlers)
    this.#note(facts.podUid, id)
    try {
      const { overlay, config: defaults } = await this.#images.prepare(id, config.image)
      const user = await resolveUser(defaults.User ?? '', config.security, imageFileReader(overlay.lower))
      await beginTerminationLog(config.terminationLogPath)
      await beginLog(config.logPath)
      const spec = containerSpec({
        id,
        config,
        image: defaults,
        user,
        sandbox: { pid: sandbox.pid ?? 0, cgroupPath: facts.podCgroup, ...facts.host },
        ...(config.targetContainer
          ? { targetPid: pidOf(await this.#containersIn(sandbox), config.targetContainer) }
          : {}),
        ...(config.security.privileged ? { devices: hostDevices() } : {}),
        annotations: {
          ...sandbox.annotations,
          ...containerAnnotations(config, { sandboxId, imageId: image.id, stopSignal: defaults.StopSignal }),
        },
      })
      const log = { path: config.logPath, maxBytes: 10 * 1024 * 1024, maxFiles: 5 }
      const state = await this.#runtime.create({
        id,
        spec,
        rootfs: { overlay },
        log,
        ...(handler ? { handler } : {}),
        stdin: config.stdin,
        stdinOnce: config.stdinOnce,
      })
      return containerOf(state)
    } catch (error) {
      await this.#remove(id).catch(() => undefined)
      throw error
    }
  }

  async startContainer(id: string): Promise<void> {
    await this.#runtime.start(id)
  }

  async stopContainer(id: string, graceSeconds: number): Promise<void> {
    const state = await this.#find(id)
    if (!state || state.status === 'stopped') return
    if (graceSeconds > 0 && state.status === 'running') {
      await this.#kill(id, annotationsOf(state).stopSignal)
      if (await this.#ended(id, graceSeconds * 1000)) return
    }
    await this.#kill(id, 'SIGKILL')
    if (!(await this.#ended(id, 10_000))) throw new Error(`container ${id} does not end after SIGKILL`)
  }

  async removeContainer(id: string): Promise<void> {
    await this.#remove(id)
  }

  async updateContainerResources(id: string, resources: Resources): Promise<void> {
    await this.#runtime.update(id, ociResources(resources))
  }

  async updatePodSandboxResources(id: string, resources: Resources): Promise<void> {
    const sandbox = await this.#runtime.state(id)
    const { podCgroup } = annotationsOf(sandbox)
    const ended = (await this.#containersIn(sandbox)).filter(({ status }) => status === 'stopped')
    for (const { id: name } of ended) await this.#runtime.updateGroup(`${podCgroup}/${name}`, withoutQuota)
    await this.#runtime.updateGroup(podCgroup, ociResources(resources))
  }

  async podStatus(podUid: string): Promise<{ sandboxes: Sandbox[]; containers: Container[] }> {
    const states = (await this.#statesOf(podUid)).sort((a, b) => Date.parse(a.createdAt) - Date.parse(b.createdAt))
    const sandboxes = states.filter(isSandbox).map((state) => sandboxOf(state, this.#network.ips(podUid, state.id)))
    const containers = await Promise.all(states.filter((state) => !isSandbox(state)).map((state) => containerOf(state)))
    return { sandboxes, containers }
  }

  async podUids(): Promise<string[]> {
    return [...this.#ids.keys()]
  }

  async podStats(podUid: string): Promise<PodUsage | undefined> {
    return podUsage(this.#runtime, await this.#statesOf(podUid))
  }

  exec(id: string, command: readonly string[], options: StreamOptions): Promise<StreamSession> {
    const { terminal, stdin } = options
    return this.#runtime.exec(id, { args: [...command], stdin, ...(terminal ? { terminal } : {}) })
  }

  attach(id: string, options: StreamOptions): Promise<StreamSession> {
    return this.#runtime.attach(id, { stdin: options.stdin })
  }

  async connectPort(podUid: string, port: number): Promise<Duplex> {
    const sandbox = (await this.#statesOf(podUid)).find((state) => isSandbox(state) && state.status === 'running')
    if (!sandbox?.pid) throw new Error('the pod has no sandbox that runs')
    return connectLoopback(`/proc/${sandbox.pid}/ns/net`, port)
  }

  async *events(signal: AbortSignal): AsyncIterable<PodEvent> {
    for await (const event of this.#runtime.events(signal)) {
      const podUid = [...this.#ids].find(([, ids]) => ids.has(event.id))?.[0]
      if (podUid !== undefined) yield { podUid }
    }
  }

  #note(podUid: string, id: string): void {
    this.#ids.set(podUid, (this.#ids.get(podUid) ?? new Set()).add(id))
  }

  async #find(id: string): Promise<ContainerState | undefined> {
    try {
      return await this.#runtime.state(id)
    } catch (error) {
      if (hasCode(error, 'NOT_FOUND')) return undefined
      throw error
    }
  }

  async #statesOf(podUid: string): Promise<ContainerState[]> {
    const found = await Promise.all([...(this.#ids.get(podUid) ?? [])].map((id) => this.#find(id)))
    return found.filter((state) => state !== undefined)
  }

  async #containersIn(sandbox: ContainerState): Promise<ContainerState[]> {
    const states = await this.#statesOf(podUidOf(sandbox))
    return states.filter((state) => !isSandbox(state) && annotationsOf(state).sandboxId === sandbox.id)
  }

  async #kill(id: string, signal: string): Promise<void> {
    try {
      await this.#runtime.kill(id, signal)
    } catch (error) {
      // It ended by itself meanwhile.
      const state = await this.#find(id)
      if (state && state.status !== 'stopped') throw error
    }
  }

  /** True once the container has ended; false when it has not within the time. */
  async #ended(id: string, timeoutMs: number): Promise<boolean> {
    const state = await this.#find(id)
    if (!state || state.status === 'stopped') return true
    const timer = new AbortController()
    const late = this.#clock.sleep(timeoutMs, timer.signal).then(
      () => false,
      () => false,
    )
    const ended = this.#runtime.wait(id).then(
      () => true,
      () => this.#find(id).then((now) => !now || now.status === 'stopped'),
    )
    const first = await Promise.race([ended, late])
    timer.abort()
    return first
  }

  async #remove(id: string): Promise<void> {
    await this.#runtime.delete(id, { force: true })
    await this.#images.discard(id)
    for (const [podUid, ids] of this.#ids) {
      if (ids.delete(id) && ids.size === 0) this.#ids.delete(podUid)
    }
  }
}
