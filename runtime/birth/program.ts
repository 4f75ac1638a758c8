import { CLOSE_RANGE_CLOEXEC, cloneFlags } from '../linux/constants.ts'
import { flags } from '../tape/calls.ts'
import { SyscallTape } from '../tape/syscall-tape.ts'
import { type Overlay, recordRoot } from './rootfs.ts'
import { now, UserNamespaces } from './user-namespace.ts'

export interface ProgramPlan {
  /** The first is the path of the program, on the host. */
  args: readonly string[]
  /** A root that the program shall find mounted, seen by it and what it starts alone. */
  root?: { path: string; overlay: Overlay }
}

/**
 * A program of the host instead of a birth of our own: another OCI runtime. It finds the descriptors 0, 1 and 2 that the
 * player has, a PATH, and nothing else of ours.
 */
export function recordProgram({ args, root }: ProgramPlan): SyscallTape {
  const tape = new SyscallTape()
  tape.because('no descriptor of ours but its streams')
  const cloexec = { value: CLOSE_RANGE_CLOEXEC, shown: 'CLOSE_RANGE_CLOEXEC' }
  tape.call('close_range', [3, { value: 0xffffffff, shown: '~0' }, cloexec])
  tape.because('a session of its own, so that no signal of our terminal reaches it')
  tape.call('setsid', [])
  if (root) {
    tape.because('the root, in a mount namespace that goes with the container')
    tape.call('unshare', [flags(cloneFlags.CLONE_NEWNS, cloneFlags)])
    recordRoot(tape, root, { fromHost: now(tape), at: undefined, maps: undefined, spaces: new UserNamespaces() })
  }
  tape.because('the runtime')
  const [program = ''] = args
  const path = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
  tape.call('execve', [program, tape.strings(args), tape.strings([path])])
  return tape
}
