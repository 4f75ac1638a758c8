/*
 * A container without a mount namespace of its own: it inherits the runtime's (config-linux.md#namespaces). Its root is a
 * copy that is mounted on its own folder, where the host sees it too, until the container is deleted (container/host-root.ts);
 * chroot(2) alone keeps its processes in there.
 */
import { AT_RECURSIVE, mountFlags, openFlags } from '../linux/constants.ts'
import { specUnsupported } from '../spec/errors.ts'
import type { OciSpec } from '../spec/types.ts'
import { here, mountSetattr, moveMount, open, openTree } from '../tape/calls.ts'
import type { Arg, Result, SyscallTape } from '../tape/syscall-tape.ts'
import type { RootPlan } from './rootfs.ts'

export function hasMountNamespace({ linux }: OciSpec): boolean {
  return linux?.namespaces?.some(({ type }) => type === 'mount') ?? false
}

/** Mounts the root on itself; returns a descriptor of that mount, on which everything else works. Throws SPEC_UNSUPPORTED for layers. */
export function recordHostRoot(tape: SyscallTape, { path, overlay }: RootPlan): Result {
  if (overlay) throw specUnsupported('linux.namespaces', 'without a mount namespace a root of layers is not mounted')
  tape.because(
    'without a mount namespace the root is mounted in that of the host; what is mounted in it goes nowhere else',
  )
  const isPrivate = { set: 0, clear: 0, propagation: mountFlags.MS_PRIVATE }
  const copy = openTree(tape, here, path, AT_RECURSIVE)
  mountSetattr(tape, copy, isPrivate, { recursive: true })
  moveMount(tape, copy, open(tape, path, openFlags.O_PATH | openFlags.O_DIRECTORY))
  // On a mount that is shared it has become that as well.
  mountSetattr(tape, copy, isPrivate, { recursive: true })
  return copy
}

export function enterHostRoot(tape: SyscallTape, root: Arg): void {
  tape.because('enter the root; the old one is the host’s, and stays')
  tape.call('fchdir', [root])
  tape.call('chroot', ['.'])
  tape.call('chdir', ['/'])
}

/** The root of the process `pid`, which is the one behind the pidfd `target`: it lives, so the number has not been given away. */
export function openHostRoot(tape: SyscallTape, { pid, target }: { pid: number; target: number }): Result {
  tape.because('it has no mount namespace that could be joined: its root is found by its first process')
  const root = open(tape, `/proc/${pid}/root`, openFlags.O_PATH | openFlags.O_DIRECTORY)
  tape.call('pidfd_send_signal', [target, 0, null, 0])
  return root
}
