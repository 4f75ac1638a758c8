import { syscallNames } from '../linux/syscall-numbers.ts'
import type { OciSeccomp, OciSeccompRule } from '../spec/types.ts'

/**
 * What the default profile withholds, and the capabilities of which any one gives it back; an empty list: never.
 * Equal in effect to what Docker and containerd withhold: calls that change the whole machine, or have no namespace.
 */
// biome-ignore format: a table
const withheld: Readonly<Record<string, readonly string[]>> = {
  // namespaces and mounts
  mount: ['SYS_ADMIN'], umount2: ['SYS_ADMIN'], mount_setattr: ['SYS_ADMIN'], move_mount: ['SYS_ADMIN'],
  open_tree: ['SYS_ADMIN'], open_tree_attr: ['SYS_ADMIN'], fsopen: ['SYS_ADMIN'], fsconfig: ['SYS_ADMIN'],
  fsmount: ['SYS_ADMIN'], fspick: ['SYS_ADMIN'], setns: ['SYS_ADMIN'], unshare: ['SYS_ADMIN'],
  sethostname: ['SYS_ADMIN'], setdomainname: ['SYS_ADMIN'], pivot_root: [], chroot: ['SYS_CHROOT'],
  statmount: ['SYS_ADMIN'], listmount: ['SYS_ADMIN'], clone: ['SYS_ADMIN'], clone3: ['SYS_ADMIN'],
  // the machine: boot, clock, modules, swap, accounting, quotas, consoles
  reboot: ['SYS_BOOT'], kexec_load: [], kexec_file_load: [], init_module: ['SYS_MODULE'],
  finit_module: ['SYS_MODULE'], delete_module: ['SYS_MODULE'], create_module: [], query_module: [],
  get_kernel_syms: [], settimeofday: ['SYS_TIME'], clock_settime: ['SYS_TIME'], swapon: [], swapoff: [],
  acct: ['SYS_PACCT'], quotactl: ['SYS_ADMIN'], quotactl_fd: ['SYS_ADMIN'], vhangup: ['SYS_TTY_CONFIG'],
  iopl: ['SYS_RAWIO'], ioperm: ['SYS_RAWIO'], syslog: ['SYS_ADMIN', 'SYSLOG'], lookup_dcookie: ['SYS_ADMIN'],
  // other processes and the kernel's inside
  bpf: ['SYS_ADMIN', 'BPF'], perf_event_open: ['SYS_ADMIN', 'PERFMON'], fanotify_init: ['SYS_ADMIN'],
  kcmp: ['SYS_PTRACE'], pidfd_getfd: ['SYS_PTRACE'], process_madvise: ['SYS_PTRACE'],
  open_by_handle_at: ['DAC_READ_SEARCH'], userfaultfd: [], lsm_set_self_attr: [],
  get_mempolicy: ['SYS_NICE'], mbind: ['SYS_NICE'], set_mempolicy: ['SYS_NICE'],
  set_mempolicy_home_node: ['SYS_NICE'], migrate_pages: [], move_pages: [],
  io_uring_setup: [], io_uring_enter: [], io_uring_register: [],
  // keys have no namespace
  add_key: [], keyctl: [], request_key: [],
  // gone, or of no use in a container
  _sysctl: [], afs_syscall: [], getpmsg: [], putpmsg: [], nfsservctl: [], security: [], sysfs: [], tuxcall: [],
  uselib: [], ustat: [], vserver: [],
  // with conditions, below
  personality: [], socket: [],
}

const CLONE_NEW_ANY = 0x7e020000
const AF_VSOCK = 40
/** PER_LINUX, UNAME26, PER_LINUX32, both, and "only ask". */
const personalities = [0, 0x20000, 8, 0x20008, 0xffffffff]

/** The profile of a container that does not bring its own, for the capabilities (`CAP_…`) of its bounding set. */
export function defaultSeccompProfile(capabilities: readonly string[]): OciSeccomp {
  const has = (name: string) => capabilities.includes(`CAP_${name}`)
  const allowed = syscallNames().filter((name) => {
    const needs = withheld[name]
    return needs === undefined || needs.some(has)
  })
  const allow = (name: string, args: NonNullable<OciSeccompRule['args']>): OciSeccompRule => ({
    names: [name],
    action: 'SCMP_ACT_ALLOW',
    args,
  })
  const equals = (value: number) => allow('personality', [{ index: 0, value, op: 'SCMP_CMP_EQ' }])
  const cloneRules: OciSeccompRule[] = has('SYS_ADMIN')
    ? []
    : [
        allow('clone', [{ index: 0, value: CLONE_NEW_ANY, valueTwo: 0, op: 'SCMP_CMP_MASKED_EQ' }]),
        // Its flags are in memory, where a filter cannot look: libc falls back to clone when it hears ENOSYS.
        { names: ['clone3'], action: 'SCMP_ACT_ERRNO', errnoRet: 38 },
      ]
  return {
    defaultAction: 'SCMP_ACT_ERRNO',
    defaultErrnoRet: 1,
    syscalls: [
      { names: allowed, action: 'SCMP_ACT_ALLOW' },
      allow('socket', [{ index: 0, value: AF_VSOCK, op: 'SCMP_CMP_NE' }]),
      ...personalities.map(equals),
      ...cloneRules,
    ],
  }
}
