import { existsSync, readFileSync, readlinkSync, statSync } from 'node:fs'

/** What the kernel lets this process do, as far as the birth of a container depends on it. */
export interface HostFacts {
  /** Bit n is capability n (capabilities(7)), of our own permitted set. */
  permitted: bigint
  lastCapability: number
  oomScoreAdj: number
  /** Our own hard limits by number; Infinity for unlimited. */
  hardLimits: readonly number[]
  /** Security modules that are active. */
  modules: { apparmor: boolean; selinux: boolean }
  /** What a path of the kernel's own filesystems is: the same in every container. */
  kindOf(path: string): 'file' | 'folder' | 'missing'
}

const limitNames = [
  'Max cpu time',
  'Max file size',
  'Max data size',
  'Max stack size',
  'Max core file size',
  'Max resident set',
  'Max processes',
  'Max open files',
  'Max locked memory',
  'Max address space',
  'Max file locks',
  'Max pending signals',
  'Max msgqueue size',
  'Max nice priority',
  'Max realtime priority',
  'Max realtime timeout',
]

let facts: HostFacts | undefined

/** Reads /proc/self once. */
export function hostFacts(): HostFacts {
  if (facts) return facts
  const status = readFileSync('/proc/self/status', 'latin1')
  const limits = readFileSync('/proc/self/limits', 'latin1').split('\n')
  const hard = (name: string) => {
    const line = limits.find((text) => text.startsWith(name)) ?? ''
    const value = line.slice(name.length).trim().split(/\s+/)[1]
    return value === undefined || value === 'unlimited' ? Number.POSITIVE_INFINITY : Number(value)
  }
  facts = {
    permitted: BigInt(`0x${/^CapPrm:\s*(\w+)/m.exec(status)?.[1] ?? '0'}`),
    lastCapability: Number(readFileSync('/proc/sys/kernel/cap_last_cap', 'latin1')),
    oomScoreAdj: Number(readFileSync('/proc/self/oom_score_adj', 'latin1')),
    hardLimits: limitNames.map(hard),
    modules: {
      apparmor: isActive('/sys/module/apparmor/parameters/enabled', 'Y'),
      selinux: isActive('/sys/fs/selinux/enforce', ''),
    },
    kindOf,
  }
  return facts
}

function isActive(file: string, start: string): boolean {
  return existsSync(file) && readFileSync(file, 'latin1').startsWith(start)
}

/** Asked anew each time: a module that is loaded later brings files with it. */
function kindOf(path: string): 'file' | 'folder' | 'missing' {
  const stat = statSync(path, { throwIfNoEntry: false })
  return stat === undefined ? 'missing' : stat.isDirectory() ? 'folder' : 'file'
}

let isInUserNamespace: boolean | undefined

/** True inside a user namespace that does not map every id to itself (user_namespaces(7)): root there is not the host's root. */
export function inUserNamespace(): boolean {
  isInUserNamespace ??= readFileSync('/proc/self/uid_map', 'latin1').trim().split(/\s+/).join(' ') !== '0 0 4294967295'
  return isInUserNamespace
}

/**
 * True in a chroot(2), as far as it can be told: process 1 lives in the same mount namespace and has another root. There,
 * pivot_root leaves the way back to the machine's own root open, and setns(2) leads straight to it.
 */
export function isInChroot(): boolean {
  try {
    if (readlinkSync('/proc/1/ns/mnt') !== readlinkSync('/proc/self/ns/mnt')) return false
    const [ours, theirs] = [statSync('/'), statSync('/proc/1/root/')]
    return ours.dev !== theirs.dev || ours.ino !== theirs.ino
  } catch {
    return false
  }
}
