/** Flags of the kernel's interfaces, by the kernel's names (include/uapi/linux/*.h). The same on x86-64 and arm64 unless said. */

export const cloneFlags = {
  CLONE_NEWTIME: 0x80,
  CLONE_PARENT: 0x8000,
  CLONE_NEWNS: 0x20000,
  CLONE_NEWCGROUP: 0x2000000,
  CLONE_NEWUTS: 0x4000000,
  CLONE_NEWIPC: 0x8000000,
  CLONE_NEWUSER: 0x10000000,
  CLONE_NEWPID: 0x20000000,
  CLONE_NEWNET: 0x40000000,
  CLONE_INTO_CGROUP: 0x200000000,
} as const

export const mountFlags = {
  MS_RDONLY: 0x1,
  MS_MOVE: 0x2000,
  MS_REC: 0x4000,
  MS_UNBINDABLE: 0x20000,
  MS_PRIVATE: 0x40000,
  MS_SLAVE: 0x80000,
  MS_SHARED: 0x100000,
} as const

/** For fsmount(2) and mount_setattr(2). */
export const mountAttributes = {
  MOUNT_ATTR_RDONLY: 0x1,
  MOUNT_ATTR_NOSUID: 0x2,
  MOUNT_ATTR_NODEV: 0x4,
  MOUNT_ATTR_NOEXEC: 0x8,
  MOUNT_ATTR_NOATIME: 0x10,
  MOUNT_ATTR_STRICTATIME: 0x20,
  MOUNT_ATTR__ATIME: 0x70,
  MOUNT_ATTR_NODIRATIME: 0x80,
  MOUNT_ATTR_IDMAP: 0x100000,
  MOUNT_ATTR_NOSYMFOLLOW: 0x200000,
} as const

export const MNT_DETACH = 2
export const UMOUNT_NOFOLLOW = 8
export const AT_FDCWD = -100
export const AT_SYMLINK_NOFOLLOW = 0x100
export const AT_EMPTY_PATH = 0x1000
export const AT_RECURSIVE = 0x8000
export const OPEN_TREE_CLONE = 1
export const FSOPEN_CLOEXEC = 1
export const FSMOUNT_CLOEXEC = 1
export const MOVE_MOUNT_F_EMPTY_PATH = 0x4
export const MOVE_MOUNT_T_EMPTY_PATH = 0x40
export const FSCONFIG_SET_FLAG = 0
export const FSCONFIG_SET_STRING = 1
export const FSCONFIG_SET_FD = 5
export const FSCONFIG_CMD_CREATE = 6
export const FSCONFIG_CMD_RECONFIGURE = 7
export const FSPICK_CLOEXEC = 1
export const FSPICK_EMPTY_PATH = 8

const arm = process.arch === 'arm64'

/** O_DIRECTORY and O_NOFOLLOW have other numbers on arm64. */
export const openFlags = {
  O_RDONLY: 0,
  O_WRONLY: 1,
  O_RDWR: 2,
  O_CREAT: 0x40,
  O_EXCL: 0x80,
  O_NOCTTY: 0x100,
  O_NONBLOCK: 0x800,
  O_DIRECTORY: arm ? 0x4000 : 0x10000,
  O_NOFOLLOW: arm ? 0x8000 : 0x20000,
  O_CLOEXEC: 0x80000,
  O_PATH: 0x200000,
} as const

/** For openat2(2). */
export const resolveFlags = {
  RESOLVE_NO_XDEV: 1,
  RESOLVE_NO_MAGICLINKS: 2,
  RESOLVE_NO_SYMLINKS: 4,
  RESOLVE_BENEATH: 8,
  RESOLVE_IN_ROOT: 16,
} as const

export const prctlOptions = {
  PR_SET_PDEATHSIG: 1,
  PR_SET_DUMPABLE: 4,
  PR_SET_KEEPCAPS: 8,
  PR_SET_NAME: 15,
  PR_CAPBSET_DROP: 24,
  PR_SET_CHILD_SUBREAPER: 36,
  PR_SET_NO_NEW_PRIVS: 38,
  PR_CAP_AMBIENT: 47,
} as const
export const PR_CAP_AMBIENT_RAISE = 2
export const PR_CAP_AMBIENT_CLEAR_ALL = 4

export const CLOSE_RANGE_CLOEXEC = 4
export const SECCOMP_SET_MODE_FILTER = 1
export const KEYCTL_JOIN_SESSION_KEYRING = 1

export const ioctls = {
  TCGETS: 0x5401,
  TCSETS: 0x5402,
  TIOCSCTTY: 0x540e,
  TIOCSWINSZ: 0x5414,
  TIOCGPTPEER: 0x5441,
  TIOCSPTLCK: 0x40045431,
  TIOCGPTN: 0x80045430,
  SIOCSIFFLAGS: 0x8914,
  PIDFD_GET_INFO: 0xc040ff0b,
} as const

export const S_IFCHR = 0o020000
export const S_IFBLK = 0o060000
export const S_IFIFO = 0o010000

const signalNames =
  'HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS'.split(
    ' ',
  )

/** `9`, `"9"`, `"KILL"`, `"SIGKILL"` or `"SIGRTMIN+3"` → 9, 9, 9, 9, 37; undefined for anything else. */
export function signalNumber(signal: string | number): number | undefined {
  if (typeof signal === 'number' || /^\d+$/.test(signal)) {
    const number = Number(signal)
    return number >= 0 && number <= 64 ? number : undefined
  }
  const name = signal.toUpperCase().replace(/^SIG/, '')
  const realtime = /^RT(MIN|MAX)(?:([+-])(\d{1,2}))?$/.exec(name)
  if (realtime) {
    const offset = realtime[2] ? Number(`${realtime[2]}${realtime[3]}`) : 0
    const number = (realtime[1] === 'MIN' ? 34 : 64) + offset
    return number >= 34 && number <= 64 ? number : undefined
  }
  const at = signalNames.indexOf(name === 'POLL' ? 'IO' : name === 'IOT' ? 'ABRT' : name)
  return at < 0 ? undefined : at + 1
}

/** 9 → `SIGKILL`; a real-time signal as `SIGRTMIN+3`. */
export function signalName(number: number): string {
  const name = signalNames[number - 1]
  return name ? `SIG${name}` : `SIGRTMIN+${number - 34}`
}

/** `|`-joined names of the flags in `value`, the rest in hexadecimal: for listings. */
export function flagNames(value: number, table: Readonly<Record<string, number>>): string {
  let rest = BigInt(value)
  const names: string[] = []
  for (const [name, bit] of Object.entries(table)) {
    if (bit === 0 || (rest & BigInt(bit)) !== BigInt(bit)) continue
    names.push(name)
    rest &= ~BigInt(bit)
  }
  if (rest !== 0n) names.push(`0x${rest.toString(16)}`)
  return names.join('|') || '0'
}
