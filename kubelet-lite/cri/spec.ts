/** Container and image settings → OCI `config.json` (runtime-spec config.md): pure. */
import {
  capabilityNames,
  defaultSeccompProfile,
  type LinuxResources,
  type OciDevice,
  type OciLinux,
  type OciMount,
  type OciSpec,
} from '../../runtime/index.ts'
import { stepFailed } from '../errors.ts'
import type { ContainerConfig, Resources, SecurityContext } from './types.ts'
import type { ResolvedUser } from './user.ts'

/** What of an OCI image's config shapes the process. */
export interface ImageDefaults {
  Env?: readonly string[]
  Entrypoint?: readonly string[]
  Cmd?: readonly string[]
  WorkingDir?: string
}

export interface SpecInput {
  config: ContainerConfig
  image: ImageDefaults
  user: ResolvedUser
  /** The sandbox's process, whose namespaces the container joins. */
  sandbox: { pid: number; cgroupPath: string; hostPid: boolean; hostNetwork: boolean; hostIpc: boolean }
  /** The first process of the container whose processes it shall see. */
  targetPid?: number
  id: string
  annotations: Readonly<Record<string, string>>
  /** The node's own, which a privileged container gets. */
  devices?: readonly OciDevice[]
}

/** What containerd, CRI-O and Docker leave to a container's root. */
const defaultCapabilities: readonly string[] = [
  'CAP_AUDIT_WRITE',
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_FOWNER',
  'CAP_FSETID',
  'CAP_KILL',
  'CAP_MKNOD',
  'CAP_NET_BIND_SERVICE',
  'CAP_NET_RAW',
  'CAP_SETFCAP',
  'CAP_SETGID',
  'CAP_SETPCAP',
  'CAP_SETUID',
  'CAP_SYS_CHROOT',
]

const defaultPath = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/** The whole spec. Throws `CreateContainerError` when neither pod nor image name a command. */
export function containerSpec(input: SpecInput): OciSpec {
  const { config, image, user, sandbox } = input
  const { security } = config
  const capabilities = capabilitySet(security)
  const drop = user.uid === 0 ? capabilities : []
  return {
    ociVersion: '1.3.0',
    process: {
      terminal: config.tty,
      user: { uid: user.uid, gid: user.gid, additionalGids: [...user.additionalGids] },
      args: commandLine(config, image),
      env: environmentOf(config, image, user),
      cwd: config.workingDir ?? (image.WorkingDir || '/'),
      capabilities: { bounding: capabilities, effective: drop, permitted: drop, inheritable: [], ambient: [] },
      noNewPrivileges: !security.allowPrivilegeEscalation && !security.privileged,
      ...(config.resources.oomScoreAdj === undefined ? {} : { oomScoreAdj: config.resources.oomScoreAdj }),
    },
    root: { path: 'rootfs', readonly: security.readOnlyRootFilesystem },
    mounts: [...systemMounts(security), ...ownMounts(config)],
    annotations: { ...input.annotations },
    linux: {
      namespaces: namespaces(sandbox, input.targetPid ?? (config.sharedPidNamespace ? sandbox.pid : undefined)),
      cgroupsPath: `${sandbox.cgroupPath}/${input.id}`,
      ...(security.privileged ? { devices: [...(input.devices ?? [])] } : {}),
      resources: { devices: [{ allow: security.privileged, access: 'rwm' }], ...ociResources(config.resources) },
      ...(security.seccomp === 'RuntimeDefault' ? { seccomp: defaultSeccompProfile(capabilities) } : {}),
      ...(security.maskProc ? { maskedPaths: [...maskedPaths], readonlyPaths: [...readonlyPaths] } : {}),
    },
  }
}

/** Kubernetes: `command` replaces ENTRYPOINT and then CMD counts no more; `args` replaces CMD. */
function commandLine(config: ContainerConfig, image: ImageDefaults): string[] {
  const entrypoint = config.command.length > 0 ? config.command : (image.Entrypoint ?? [])
  const fallback = config.command.length > 0 ? [] : (image.Cmd ?? [])
  const words = [...entrypoint, ...(config.args.length > 0 ? config.args : fallback)]
  if (words.length === 0)
    throw stepFailed('CreateContainerError', `no command specified for container "${config.name}"`)
  return words
}

function environmentOf(config: ContainerConfig, image: ImageDefaults, user: ResolvedUser): string[] {
  const all = new Map<string, string>()
  const add = (entry: string) => all.set(entry.split('=')[0] ?? '', entry)
  add(defaultPath)
  if (config.tty) add('TERM=xterm')
  add(`HOME=${user.home}`)
  for (const entry of image.Env ?? []) add(entry)
  for (const { name, value } of config.env) add(`${name}=${value}`)
  return [...all.values()]
}

function capabilitySet(security: SecurityContext): string[] {
  const name = (short: string) => (short.startsWith('CAP_') ? short : `CAP_${short}`)
  const drop = new Set(security.dropCapabilities.map(name))
  const base = security.privileged || security.addCapabilities.includes('ALL') ? capabilityNames : defaultCapabilities
  const kept = drop.has('CAP_ALL') ? [] : base.filter((each) => !drop.has(each))
  return [...new Set([...kept, ...security.addCapabilities.filter((each) => each !== 'ALL').map(name)])]
}

/** Mounts that every Linux container has (runtime-spec config-linux.md, Default Filesystems). */
function systemMounts(security: SecurityContext): OciMount[] {
  const access = security.privileged ? 'rw' : 'ro'
  const quiet = ['nosuid', 'noexec', 'nodev']
  return [
    { destination: '/proc', type: 'proc', source: 'proc', options: quiet },
    {
      destination: '/dev',
      type: 'tmpfs',
      source: 'tmpfs',
      options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'],
    },
    {
      destination: '/dev/pts',
      type: 'devpts',
      source: 'devpts',
      options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5'],
    },
    { destination: '/dev/mqueue', type: 'mqueue', source: 'mqueue', options: quiet },
    { destination: '/sys', type: 'sysfs', source: 'sysfs', options: [...quiet, access] },
    { destination: '/sys/fs/cgroup', type: 'cgroup', source: 'cgroup', options: [...quiet, 'relatime', access] },
  ]
}

function ownMounts(config: ContainerConfig): OciMount[] {
  // Parents first: a volume on /data must not hide another on /data/cache.
  return [...config.mounts]
    .sort((a, b) => a.containerPath.split('/').length - b.containerPath.split('/').length)
    .map((mount) => ({
      destination: mount.containerPath,
      type: 'bind',
      source: mount.hostPath,
      options: [
        'rbind',
        mount.propagation === 'private' ? 'rprivate' : mount.propagation,
        mount.readOnly ? (mount.recursiveReadOnly ? 'rro' : 'ro') : 'rw',
      ],
    }))
}

/** `seesProcessesOf`: whose process namespace it joins; absent: it gets one of its own. */
function namespaces(sandbox: SpecInput['sandbox'], seesProcessesOf?: number): NonNullable<OciLinux['namespaces']> {
  const of = (file: string) => `/proc/${sandbox.pid}/ns/${file}`
  return [
    { type: 'mount' },
    { type: 'cgroup' },
    // The sandbox's process is in the node's own namespace of each kind that the pod shares with the node.
    { type: 'uts', path: of('uts') },
    { type: 'ipc', path: of('ipc') },
    { type: 'network', path: of('net') },
    ...(sandbox.hostPid ? [] : [pidNamespace(seesProcessesOf)]),
  ]
}

function pidNamespace(of: number | undefined) {
  return { type: 'pid' as const, ...(of === undefined ? {} : { path: `/proc/${of}/ns/pid` }) }
}

/** CRI resources in the words of the runtime-spec. */
export function ociResources(resources: Resources): LinuxResources {
  const { cpuShares, cpuQuotaMicros, cpuPeriodMicros, memoryLimitBytes, pidsLimit } = resources
  return {
    cpu: {
      ...(cpuShares === undefined ? {} : { shares: cpuShares }),
      ...(cpuQuotaMicros === undefined ? {} : { quota: cpuQuotaMicros }),
      ...(cpuPeriodMicros === undefined ? {} : { period: cpuPeriodMicros }),
    },
    ...(memoryLimitBytes === undefined ? {} : { memory: { limit: memoryLimitBytes } }),
    ...(pidsLimit === undefined ? {} : { pids: { limit: pidsLimit } }),
  }
}

/**
 * For the group of a container that has ended and is still there: on v1 no group may have more of the CPU than the one above
 * it (kernel/sched/core.c, tg_cfs_schedulable), and the pod's shall shrink.
 */
export const withoutQuota: LinuxResources = { cpu: { quota: -1 } }

/** Files of /proc and /sys that tell about, or steer, the whole machine (as containerd and Docker mask them). */
const maskedPaths = [
  '/proc/asound',
  '/proc/acpi',
  '/proc/interrupts',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/proc/sched_debug',
  '/proc/scsi',
  '/sys/firmware',
  '/sys/devices/virtual/powercap',
]
const readonlyPaths = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger']
