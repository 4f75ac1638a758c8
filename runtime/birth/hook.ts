import { cloneFlags } from '../linux/constants.ts'
import { type HostFacts, hostFacts } from '../linux/host.ts'
import type { OciHook, OciSpec } from '../spec/types.ts'
import { clone, flags } from '../tape/calls.ts'
import { SyscallTape } from '../tape/syscall-tape.ts'
import { allNamespaces, targetDescriptor } from './exec.ts'
import { type Birth, hideFromTheContainer, ownKeyring } from './order.ts'
import { becomeRootInside, idMapsOf } from './user-namespace.ts'

const birth = { ready: -1, gates: [], userNamespaces: [], warnings: [] }

/** A hook in the namespaces of the runtime: prestart, createRuntime, poststart, poststop. */
export function recordRuntimeHook(hook: OciHook, cwd: string): Birth {
  const tape = new SyscallTape()
  hideFromTheContainer(tape)
  const cloned = clone(tape, 0)
  runHook(tape, hook, cwd)
  return { tape, clone: cloned.entry, ...birth }
}

/**
 * A createContainer hook: in the namespaces of a container that has not entered its root yet, so that paths are still
 * those of the host. `targetDescriptor` is a pidfd of the half-born process.
 */
export function recordContainerHook(hook: OciHook, spec: OciSpec, host: HostFacts = hostFacts()): Birth {
  const tape = new SyscallTape()
  hideFromTheContainer(tape)
  const maps = idMapsOf(spec)
  tape.because('into the namespaces of the container by one call, then one process more for its pid namespace')
  const all = maps ? allNamespaces : allNamespaces & ~cloneFlags.CLONE_NEWUSER
  tape.call('setns', [targetDescriptor, flags(all, cloneFlags)])
  const cloned = clone(tape, 0)
  if (maps) becomeRootInside(tape, maps, host)
  ownKeyring(tape)
  runHook(tape, hook, '/')
  return { tape, clone: cloned.entry, ...birth }
}

function runHook(tape: SyscallTape, { path, args = [path], env = [] }: OciHook, cwd: string): void {
  tape.because('the hook, in a session of its own, so that it can be killed with all that it has started')
  tape.call('setsid', [])
  tape.call('chdir', [cwd])
  tape.call('execve', [path, tape.strings(args), tape.strings(env)])
}
