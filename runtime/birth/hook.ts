import { EACCES } from '../linux/errno-numbers.ts'
import { type HostFacts, hostFacts } from '../linux/host.ts'
import type { OciHook, OciSpec } from '../spec/types.ts'
import { clone } from '../tape/calls.ts'
import { type CallOptions, SyscallTape } from '../tape/syscall-tape.ts'
import { enterContainer } from './exec.ts'
import { type Birth, hideFromTheContainer, ownKeyring } from './order.ts'

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
export function recordContainerHook(
  hook: OciHook,
  spec: OciSpec,
  { cwd, host = hostFacts() }: { cwd: string; host?: HostFacts },
): Birth {
  const tape = new SyscallTape()
  hideFromTheContainer(tape)
  const cloned = enterContainer(tape, spec, host)
  ownKeyring(tape)
  tape.call('chdir', ['/'])
  // The root of a user namespace may not be let in there.
  runHook(tape, hook, cwd, { tolerate: [EACCES] })
  return { tape, clone: cloned.entry, ...birth }
}

function runHook(
  tape: SyscallTape,
  { path, args = [path], env = [] }: OciHook,
  cwd: string,
  entering: CallOptions = {},
): void {
  tape.because('the hook, in a session of its own, so that it can be killed with all that it has started')
  tape.call('setsid', [])
  tape.call('chdir', [cwd], entering)
  tape.call('execve', [path, tape.strings(args), tape.strings(env)])
}
