import type { Architecture } from '../linux/syscall-numbers.ts'
import type { OciSeccomp, OciSeccompRule } from '../spec/types.ts'

/*
 * What a container may call that brings no profile of its own: equal in effect to the default of Docker (moby/profiles of
 * June 2026), on kernels from 5.15 on. It is a list of what is allowed, so that a call which comes with a newer kernel or a
 * longer table is not allowed by that alone. `seccomp-profile.test.ts` says what is withheld, and why.
 */
// biome-ignore format: a table
const allowed = `
  accept accept4 access adjtimex alarm bind brk cachestat capget capset chdir chmod chown chown32 clock_adjtime
  clock_adjtime64 clock_getres clock_getres_time64 clock_gettime clock_gettime64 clock_nanosleep
  clock_nanosleep_time64 close close_range connect copy_file_range creat dup dup2 dup3 epoll_create epoll_create1
  epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old eventfd eventfd2 execve execveat exit
  exit_group faccessat faccessat2 fadvise64 fadvise64_64 fallocate fanotify_mark fchdir fchmod fchmodat fchmodat2
  fchown fchown32 fchownat fcntl fcntl64 fdatasync fgetxattr flistxattr flock fork fremovexattr fsetxattr fstat
  fstat64 fstatat64 fstatfs fstatfs64 fsync ftruncate ftruncate64 futex futex_requeue futex_time64 futex_wait
  futex_waitv futex_wake futimesat get_robust_list get_thread_area getcpu getcwd getdents getdents64 getegid getegid32
  geteuid geteuid32 getgid getgid32 getgroups getgroups32 getitimer getpeername getpgid getpgrp getpid getppid
  getpriority getrandom getresgid getresgid32 getresuid getresuid32 getrlimit getrusage getsid getsockname getsockopt
  gettid gettimeofday getuid getuid32 getxattr getxattrat inotify_add_watch inotify_init inotify_init1
  inotify_rm_watch io_cancel io_destroy io_getevents io_pgetevents io_pgetevents_time64 io_setup io_submit ioctl
  ioprio_get ioprio_set ipc kill landlock_add_rule landlock_create_ruleset landlock_restrict_self lchown lchown32
  lgetxattr link linkat listen listmount listxattr listxattrat llistxattr _llseek lremovexattr lseek lsetxattr lstat
  lstat64 madvise map_shadow_stack membarrier memfd_create memfd_secret mincore mkdir mkdirat mknod mknodat mlock
  mlock2 mlockall mmap mmap2 mprotect mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedreceive_time64
  mq_timedsend mq_timedsend_time64 mq_unlink mremap mseal msgctl msgget msgrcv msgsnd msync munlock munlockall munmap
  name_to_handle_at nanosleep newfstatat _newselect open openat openat2 pause pidfd_open pidfd_send_signal pipe pipe2
  pkey_alloc pkey_free pkey_mprotect poll ppoll ppoll_time64 prctl pread64 preadv preadv2 prlimit64 process_mrelease
  process_vm_readv process_vm_writev pselect6 pselect6_time64 ptrace pwrite64 pwritev pwritev2 read readahead readlink
  readlinkat readv recv recvfrom recvmmsg recvmmsg_time64 recvmsg remap_file_pages removexattr removexattrat rename
  renameat renameat2 restart_syscall riscv_hwprobe rmdir rseq rt_sigaction rt_sigpending rt_sigprocmask
  rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo
  sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getattr sched_getparam sched_getscheduler
  sched_rr_get_interval sched_rr_get_interval_time64 sched_setaffinity sched_setattr sched_setparam sched_setscheduler
  sched_yield seccomp select semctl semget semop semtimedop semtimedop_time64 send sendfile sendfile64 sendmmsg
  sendmsg sendto set_robust_list set_thread_area set_tid_address setfsgid setfsgid32 setfsuid setfsuid32 setgid
  setgid32 setgroups setgroups32 setitimer setpgid setpriority setregid setregid32 setresgid setresgid32 setresuid
  setresuid32 setreuid setreuid32 setrlimit setsid setsockopt setuid setuid32 setxattr setxattrat shmat shmctl shmdt
  shmget shutdown sigaltstack signalfd signalfd4 sigprocmask sigreturn socketcall socketpair splice stat stat64 statfs
  statfs64 statmount statx symlink symlinkat sync sync_file_range syncfs sysinfo tee tgkill time timer_create
  timer_delete timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64 timerfd_create
  timerfd_gettime timerfd_gettime64 timerfd_settime timerfd_settime64 times tkill truncate truncate64 ugetrlimit umask
  uname unlink unlinkat uretprobe utime utimensat utimensat_time64 utimes vfork vmsplice wait4 waitid waitpid write
  writev`

/** Allowed to those whose bounding set has the capability. */
// biome-ignore format: a table
const allowedWith: Readonly<Record<string, string>> = {
  CAP_BPF: 'bpf',
  CAP_DAC_READ_SEARCH: 'open_by_handle_at',
  CAP_PERFMON: 'perf_event_open',
  CAP_SYS_ADMIN:
    'bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie lsm_get_self_attr lsm_list_modules lsm_set_self_attr mount mount_setattr move_mount open_tree perf_event_open quotactl quotactl_fd setdomainname sethostname setns syslog umount umount2 unshare',
  CAP_SYS_BOOT: 'reboot',
  CAP_SYS_CHROOT: 'chroot',
  CAP_SYS_MODULE: 'delete_module finit_module init_module',
  CAP_SYS_NICE: 'get_mempolicy mbind set_mempolicy set_mempolicy_home_node',
  CAP_SYS_PACCT: 'acct',
  CAP_SYS_PTRACE: 'kcmp pidfd_getfd process_madvise',
  CAP_SYS_RAWIO: 'ioperm iopl',
  CAP_SYS_TIME: 'clock_settime clock_settime64 settimeofday stime',
  CAP_SYS_TTY_CONFIG: 'vhangup',
  CAP_SYSLOG: 'syslog',
}

/** By machine: what its programs need besides, and the other architectures that it runs. */
const ofMachine: Readonly<Record<Architecture, { names: string; architectures: readonly string[] }>> = {
  x64: { names: 'arch_prctl modify_ldt', architectures: ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86', 'SCMP_ARCH_X32'] },
  arm64: {
    names: 'arm_fadvise64_64 arm_sync_file_range breakpoint cacheflush set_tls sync_file_range2',
    architectures: ['SCMP_ARCH_AARCH64', 'SCMP_ARCH_ARM'],
  },
}

/** The CLONE_NEW… flags that clone(2) takes. */
const CLONE_NEW_ANY = 0x7e020000
/** AF_ALG reaches the kernel's ciphers, AF_VSOCK the hypervisor. */
const AF_ALG = 38
const AF_VSOCK = 40
/** PER_LINUX, PER_LINUX32, each with UNAME26, and "only ask". */
const personalities = [0, 8, 0x20000, 0x20008, 0xffffffff]
const ENOSYS = 38

const made = new Map<string, OciSeccomp>()

/**
 * The profile of a container that does not bring its own, for the capabilities (`CAP_…`) of its bounding set. The same
 * object for the same capabilities, frozen: its filter is compiled once.
 */
export function defaultSeccompProfile(
  capabilities: readonly string[],
  architecture: Architecture = process.arch === 'arm64' ? 'arm64' : 'x64',
): OciSeccomp {
  const telling = Object.keys(allowedWith).filter((capability) => capabilities.includes(capability))
  const key = [architecture, ...telling].join(' ')
  const profile = made.get(key) ?? freeze(makeProfile(telling, architecture))
  made.set(key, profile)
  return profile
}

function makeProfile(capabilities: readonly string[], architecture: Architecture): OciSeccomp {
  const { names, architectures } = ofMachine[architecture]
  const more = capabilities.map((capability) => allowedWith[capability] ?? '')
  return {
    defaultAction: 'SCMP_ACT_ERRNO',
    defaultErrnoRet: 1,
    architectures: [...architectures],
    syscalls: [
      { names: [allowed, names, ...more].join(' ').trim().split(/\s+/), action: 'SCMP_ACT_ALLOW' },
      allow('socket', { index: 0, value: AF_ALG, op: 'SCMP_CMP_LT' }),
      allow('socket', { index: 0, value: AF_ALG + 1, op: 'SCMP_CMP_EQ' }),
      allow('socket', { index: 0, value: AF_VSOCK, op: 'SCMP_CMP_GT' }),
      ...personalities.map((value) => allow('personality', { index: 0, value, op: 'SCMP_CMP_EQ' })),
      ...(capabilities.includes('CAP_SYS_ADMIN') ? [] : withoutNamespaces()),
    ],
  }
}

function withoutNamespaces(): OciSeccompRule[] {
  return [
    allow('clone', { index: 0, value: CLONE_NEW_ANY, valueTwo: 0, op: 'SCMP_CMP_MASKED_EQ' }),
    // Its flags are in memory, where a filter cannot look: libc falls back to clone when it hears ENOSYS.
    { names: ['clone3'], action: 'SCMP_ACT_ERRNO', errnoRet: ENOSYS },
  ]
}

function allow(name: string, argument: NonNullable<OciSeccompRule['args']>[number]): OciSeccompRule {
  return { names: [name], action: 'SCMP_ACT_ALLOW', args: [argument] }
}

function freeze<Value extends object>(value: Value): Value {
  for (const inner of Object.values(value)) if (typeof inner === 'object' && inner !== null) freeze(inner)
  return Object.freeze(value)
}
