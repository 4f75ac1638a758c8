/**
 * What the kubelet needs from whatever runs its containers, in the words of CRI v1 (k8s.io/cri-api, runtime/v1/api.proto):
 * sandboxes, containers, images, streams. `in-process.ts` answers it with our own runtime and images.
 */
import type { Duplex, Readable, Writable } from 'node:stream'

/** CRI PodSandboxConfig. */
export interface SandboxConfig {
  podUid: string
  namespace: string
  name: string
  /** 0 for the pod's first sandbox, then counted up. */
  attempt: number
  hostname: string
  /** Below the hierarchy's root, e.g. `coracle/node-1/burstable/pod<uid>`. */
  cgroupPath: string
  resources: Resources
  sysctls: Readonly<Record<string, string>>
  host: { network: boolean; pid: boolean; ipc: boolean }
  portMappings: readonly PortMapping[]
  /** CRI's runtime_handler: which runtime makes the containers; empty for the node's own. */
  runtimeHandler: string
}

export interface PortMapping {
  hostPort: number
  containerPort: number
  protocol: 'tcp' | 'udp' | 'sctp'
  hostIP?: string
}

/** CRI PodSandbox with the parts of PodSandboxStatus that the kubelet reads. */
export interface Sandbox {
  id: string
  podUid: string
  namespace: string
  name: string
  attempt: number
  ready: boolean
  /** Milliseconds since the epoch. */
  createdAt: number
  ips: readonly string[]
}

/** CRI LinuxContainerResources. Bytes, and microseconds of CPU time. */
export interface Resources {
  cpuShares?: number
  cpuQuotaMicros?: number
  cpuPeriodMicros?: number
  memoryLimitBytes?: number
  pidsLimit?: number
  oomScoreAdj?: number
}

export interface Mount {
  hostPath: string
  containerPath: string
  readOnly: boolean
  /** Read-only with all that is mounted below it. */
  recursiveReadOnly?: boolean
  propagation: 'private' | 'rslave' | 'rshared'
}

/** CRI LinuxContainerSecurityContext, after pod and container settings were merged. */
export interface SecurityContext {
  runAsUser?: number
  runAsGroup?: number
  runAsNonRoot: boolean
  supplementalGroups: readonly number[]
  privileged: boolean
  readOnlyRootFilesystem: boolean
  allowPrivilegeEscalation: boolean
  addCapabilities: readonly string[]
  dropCapabilities: readonly string[]
  seccomp: 'RuntimeDefault' | 'Unconfined'
  maskProc: boolean
}

/** CRI ContainerConfig. */
export interface ContainerConfig {
  name: string
  attempt: number
  /** Changes when the container's spec does: a container with another hash is replaced. */
  hash: string
  image: string
  command: readonly string[]
  args: readonly string[]
  workingDir?: string
  env: readonly { name: string; value: string }[]
  mounts: readonly Mount[]
  tty: boolean
  stdin: boolean
  stdinOnce: boolean
  logPath: string
  terminationLogPath: string
  /** Take the end of the log for the last words of a container that failed without any. */
  fallbackToLogs: boolean
  resources: Resources
  security: SecurityContext
  sharedPidNamespace: boolean
  /** The container of the same pod whose processes it sees: CRI's NamespaceMode TARGET. */
  targetContainer?: string
}

/** CRI ContainerStatus. Times are milliseconds since the epoch. */
export interface Container {
  id: string
  sandboxId: string
  podUid: string
  name: string
  attempt: number
  hash: string
  image: string
  imageId: string
  state: 'created' | 'running' | 'exited' | 'unknown'
  pid?: number
  createdAt: number
  startedAt?: number
  finishedAt?: number
  exitCode?: number
  signal?: number
  /** `Completed`, `Error`, `OOMKilled`, or what the runtime says. */
  reason?: string
  /** From the termination log. */
  message?: string
  logPath: string
}

export interface Image {
  id: string
  references: readonly string[]
  digest: string
  sizeBytes: number
}

export interface StreamOptions {
  terminal?: { columns: number; rows: number }
  stdin: boolean
}

/** A process whose standard streams are connected to somebody. `exit` settles after all output was delivered. */
export interface StreamSession {
  stdin?: Writable
  stdout: Readable
  stderr?: Readable
  resize(columns: number, rows: number): void
  exit: Promise<{ exitCode: number }>
  close(): void
}

/** CRI ContainerStats: CPU time since the start in nanoseconds, memory now in bytes. */
export interface Usage {
  cpuNanoseconds: number
  memoryBytes: number
  /** Without file cache that is not in active use. */
  memoryWorkingSetBytes: number
  memoryRssBytes: number
  processes: number
}

/** CRI PodSandboxStats. Times are milliseconds since the epoch. */
export interface PodUsage {
  startedAt: number
  usage: Usage
  containers: { name: string; startedAt: number; usage: Usage }[]
}

/** Something happened to a container or sandbox of this pod: look again. */
export interface PodEvent {
  podUid: string
}

export interface RuntimeService {
  runPodSandbox(config: SandboxConfig): Promise<Sandbox>
  /** Kills what is left in the sandbox and takes its network away. Idempotent. */
  stopPodSandbox(id: string): Promise<void>
  /** Also removes its containers and, with the pod's last sandbox, the pod's cgroup. Idempotent. */
  removePodSandbox(id: string): Promise<void>
  createContainer(sandboxId: string, config: ContainerConfig): Promise<Container>
  startContainer(id: string): Promise<void>
  /** The image's or default stop signal, then SIGKILL after `graceSeconds`. Idempotent. */
  stopContainer(id: string, graceSeconds: number): Promise<void>
  /** Kills it if it runs. Idempotent. */
  removeContainer(id: string): Promise<void>
  /** Changes the limits of a container that runs; what is not named stays. */
  updateContainerResources(id: string, resources: Resources): Promise<void>
  /** The same for the pod as a whole. */
  updatePodSandboxResources(id: string, resources: Resources): Promise<void>
  /** Everything of one pod, oldest first. */
  podStatus(podUid: string): Promise<{ sandboxes: Sandbox[]; containers: Container[] }>
  /** UIDs of all pods of which anything exists here. */
  podUids(): Promise<string[]>
  /** Undefined when the pod has no sandbox that runs. */
  podStats(podUid: string): Promise<PodUsage | undefined>
  exec(containerId: string, command: readonly string[], options: StreamOptions): Promise<StreamSession>
  attach(containerId: string, options: StreamOptions): Promise<StreamSession>
  /** A TCP connection to a port of the pod, as from inside it: also to what listens on its loopback address only. */
  connectPort(podUid: string, port: number): Promise<Duplex>
  /** Ends without error when `signal` aborts. */
  events(signal: AbortSignal): AsyncIterable<PodEvent>
}

export interface PullOptions {
  /** As CRI's AuthConfig: a user, or one of the tokens. */
  auth?: { username: string; password: string; identityToken?: string; registryToken?: string }
  signal?: AbortSignal
}

export interface ImageService {
  imageStatus(reference: string): Promise<Image | undefined>
  /** Throws when `signal` aborts; what was loaded until then is kept for the next try. */
  pullImage(reference: string, options: PullOptions): Promise<Image>
  listImages(): Promise<Image[]>
}
