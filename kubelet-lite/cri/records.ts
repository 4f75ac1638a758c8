/** What the kubelet writes beside a container in the runtime's own record, and how it reads containers back from there. */
import { readFile } from 'node:fs/promises'
import type { ContainerState } from '../../runtime/index.ts'
import { stepFailed } from '../errors.ts'
import { lastWords } from '../pod-logs.ts'
import type { Container, ContainerConfig, Sandbox, SandboxConfig } from './types.ts'

/** Annotation keys, in containerd's and dockershim's spirit. */
const keys = {
  podUid: 'io.kubernetes.pod.uid',
  podNamespace: 'io.kubernetes.pod.namespace',
  podName: 'io.kubernetes.pod.name',
  podCgroup: 'dev.coracle.pod.cgroup',
  podHost: 'dev.coracle.pod.host-namespaces',
  runtimeHandler: 'io.containerd.cri.runtime-handler',
  attempt: 'io.kubernetes.container.restartCount',
  container: 'io.kubernetes.container.name',
  hash: 'io.kubernetes.container.hash',
  terminationLog: 'io.kubernetes.container.terminationMessagePath',
  fallbackToLogs: 'io.kubernetes.container.terminationMessagePolicy',
  sandboxId: 'io.kubernetes.cri.sandbox-id',
  image: 'io.kubernetes.cri.image-name',
  imageId: 'dev.coracle.image.id',
  stopSignal: 'org.opencontainers.image.stopSignal',
} as const

export function sandboxAnnotations(config: SandboxConfig): Record<string, string> {
  return {
    [keys.podUid]: config.podUid,
    [keys.podNamespace]: config.namespace,
    [keys.podName]: config.name,
    [keys.podCgroup]: config.cgroupPath,
    [keys.podHost]: JSON.stringify(config.host),
    ...(config.runtimeHandler === '' ? {} : { [keys.runtimeHandler]: config.runtimeHandler }),
    [keys.attempt]: String(config.attempt),
  }
}

export function containerAnnotations(
  config: ContainerConfig,
  from: { sandboxId: string; imageId: string; stopSignal: string | undefined },
): Record<string, string> {
  return {
    [keys.attempt]: String(config.attempt),
    [keys.container]: config.name,
    [keys.hash]: config.hash,
    [keys.terminationLog]: config.terminationLogPath,
    [keys.fallbackToLogs]: config.fallbackToLogs ? 'FallbackToLogsOnError' : 'File',
    [keys.sandboxId]: from.sandboxId,
    [keys.image]: config.image,
    [keys.imageId]: from.imageId,
    [keys.stopSignal]: from.stopSignal ?? 'SIGTERM',
  }
}

const read = (state: ContainerState, key: keyof typeof keys) => state.annotations[keys[key]] ?? ''

export const podUidOf = (state: ContainerState) => read(state, 'podUid')
export const isSandbox = (state: ContainerState) => state.kind === 'sandbox'

export interface RecordFacts {
  podUid: string
  podCgroup: string
  sandboxId: string
  stopSignal: string
  runtimeHandler: string
  host: { hostNetwork: boolean; hostPid: boolean; hostIpc: boolean }
}

export function annotationsOf(state: ContainerState): RecordFacts {
  const host = JSON.parse(read(state, 'podHost') || '{}') as Partial<SandboxConfig['host']>
  return {
    podUid: read(state, 'podUid'),
    podCgroup: read(state, 'podCgroup'),
    sandboxId: read(state, 'sandboxId'),
    stopSignal: read(state, 'stopSignal') || 'SIGTERM',
    runtimeHandler: read(state, 'runtimeHandler'),
    host: { hostNetwork: host.network ?? false, hostPid: host.pid ?? false, hostIpc: host.ipc ?? false },
  }
}

export function sandboxOf(state: ContainerState, ips: readonly string[]): Sandbox {
  const host = annotationsOf(state).host
  return {
    id: state.id,
    podUid: read(state, 'podUid'),
    namespace: read(state, 'podNamespace'),
    name: read(state, 'podName'),
    attempt: Number(read(state, 'attempt')),
    // Without its network a sandbox is as good as none: it was born, but its maker died before it was finished.
    ready: state.status === 'running' && (host.hostNetwork || ips.length > 0),
    createdAt: Date.parse(state.createdAt),
    ips,
  }
}

export async function containerOf(state: ContainerState): Promise<Container> {
  const { startedAt, finishedAt, exitCode, signal } = state
  const message = stateOf(state) === 'exited' ? await terminationMessage(state) : ''
  return {
    id: state.id,
    sandboxId: read(state, 'sandboxId'),
    podUid: read(state, 'podUid'),
    name: read(state, 'container'),
    attempt: Number(read(state, 'attempt')),
    hash: read(state, 'hash'),
    image: read(state, 'image'),
    imageId: read(state, 'imageId'),
    state: stateOf(state),
    ...(state.pid === undefined ? {} : { pid: state.pid }),
    createdAt: Date.parse(state.createdAt),
    ...(startedAt === undefined ? {} : { startedAt: Date.parse(startedAt) }),
    ...(finishedAt === undefined ? {} : { finishedAt: Date.parse(finishedAt) }),
    ...(exitCode === undefined ? {} : { exitCode }),
    ...(signal === undefined ? {} : { signal }),
    ...(stateOf(state) === 'exited' ? { reason: reasonOf(state) } : {}),
    ...(message === '' ? {} : { message }),
    logPath: state.logPath ?? '',
  }
}

/** The first process of the one of these containers that has this name. */
export function pidOf(states: readonly ContainerState[], name: string): number {
  const target = states.findLast((each) => read(each, 'container') === name && stateOf(each) === 'running')
  // Upstream's words (kuberuntime, getTargetID).
  if (target?.pid === undefined)
    throw stepFailed('CreateContainerConfigError', `unable to find target container ${name}`)
  return target.pid
}

function stateOf(state: ContainerState): Container['state'] {
  switch (state.status) {
    case 'running':
    case 'paused':
      return 'running'
    case 'created':
    case 'creating':
      return 'created'
    case 'stopped':
      // One that never started was being made when its maker died.
      if (state.startedAt === undefined) return 'unknown'
      // Its process is gone, but how it ended is still to be written down: without that nobody can say what follows.
      return state.exitCode === undefined ? 'running' : 'exited'
  }
}

function reasonOf(state: ContainerState): string {
  if (state.oomKilled) return 'OOMKilled'
  return state.exitCode === 0 ? 'Completed' : 'Error'
}

const maxMessageBytes = 4096

/** The last words that a container left in its termination log, or else in its log (API reference: terminationMessagePolicy). */
async function terminationMessage(state: ContainerState): Promise<string> {
  const bytes = await readFile(read(state, 'terminationLog')).catch(() => Buffer.alloc(0))
  if (bytes.length > 0) return bytes.subarray(0, maxMessageBytes).toString()
  const wanted = state.exitCode !== 0 && read(state, 'fallbackToLogs') === 'FallbackToLogsOnError'
  return wanted && state.logPath !== undefined ? lastWords(state.logPath) : ''
}
