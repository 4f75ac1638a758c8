import { closeSync, existsSync, readFileSync } from 'node:fs'
import { release } from 'node:os'
import koffi from 'koffi'
import { ioctls } from './constants.ts'
import { ENOSYS } from './errno-numbers.ts'
import { bind } from './ffi.ts'
import { pidfdOpen } from './process.ts'
import { type SyscallName, syscallNumber } from './syscall-numbers.ts'

const syscall = bind('long syscall(long number, long a, long b, long c, long d, long e)')
const ioctl = bind('int ioctl(int fd, unsigned long request, void *argument)')

/** `6.18.5-generic` → [6, 18]. */
export function kernelVersion(text = release()): readonly [major: number, minor: number] {
  const [, major = '0', minor = '0'] = /^(\d+)\.(\d+)/.exec(text) ?? []
  return [Number(major), Number(minor)]
}

/** True for a kernel of at least this version. */
export function isAtLeast(major: number, minor: number, [ourMajor, ourMinor] = kernelVersion()): boolean {
  return ourMajor > major || (ourMajor === major && ourMinor >= minor)
}

/**
 * True if the kernel has a system call: one with arguments that cannot mean anything is refused for another reason than that it is
 * unknown. (A filter of whoever started us may refuse it with ENOSYS too: for us that is the same.)
 */
export function hasSyscall(name: SyscallName): boolean {
  const number = syscallNumber(name, process.arch === 'arm64' ? 'arm64' : 'x64')
  // The first argument is no descriptor, no pointer and, for close_range, a range that ends before it begins.
  return number !== undefined && syscall.probe(number, -1, 0, 0, -1, 0) !== -ENOSYS
}

/** True if a pidfd tells the exit code of a process that somebody else has reaped (PIDFD_GET_INFO, PIDFD_INFO_EXIT). */
export function pidfdTellsExit(): boolean {
  if (!isAtLeast(6, 15)) return false
  const pidfd = pidfdOpen(process.pid)
  const info = Buffer.alloc(64)
  info.writeBigUInt64LE(1n)
  const answer = ioctl.probe(pidfd, ioctls.PIDFD_GET_INFO, info)
  closeSync(pidfd)
  return answer === 0
}

/** True if a shared library can be opened. */
export function hasLibrary(name: string): boolean {
  try {
    koffi.load(name)
    return true
  } catch {
    return false
  }
}

/** The text of a file of /proc or /sys, trimmed; undefined where there is none. */
export function kernelText(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1').trim()
  } catch {
    return undefined
  }
}

/** The security modules that can confine a container. */
export function securityModules(): { apparmor: boolean; selinux: boolean } {
  return {
    apparmor: kernelText('/sys/module/apparmor/parameters/enabled') === 'Y',
    selinux: existsSync('/sys/fs/selinux/enforce'),
  }
}
