import { prctlOptions, SECCOMP_SET_MODE_FILTER } from '../linux/constants.ts'
import type { Architecture } from '../linux/syscall-numbers.ts'
import { specUnsupported } from '../spec/errors.ts'
import type { OciSeccomp } from '../spec/types.ts'
import type { CallOptions, SyscallTape } from '../tape/syscall-tape.ts'
import { type EarlyGate, passGateWithResult } from './gate.ts'
import { compileSeccomp } from './seccomp/compile.ts'
import { programBytes } from './seccomp/program.ts'

/** A compiled filter as a tape wants it; `notifies`: some calls are an agent's to answer. */
export interface ReadyFilter {
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
 * seccomp(2): the filter is in force from this entry on. Where it asks an agent, the next thing is the gate at which the
 * listener is fetched: whatever came between could be a call about which the agent is asked, and it could not answer yet.
 * Throws SPEC_UNSUPPORTED for such a filter without `gates`.
 */
export function installFilter(tape: SyscallTape, { bytes, flags, notifies }: ReadyFilter, gates?: EarlyGate[]): void {
  const filter = Buffer.alloc(16)
  filter.writeUInt16LE(bytes.length / 8)
  const shown = `{${bytes.length / 8} instructions}`
  const place = tape.struct(filter, shown, [[8, tape.struct(bytes, 'BPF')]])
  const install = (options: CallOptions) => {
    const mode = { value: SECCOMP_SET_MODE_FILTER, shown: 'SECCOMP_SET_MODE_FILTER' }
    tape.call('seccomp', [mode, flags, place], options)
  }
  if (!notifies) install({})
  else if (!gates) throw specUnsupported('linux.seccomp.listenerPath', 'for what is executed in a running container')
  else
    gates.push({
      name: 'seccomp-agent',
      at: passGateWithResult(tape, 'seccomp-agent', (storeAt) => install({ storeAt })),
    })
}

/** PR_SET_NO_NEW_PRIVS. */
export function noNewPrivileges(tape: SyscallTape): void {
  tape.call('prctl', [{ value: prctlOptions.PR_SET_NO_NEW_PRIVS, shown: 'PR_SET_NO_NEW_PRIVS' }, 1, 0, 0, 0])
}
