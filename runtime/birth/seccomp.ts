import { prctlOptions, SECCOMP_SET_MODE_FILTER } from '../linux/constants.ts'
import type { Architecture } from '../linux/syscall-numbers.ts'
import type { OciSeccomp } from '../spec/types.ts'
import type { Result, SyscallTape } from '../tape/syscall-tape.ts'
import { compileSeccomp } from './seccomp/compile.ts'
import { programBytes } from './seccomp/program.ts'

/** A compiled filter as a tape wants it. */
interface ReadyFilter {
  bytes: Buffer
  flags: number
  notifies: boolean
}

/** A pod's containers, and most containers of a machine, share one profile: it is compiled once. */
const byContent = new Map<string, ReadyFilter>()
const mostKept = 32
/** Frozen ones, such as our own default, cannot have changed since. */
const byIdentity = new WeakMap<OciSeccomp, ReadyFilter>()

/** The filter of a profile, compiled or remembered. Throws SPEC_INVALID with the name of the field. */
export function seccompFilter(profile: OciSeccomp, architecture: Architecture): ReadyFilter {
  const isOwn = Object.isFrozen(profile) && architecture === (process.arch === 'arm64' ? 'arm64' : 'x64')
  const known = isOwn ? byIdentity.get(profile) : undefined
  if (known) return known
  const key = architecture + JSON.stringify(profile, (_, value) => (typeof value === 'bigint' ? `${value}n` : value))
  const ready = byContent.get(key) ?? makeReady(profile, architecture)
  byContent.delete(key)
  byContent.set(key, ready)
  const [oldest] = byContent.keys()
  if (byContent.size > mostKept && oldest !== undefined) byContent.delete(oldest)
  if (isOwn) byIdentity.set(profile, ready)
  return ready
}

function makeReady(profile: OciSeccomp, architecture: Architecture): ReadyFilter {
  const { program, flags, notifies } = compileSeccomp(profile, architecture)
  return { bytes: programBytes(program), flags, notifies }
}

/**
 * seccomp(2): the filter is in force from this entry on. The result is 0, or the descriptor of the listener where the
 * profile has SCMP_ACT_NOTIFY. Throws SPEC_INVALID.
 */
export function recordSeccomp(tape: SyscallTape, profile: OciSeccomp, architecture: Architecture): Result {
  const { bytes, flags } = seccompFilter(profile, architecture)
  const filter = Buffer.alloc(16)
  filter.writeUInt16LE(bytes.length / 8)
  const shown = `{${bytes.length / 8} instructions}`
  const place = tape.struct(filter, shown, [[8, tape.struct(bytes, 'BPF')]])
  return tape.call('seccomp', [{ value: SECCOMP_SET_MODE_FILTER, shown: 'SECCOMP_SET_MODE_FILTER' }, flags, place])
}

/** PR_SET_NO_NEW_PRIVS. */
export function noNewPrivileges(tape: SyscallTape): void {
  tape.call('prctl', [{ value: prctlOptions.PR_SET_NO_NEW_PRIVS, shown: 'PR_SET_NO_NEW_PRIVS' }, 1, 0, 0, 0])
}
