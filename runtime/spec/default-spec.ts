import type { OciSpec } from './types.ts'

const capabilities = ['CAP_AUDIT_WRITE', 'CAP_KILL', 'CAP_NET_BIND_SERVICE']

/** What `coracle oci spec` writes: a shell in a read-only root, with the namespaces and paths of runc's default. */
export function defaultSpec(): OciSpec {
  return {
    ociVersion: '1.3.0',
    process: {
      terminal: true,
      user: { uid: 0, gid: 0 },
      args: ['sh'],
      env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'TERM=xterm'],
      cwd: '/',
      capabilities: { bounding: capabilities, effective: capabilities, permitted: capabilities },
      rlimits: [{ type: 'RLIMIT_NOFILE', hard: 1024, soft: 1024 }],
      noNewPrivileges: true,
    },
    root: { path: 'rootfs', readonly: true },
    hostname: 'coracle',
    mounts: defaultMounts(),
    linux: {
      resources: { devices: [{ allow: false, access: 'rwm' }] },
      namespaces: (['pid', 'network', 'ipc', 'uts', 'mount', 'cgroup'] as const).map((type) => ({ type })),
      maskedPaths: defaultMaskedPaths(),
      readonlyPaths: defaultReadonlyPaths(),
    },
  }
}

/** /proc, /dev and /sys as every container has them. */
export function defaultMounts(): NonNullable<OciSpec['mounts']> {
  const safe = ['nosuid', 'noexec', 'nodev']
  return [
    { destination: '/proc', type: 'proc', source: 'proc' },
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
    { destination: '/dev/shm', type: 'tmpfs', source: 'shm', options: [...safe, 'mode=1777', 'size=65536k'] },
    { destination: '/dev/mqueue', type: 'mqueue', source: 'mqueue', options: safe },
    { destination: '/sys', type: 'sysfs', source: 'sysfs', options: [...safe, 'ro'] },
    { destination: '/sys/fs/cgroup', type: 'cgroup', source: 'cgroup', options: [...safe, 'relatime', 'ro'] },
  ]
}

/** Files of the kernel that tell about the host, or reach into it. */
export function defaultMaskedPaths(): string[] {
  const proc = [
    'acpi',
    'asound',
    'interrupts',
    'kcore',
    'keys',
    'latency_stats',
    'timer_list',
    'timer_stats',
    'sched_debug',
    'scsi',
  ]
  return [...proc.map((name) => `/proc/${name}`), '/sys/firmware', '/sys/devices/virtual/powercap']
}

/** Files of the kernel that may be read and not written. */
export function defaultReadonlyPaths(): string[] {
  return ['bus', 'fs', 'irq', 'sys', 'sysrq-trigger'].map((name) => `/proc/${name}`)
}

/** What `spec` writes, which is what runc's does: on cgroup v1 a container sees where it is. */
export function bundleSpec(cgroupVersion: 1 | 2): OciSpec {
  const spec = defaultSpec()
  const namespaces = spec.linux?.namespaces?.filter(({ type }) => cgroupVersion === 2 || type !== 'cgroup') ?? []
  return { ...spec, linux: { ...spec.linux, namespaces } }
}

/**
 * The same for one who is not the host's root, as runc has it: root inside is `owner` outside, who can neither give the network
 * a namespace, mount a sysfs for it, nor limit anything.
 */
export function rootlessSpec(spec: OciSpec, owner: { uid: number; gid: number }): OciSpec {
  const { resources: _none, namespaces = [], ...linux } = spec.linux ?? {}
  const own = [...namespaces.filter(({ type }) => type !== 'network' && type !== 'user'), { type: 'user' as const }]
  const sys = {
    destination: '/sys',
    type: 'none',
    source: '/sys',
    options: ['rbind', 'nosuid', 'noexec', 'nodev', 'ro'],
  }
  const mounts = (spec.mounts ?? []).map((mount) => {
    if (mount.destination === '/sys') return sys
    return { ...mount, ...(mount.options ? { options: mount.options.filter((one) => !/^[ug]id=/.test(one)) } : {}) }
  })
  const only = (hostID: number) => [{ containerID: 0, hostID, size: 1 }]
  const maps = { uidMappings: only(owner.uid), gidMappings: only(owner.gid) }
  return { ...spec, mounts, linux: { ...linux, namespaces: own, ...maps } }
}
