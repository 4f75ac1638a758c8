import { describe, expect, it } from 'vitest'
import { audit, runFilter, verifyFilter } from '../../test/fixtures/bpf-machine.ts'
import { type CallArchitecture, callNumber } from '../linux/foreign-syscalls.ts'
import { syscallNames } from '../linux/syscall-numbers.ts'
import { compileSeccomp } from './seccomp/compile.ts'
import { defaultSeccompProfile } from './seccomp-profile.ts'

const ALLOW = 0x7fff0000
const EPERM = 0x50001
const ENOSYS = 0x50026

function filterOf(capabilities: string[], native: 'x64' | 'arm64' = 'x64') {
  const { program } = compileSeccomp(defaultSeccompProfile(capabilities, native), native)
  verifyFilter(program)
  return (name: string | number, args: bigint[] = [], architecture: CallArchitecture = native) => {
    const number = typeof name === 'number' ? name : (callNumber(name, architecture) ?? Number.NaN)
    return runFilter(program, { architecture: audit[architecture], number, args })
  }
}

/** Every call of x86-64 that a container without privileges may not make, and what it hears. */
// biome-ignore format: a table
const withheld = {
  // namespaces and mounts
  mount: EPERM, umount2: EPERM, mount_setattr: EPERM, move_mount: EPERM, open_tree: EPERM, fsopen: EPERM, fsconfig: EPERM,
  fsmount: EPERM, fspick: EPERM, setns: EPERM, unshare: EPERM, sethostname: EPERM, setdomainname: EPERM, pivot_root: EPERM,
  chroot: EPERM, clone3: ENOSYS, clone: EPERM,
  // the machine: boot, clock, modules, swap, accounting, quotas, consoles, ports
  reboot: EPERM, kexec_load: EPERM, kexec_file_load: EPERM, init_module: EPERM, finit_module: EPERM, delete_module: EPERM,
  create_module: EPERM, query_module: EPERM, get_kernel_syms: EPERM, settimeofday: EPERM, clock_settime: EPERM,
  swapon: EPERM, swapoff: EPERM, acct: EPERM, quotactl: EPERM, quotactl_fd: EPERM, vhangup: EPERM, iopl: EPERM,
  ioperm: EPERM, syslog: EPERM, lookup_dcookie: EPERM,
  // other processes and the kernel's inside
  bpf: EPERM, perf_event_open: EPERM, fanotify_init: EPERM, kcmp: EPERM, pidfd_getfd: EPERM, process_madvise: EPERM,
  open_by_handle_at: EPERM, userfaultfd: EPERM, lsm_get_self_attr: EPERM, lsm_set_self_attr: EPERM, lsm_list_modules: EPERM,
  get_mempolicy: EPERM, mbind: EPERM, set_mempolicy: EPERM, set_mempolicy_home_node: EPERM, migrate_pages: EPERM,
  move_pages: EPERM, io_uring_setup: EPERM, io_uring_enter: EPERM, io_uring_register: EPERM, uprobe: EPERM,
  // keys have no namespace
  add_key: EPERM, keyctl: EPERM, request_key: EPERM,
  // gone, or of no use in a container
  _sysctl: EPERM, afs_syscall: EPERM, getpmsg: EPERM, putpmsg: EPERM, nfsservctl: EPERM, security: EPERM, sysfs: EPERM,
  tuxcall: EPERM, uselib: EPERM, ustat: EPERM, vserver: EPERM,
  // newer than the profile
  open_tree_attr: ENOSYS, file_getattr: ENOSYS, file_setattr: ENOSYS, listns: ENOSYS, rseq_slice_yield: ENOSYS,
} as const

describe('defaultSeccompProfile', () => {
  const answer = filterOf(['CAP_CHOWN'])

  it('x86-64: everything is allowed but the table', () => {
    // What forbids a namespace by clone forbids it for all of CLONE_NEW…; a plain thread or child is allowed below.
    const args = [0x10000000n]
    const seen = syscallNames()
      .filter((name) => callNumber(name, 'x64') !== undefined && name !== 'socket' && name !== 'personality')
      .map((name) => [name, answer(name, args).answer] as const)
    expect(Object.fromEntries(seen.filter(([, value]) => value !== ALLOW))).toEqual(withheld)
    expect(seen.length).toBeGreaterThan(370)
  })

  it.each<[string, bigint, number]>([
    ['clone', 0x11n, ALLOW],
    ['clone', 0x3d0f00n, ALLOW],
    ['clone', 0x20000000n, EPERM],
    ['clone', 0x02000000n, EPERM],
    ['clone', 0x00020000n, EPERM],
    ['socket', 1n, ALLOW],
    ['socket', 16n, ALLOW],
    ['socket', 37n, ALLOW],
    ['socket', 38n, EPERM],
    ['socket', 39n, ALLOW],
    ['socket', 40n, EPERM],
    ['socket', 41n, ALLOW],
    ['personality', 0n, ALLOW],
    ['personality', 8n, ALLOW],
    ['personality', 0x20000n, ALLOW],
    ['personality', 0x20008n, ALLOW],
    ['personality', 0xffffffffn, ALLOW],
    ['personality', 0x40000n, EPERM],
    ['personality', 0x1_0000_0000n, EPERM],
  ])('%s(%i): %i', (name, argument, expected) => expect(answer(name, [argument]).answer).toBe(expected))

  it.each([
    [
      'CAP_SYS_ADMIN',
      ['mount', 'setns', 'clone3', 'bpf', 'unshare', 'lsm_set_self_attr'],
      ['reboot', 'open_by_handle_at'],
    ],
    ['CAP_SYS_PTRACE', ['kcmp', 'pidfd_getfd', 'process_madvise'], ['mount']],
    ['CAP_SYS_TIME', ['settimeofday', 'clock_settime'], ['mount']],
    ['CAP_SYS_MODULE', ['init_module', 'finit_module', 'delete_module'], ['kexec_load']],
    ['CAP_DAC_READ_SEARCH', ['open_by_handle_at'], ['mount']],
    ['CAP_SYSLOG', ['syslog'], ['bpf']],
    ['CAP_BPF', ['bpf'], ['syslog']],
    ['CAP_PERFMON', ['perf_event_open'], ['bpf']],
    ['CAP_SYS_NICE', ['mbind', 'set_mempolicy'], ['move_pages']],
    ['CAP_SYS_CHROOT', ['chroot'], ['pivot_root']],
    ['CAP_SYS_BOOT', ['reboot'], ['kexec_load']],
    ['CAP_SYS_PACCT', ['acct'], ['mount']],
    ['CAP_SYS_RAWIO', ['iopl', 'ioperm'], ['mount']],
    ['CAP_SYS_TTY_CONFIG', ['vhangup'], ['mount']],
  ])('%s gives back what it is for', (capability, given, withheldStill) => {
    const powerful = filterOf([capability])
    for (const name of given) expect([name, powerful(name).answer]).toEqual([name, ALLOW])
    for (const name of withheldStill) expect([name, powerful(name).answer]).toEqual([name, EPERM])
  })

  it('32-bit programs: i386 and x32 on x86-64, arm on arm64; others are ended', () => {
    for (const name of ['mmap2', 'stat64', 'socketcall', 'set_thread_area', 'waitpid', 'futex_time64']) {
      expect([name, answer(name, [], 'x86').answer]).toEqual([name, ALLOW])
    }
    for (const name of ['mount', 'umount', 'stime', 'vm86', 'keyctl']) {
      expect([name, answer(name, [], 'x86').answer]).toEqual([name, EPERM])
    }
    expect(answer('socket', [38n], 'x86').answer).toBe(EPERM)
    expect(answer('readv', [], 'x32').answer).toBe(ALLOW)
    expect(answer('kexec_load', [], 'x32').answer).toBe(EPERM)
    expect(answer('read', [], 'arm').answer).toBe(0)
    const onArm = filterOf([], 'arm64')
    for (const name of ['cacheflush', 'set_tls', 'arm_fadvise64_64', 'mmap2']) {
      expect([name, onArm(name, [], 'arm').answer]).toEqual([name, ALLOW])
    }
    expect(onArm('mount').answer).toBe(EPERM)
  })

  it('a decision takes few steps: the numbers are searched for, not walked', () => {
    const steps = syscallNames().flatMap((name) => (callNumber(name, 'x64') === undefined ? [] : answer(name).steps))
    expect(Math.max(...steps)).toBeLessThan(40)
    expect(steps.reduce((sum, one) => sum + one, 0) / steps.length).toBeLessThan(14)
  })

  it('the same object for the same capabilities, and nobody can change it', () => {
    const profile = defaultSeccompProfile(['CAP_CHOWN'])
    expect(defaultSeccompProfile(['CAP_KILL'])).toBe(profile)
    expect(() => profile.syscalls?.push({ names: ['mount'], action: 'SCMP_ACT_ALLOW' })).toThrow()
  })
})
