import { capabilityNames } from '../birth/capabilities.ts'
import { type CgroupLayout, findLayout } from '../cgroups/layout.ts'
import { hostFacts, inUserNamespace, isInChroot } from '../linux/host.ts'
import {
  hasLibrary,
  hasSyscall,
  isAtLeast,
  kernelText,
  kernelVersion,
  pidfdTellsExit,
  securityModules,
} from '../linux/kernel-features.ts'
import type { SyscallName } from '../linux/syscall-numbers.ts'

/** One thing that was looked at. `fatal`: no container can run here without it. */
export interface Finding {
  what: string
  state: 'fine' | 'lacking' | 'fatal'
  found: string
  /** What the lack costs. */
  costs?: string
}

/** Looks at this host, from the kernel to the libraries; changes nothing. */
export function examineHost(): Finding[] {
  return [...kernel(), ...privileges(), ...cgroupLayout(), ...limits(), ...confinement(), ...libraries()]
}

function finding(what: string, isFine: boolean, o: { found: string; costs: string; isFatal?: boolean }): Finding {
  if (isFine) return { what, state: 'fine', found: o.found }
  return { what, state: o.isFatal ? 'fatal' : 'lacking', found: o.found, costs: o.costs }
}

function kernel(): Finding[] {
  const version = kernelVersion().join('.')
  const call = (name: SyscallName, costs: string, isFatal = true) => {
    const isThere = hasSyscall(name)
    return finding(name, isThere, { found: isThere ? 'there' : 'missing', costs, isFatal })
  }
  const since = (what: string, [major, minor]: [number, number], costs: string) =>
    finding(what, isAtLeast(major, minor), { found: `kernel ${version}, needs ${major}.${minor}`, costs })
  const actions = kernelText('/proc/sys/kernel/seccomp/actions_avail') ?? ''
  const tellsExit = pidfdTellsExit()
  return [
    finding('kernel', isAtLeast(5, 15), {
      found: version,
      costs: 'older than 5.15, the oldest that is supported',
      isFatal: true,
    }),
    call('openat2', 'paths of images cannot be resolved safely'),
    call('clone3', 'no process can be born into its namespaces'),
    call('pidfd_open', 'no process can be told from another with the same pid'),
    call('pidfd_getfd', 'terminals cannot be fetched'),
    call('close_range', 'descriptors would leak into containers'),
    call('fsopen', 'filesystems cannot be mounted by descriptor'),
    call('move_mount', 'mounts cannot be put in place by descriptor'),
    call('mount_setattr', 'no read-only or id-mapped mounts'),
    since(
      'overlayfs lowerdir+',
      [6, 5],
      'images with very many layers, whose paths are longer than a page, cannot be mounted',
    ),
    since('id-mapped overlay layers', [6, 13], 'a container with a user namespace needs layers of its own ids'),
    finding('PIDFD_GET_INFO with exit', tellsExit, {
      found: tellsExit ? 'there' : 'missing',
      costs: 'an exit code while no launcher runs may be told as 255',
    }),
    finding('seccomp filters', actions.includes('errno'), {
      found: actions || 'none',
      costs: 'seccomp profiles are refused',
    }),
    finding('seccomp notification', actions.includes('user_notif'), {
      found: actions || 'none',
      costs: 'SCMP_ACT_NOTIFY is refused',
    }),
  ]
}

function privileges(): Finding[] {
  const { permitted, lastCapability } = hostFacts()
  const missing = capabilityNames.filter((_, at) => at <= lastCapability && ((permitted >> BigInt(at)) & 1n) === 0n)
  const costsOf: Readonly<Record<string, string>> = {
    CAP_SYS_RESOURCE: 'hard limits cannot be raised nor oom scores lowered; the nearest value is taken, with a warning',
    CAP_SYS_ADMIN: 'no namespaces and no mounts: no containers',
    CAP_MKNOD: 'no device nodes',
    CAP_SETPCAP: 'capabilities cannot be dropped',
    CAP_SYS_PTRACE: 'no exec into containers',
  }
  const isFatal = missing.some((name) => ['CAP_SYS_ADMIN', 'CAP_SETPCAP', 'CAP_MKNOD'].includes(name))
  const costs = missing.map((name) => `${name}: ${costsOf[name] ?? 'containers do not get it'}`).join('; ')
  return [
    finding('capabilities', missing.length === 0, {
      found: missing.length === 0 ? 'all' : `without ${missing.join(', ')}`,
      costs,
      isFatal,
    }),
    finding('user namespace', !inUserNamespace(), {
      found: inUserNamespace() ? 'inside one' : 'the host’s own',
      costs: 'root here is not the host’s root: device nodes and many mounts are refused by the kernel',
    }),
    finding('root', !isInChroot(), {
      found: isInChroot() ? 'a chroot' : 'the root of this mount namespace',
      costs: 'containers could leave their root',
      isFatal: true,
    }),
  ]
}

function cgroupLayout(): Finding[] {
  let layout: CgroupLayout
  try {
    layout = findLayout()
  } catch {
    return [
      finding('cgroups', false, { found: 'no hierarchy is mounted', costs: 'no limits, no container', isFatal: true }),
    ]
  }
  const controllers =
    layout.version === 2
      ? (kernelText(`${layout.mount}/cgroup.controllers`) ?? '').split(' ')
      : [...layout.mounts.keys(), ...unifiedControllers(layout.mounts.get('unified'))]
  const kind = layout.version === 2 ? 'v2' : layout.mounts.has('unified') ? 'hybrid: v1 with a v2 tree beside it' : 'v1'
  const io = layout.version === 2 ? 'io' : 'blkio'
  const lack = (name: string, costs: string, isFatal = false) =>
    finding(`controller ${name}`, controllers.includes(name), {
      found: controllers.includes(name) ? 'there' : 'missing',
      costs,
      isFatal,
    })
  return [
    finding('cgroups', layout.version === 2, {
      found: kind,
      costs: 'no pressure numbers (PSI) by group, and joining a group takes a write for each controller',
    }),
    lack('memory', 'no memory limits', true),
    lack('cpu', 'no processor limits'),
    lack('cpuset', 'containers cannot be bound to processors'),
    lack('pids', 'fork bombs are not stopped'),
    lack(io, 'no limits of block devices'),
    lack('hugetlb', 'no limits of huge pages'),
    ...(layout.version === 2
      ? []
      : [lack('devices', 'devices cannot be denied', true), lack('freezer', 'containers cannot be paused', true)]),
    ...(layout.version === 2 ? delegation(layout.mount, controllers) : []),
  ]
}

function unifiedControllers(mount: string | undefined): string[] {
  return mount === undefined ? [] : (kernelText(`${mount}/cgroup.controllers`) ?? '').split(' ')
}

/** Inside a container of somebody else's, controllers may be there and not be passed on. */
function delegation(mount: string, controllers: readonly string[]): Finding[] {
  const passed = (kernelText(`${mount}/cgroup.subtree_control`) ?? '').split(' ').filter(Boolean)
  const kept = controllers.filter((name) => !passed.includes(name))
  const costs = `not yet passed on to groups below: ${kept.join(', ')}; Coracle does that itself if processes leave the root group`
  return [
    finding('delegation', kept.length === 0 || mount === '/sys/fs/cgroup', {
      found: passed.join(' ') || 'nothing',
      costs,
    }),
  ]
}

function limits(): Finding[] {
  const number = (path: string) => Number(kernelText(path) ?? '0')
  const [users, pids] = [number('/proc/sys/user/max_user_namespaces'), number('/proc/sys/kernel/pid_max')]
  const [mounts, instances] = [number('/proc/sys/fs/mount-max'), number('/proc/sys/fs/inotify/max_user_instances')]
  const keys = number('/proc/sys/kernel/keys/maxkeys')
  return [
    finding('user.max_user_namespaces', users > 0, { found: String(users), costs: 'no user namespaces' }),
    finding('kernel.pid_max', pids >= 32768, { found: String(pids), costs: 'few processes at once' }),
    finding('fs.mount-max', mounts >= 10_000, { found: String(mounts), costs: 'few mounts in each container' }),
    finding('fs.inotify.max_user_instances', instances >= 128, {
      found: String(instances),
      costs: 'programs in containers that watch files fail early',
    }),
    finding('kernel.keys.maxkeys', keys === 0 || keys >= 200, {
      found: String(keys),
      costs: 'session keyrings run out with many containers; they are shared then',
    }),
  ]
}

function confinement(): Finding[] {
  const { apparmor, selinux } = securityModules()
  const word = (isThere: boolean) => (isThere ? 'active' : 'not in this kernel')
  return [
    finding('AppArmor', apparmor, { found: word(apparmor), costs: 'profiles in config.json are refused' }),
    finding('SELinux', selinux, { found: word(selinux), costs: 'labels in config.json are refused' }),
  ]
}

function libraries(): Finding[] {
  const isThere = hasLibrary('libnftables.so.1')
  const found = isThere ? 'there' : 'missing'
  return [
    finding('libnftables', isThere, {
      found,
      costs: 'no Services and port mappings; containers themselves do not need it',
    }),
  ]
}
