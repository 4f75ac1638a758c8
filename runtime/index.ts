/** Everything that other parts of Coracle may use of the runtime. */
import type { Log } from './base/log.ts'
import { cgroups } from './cgroups/driver.ts'
import type { CgroupStats } from './cgroups/types.ts'
import { type CreateOptions, create } from './container/create.ts'
import { createSandbox, type SandboxOptions } from './container/create-sandbox.ts'
import { deleteContainer } from './container/delete.ts'
import { events } from './container/events.ts'
import { attach, type ExecOptions, exec } from './container/exec.ts'
import { updateForeign } from './container/foreign.ts'
import { isForeign } from './container/is-foreign.ts'
import { kill } from './container/kill.ts'
import { launcherPlayer } from './container/launcher-player.ts'
import { addMount, removeMount } from './container/mounts.ts'
import { pause, resume } from './container/pause.ts'
import type { Workplace } from './container/player.ts'
import { start } from './container/start.ts'
import { type ContainerState, listStates, stateOf } from './container/state.ts'
import { stats, update } from './container/update.ts'
import { LauncherClient } from './launcher/client.ts'
import type { Session } from './launcher/client-session.ts'
import type { RuntimeEvent } from './launcher/protocol.ts'
import { readRecord } from './launcher/records.ts'
import type { LinuxResources, OciMount } from './spec/types.ts'

export { capabilityNames } from './birth/capabilities.ts'
export { defaultSeccompProfile } from './birth/seccomp-profile.ts'
export type { CgroupStats } from './cgroups/types.ts'
export type { CreateOptions } from './container/create.ts'
export type { SandboxOptions } from './container/create-sandbox.ts'
export type { ExecOptions } from './container/exec.ts'
export type { ContainerState, ContainerStatus } from './container/state.ts'
export type { Session } from './launcher/client-session.ts'
export type { ContainerRecord, LogOptions, OomEvent, RuntimeEvent, RuntimeHandler } from './launcher/protocol.ts'
export type * from './spec/types.ts'

export interface RuntimeOptions {
  /** Where containers' state, the launcher's socket and its log are; best on a tmpfs. */
  root: string
  log: Log
  /** The Node that a launcher is started with; the running one by default. */
  nodeBinary?: string
}

/** Containers of one root. Each method throws CoracleErrors with the codes of its verb's file. */
export interface Runtime {
  /** A pod's own process; its namespaces are `/proc/<pid>/ns/*`. Running when this returns. */
  createSandbox(options: SandboxOptions): Promise<ContainerState>
  create(options: Omit<CreateOptions, 'bundle'>): Promise<ContainerState>
  start(id: string): Promise<ContainerState>
  kill(id: string, signal: string | number, options?: { all?: boolean }): Promise<void>
  /** With `force`: kills first, and is content when there is no such container. */
  delete(id: string, options?: { force?: boolean }): Promise<void>
  state(id: string): Promise<ContainerState>
  list(): Promise<ContainerState[]>
  /** Resolves with the final state once the container has ended. */
  wait(id: string): Promise<ContainerState>
  exec(id: string, options: ExecOptions): Promise<Session>
  attach(id: string, options?: { stdin?: boolean }): Promise<Session>
  pause(id: string): Promise<void>
  resume(id: string): Promise<void>
  resize(id: string, columns: number, rows: number): Promise<void>
  update(id: string, resources: LinuxResources): Promise<void>
  stats(id: string): Promise<CgroupStats>
  /** Mounts one more thing in a living container; kept until it is removed or the container ends. */
  addMount(id: string, mount: OciMount): Promise<void>
  /** Takes away what `addMount` has mounted last at a destination. */
  removeMount(id: string, destination: string): Promise<void>
  reopenLog(id: string): Promise<void>
  /** A group for a pod or a class of pods, relative to the root of the hierarchies. Being there already is fine. */
  createGroup(path: string, resources?: LinuxResources): Promise<void>
  updateGroup(path: string, resources: LinuxResources): Promise<void>
  removeGroup(path: string): Promise<void>
  /** Kills whatever runs in the group, removes it, and then those above it that are empty. */
  clearGroup(path: string): Promise<void>
  groupStats(path: string): Promise<CgroupStats>
  /** Starts and ends, from now on. None is lost when the launcher is replaced; an end may be told twice. */
  events(signal: AbortSignal): AsyncIterable<RuntimeEvent>
  /** Disconnects; the launcher and the containers live on. */
  close(): Promise<void>
  /** Ends the launcher. Throws LAUNCHER_BUSY while a container is left. */
  shutdownLauncher(): Promise<void>
}

/** Connects to the launcher of `options.root`, starting one if none answers. Throws LAUNCHER_LOST. */
export async function openRuntime(options: RuntimeOptions): Promise<Runtime> {
  const { root, log } = options
  const client = new LauncherClient(options)
  await client.call({ op: 'hello' })
  const place: Workplace = { root, player: launcherPlayer(client), warn: (message) => log.warn(message) }
  const warn = (warnings: readonly string[]) => {
    for (const warning of warnings) log.warn(warning)
  }
  const simple = async (request: Parameters<LauncherClient['call']>[0]) => void (await client.call(request))
  return {
    createSandbox: (sandbox) => createSandbox(place, sandbox),
    create: (container) => create(place, container),
    start: (id) => start(place, id),
    kill: (id, signal, more = {}) => kill(place, id, { signal, ...more }),
    delete: (id, more) => deleteContainer(place, id, more),
    state: async (id) => stateOf(root, id),
    list: async () => listStates(root),
    async wait(id) {
      await place.player.wait(id)
      return stateOf(root, id)
    },
    exec: (id, process) => exec(options, id, process),
    attach: (id, more) => attach(options, id, more),
    pause: (id) => pause(root, id),
    resume: (id) => resume(root, id),
    resize: (id, columns, rows) => simple({ op: 'resize', id, columns, rows }),
    update: async (id, resources) => {
      const record = readRecord(root, id)
      if (isForeign(record)) await updateForeign(root, record, resources)
      else warn(update(root, id, resources))
    },
    stats: async (id) => stats(root, id),
    addMount: (id, mount) => addMount(root, id, mount),
    removeMount: (id, destination) => removeMount(root, id, destination),
    reopenLog: (id) => simple({ op: 'reopen-log', id }),
    createGroup: async (path, resources = {}) => warn(cgroups().create(path, resources)),
    updateGroup: async (path, resources) => warn(cgroups().update(path, resources)),
    removeGroup: (path) => cgroups().remove(path),
    clearGroup,
    groupStats: async (path) => cgroups().stats(path),
    events: (signal) => events(client, signal),
    close: () => client.close(),
    shutdownLauncher: () => simple({ op: 'shutdown' }),
  }
}

async function clearGroup(path: string): Promise<void> {
  if (cgroups().exists(path)) await cgroups().killAll(path)
  await cgroups().remove(path)
  const parts = path.split('/')
  for (let length = parts.length - 1; length > 0; length--) cgroups().removeIfEmpty(parts.slice(0, length).join('/'))
}
