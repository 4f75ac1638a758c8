/** config.json of the OCI runtime-spec 1.3.0, with its own names; only what concerns Linux. */
export interface OciSpec {
  ociVersion: string
  process?: OciProcess
  root?: { path: string; readonly?: boolean }
  hostname?: string
  domainname?: string
  mounts?: OciMount[]
  hooks?: Partial<Record<HookName, OciHook[]>>
  annotations?: Record<string, string>
  linux?: OciLinux
}

export type HookName = 'prestart' | 'createRuntime' | 'createContainer' | 'startContainer' | 'poststart' | 'poststop'

export interface OciHook {
  path: string
  args?: string[]
  env?: string[]
  timeout?: number
}

export interface OciProcess {
  terminal?: boolean
  consoleSize?: { width: number; height: number }
  cwd: string
  env?: string[]
  args?: string[]
  user?: OciUser
  capabilities?: OciCapabilities
  noNewPrivileges?: boolean
  oomScoreAdj?: number
  rlimits?: { type: string; soft: number; hard: number }[]
  apparmorProfile?: string
  selinuxLabel?: string
  ioPriority?: { class: string; priority?: number }
  scheduler?: OciScheduler
  /** Lists of processors such as `0-3,7`; of a process that is added to a running container. */
  execCPUAffinity?: { initial?: string; final?: string }
}

/** set_mempolicy(2); `nodes` is a list such as `0-1,3`. */
export interface OciMemoryPolicy {
  mode?: string
  nodes?: string
  flags?: string[]
}

/** sched_setattr(2); times in nanoseconds. */
export interface OciScheduler {
  policy: string
  nice?: number
  priority?: number
  flags?: string[]
  runtime?: number
  deadline?: number
  period?: number
}

export interface OciUser {
  uid: number
  gid: number
  umask?: number
  additionalGids?: number[]
}

export interface OciCapabilities {
  bounding?: string[]
  effective?: string[]
  inheritable?: string[]
  permitted?: string[]
  ambient?: string[]
}

export interface OciMount {
  destination: string
  type?: string
  source?: string
  options?: string[]
  uidMappings?: OciIdMapping[]
  gidMappings?: OciIdMapping[]
}

export interface OciIdMapping {
  containerID: number
  hostID: number
  size: number
}

export type NamespaceType = 'pid' | 'network' | 'mount' | 'ipc' | 'uts' | 'user' | 'cgroup' | 'time'

export interface OciLinux {
  namespaces?: { type: NamespaceType; path?: string }[]
  uidMappings?: OciIdMapping[]
  gidMappings?: OciIdMapping[]
  devices?: OciDevice[]
  cgroupsPath?: string
  resources?: LinuxResources
  rootfsPropagation?: string
  seccomp?: OciSeccomp
  sysctl?: Record<string, string>
  maskedPaths?: string[]
  readonlyPaths?: string[]
  mountLabel?: string
  intelRdt?: Record<string, unknown>
  memoryPolicy?: OciMemoryPolicy
  netDevices?: Record<string, unknown>
  personality?: { domain: string; flags?: string[] }
  timeOffsets?: Record<string, { secs?: number; nanosecs?: number }>
}

export interface OciDevice {
  type: string
  path: string
  major?: number
  minor?: number
  fileMode?: number
  uid?: number
  gid?: number
}

export interface LinuxResources {
  /** Bytes; -1 is no limit. */
  memory?: {
    limit?: number
    reservation?: number
    swap?: number
    swappiness?: number
    disableOOMKiller?: boolean
    kernel?: number
    kernelTCP?: number
    useHierarchy?: boolean
    checkBeforeUpdate?: boolean
  }
  /** quota, period, burst in microseconds. */
  cpu?: {
    shares?: number
    quota?: number
    period?: number
    burst?: number
    idle?: number
    cpus?: string
    mems?: string
    realtimeRuntime?: number
    realtimePeriod?: number
  }
  pids?: { limit: number }
  devices?: OciDeviceRule[]
  blockIO?: OciBlockIo
  hugepageLimits?: { pageSize: string; limit: number }[]
  network?: { classID?: number; priorities?: { name: string; priority: number }[] }
  rdma?: Record<string, { hcaHandles?: number; hcaObjects?: number }>
  unified?: Record<string, string>
}

/** Weights are 10 … 1000; rates are bytes or operations a second. */
export interface OciBlockIo {
  weight?: number
  leafWeight?: number
  weightDevice?: { major: number; minor: number; weight?: number; leafWeight?: number }[]
  throttleReadBpsDevice?: OciThrottle[]
  throttleWriteBpsDevice?: OciThrottle[]
  throttleReadIOPSDevice?: OciThrottle[]
  throttleWriteIOPSDevice?: OciThrottle[]
}

export interface OciThrottle {
  major: number
  minor: number
  rate: number
}

export interface OciDeviceRule {
  allow: boolean
  type?: string
  major?: number
  minor?: number
  access?: string
}

export type SeccompAction =
  | 'SCMP_ACT_KILL'
  | 'SCMP_ACT_KILL_PROCESS'
  | 'SCMP_ACT_KILL_THREAD'
  | 'SCMP_ACT_TRAP'
  | 'SCMP_ACT_ERRNO'
  | 'SCMP_ACT_TRACE'
  | 'SCMP_ACT_ALLOW'
  | 'SCMP_ACT_LOG'
  | 'SCMP_ACT_NOTIFY'

export type SeccompOperator =
  | 'SCMP_CMP_NE'
  | 'SCMP_CMP_LT'
  | 'SCMP_CMP_LE'
  | 'SCMP_CMP_EQ'
  | 'SCMP_CMP_GE'
  | 'SCMP_CMP_GT'
  | 'SCMP_CMP_MASKED_EQ'

export interface OciSeccomp {
  defaultAction: SeccompAction
  defaultErrnoRet?: number
  architectures?: string[]
  flags?: string[]
  listenerPath?: string
  listenerMetadata?: string
  syscalls?: OciSeccompRule[]
}

export interface OciSeccompRule {
  names: string[]
  action: SeccompAction
  errnoRet?: number
  /** Values are 64 bits; what is beyond 2^53 comes as a bigint, or has lost bits and is refused. */
  args?: { index: number; value: number | bigint; valueTwo?: number | bigint; op: SeccompOperator }[]
}
