import { CLOSE_RANGE_CLOEXEC, openFlags } from '../linux/constants.ts'
import { flags } from '../tape/calls.ts'
import { playerDescriptors } from '../tape/play.ts'
import type { SyscallTape } from '../tape/syscall-tape.ts'

/**
 * Descriptors of the caller that the process shall have at 3, 4, 5 … (`--preserve-fds`). These are the player's own numbers, so
 * the player gets them from here on, and they come to their places when nearly all is done.
 */
export const preservedDescriptor = 600

const everything = { value: 0xffffffff, shown: '~0' }
/** A report is still possible from here while the process' descriptors have taken the player's place. */
const spareReport = preservedDescriptor - 1

/** Closes everything from `first` on but what is preserved. */
export function closeButPreserved(tape: SyscallTape, first: number, preserve: number): void {
  if (preserve > 0) {
    tape.call('close_range', [first, preservedDescriptor - 1, 0])
    tape.call('close_range', [preservedDescriptor + preserve, everything, 0])
  } else tape.call('close_range', [first, everything, 0])
}

/**
 * Moves what is preserved to its place; the answer records the exec. When that fails, the player must report, and the
 * number at which it does may be the process': so the report's own descriptor goes back there, and execve is tried once more to
 * fail in the same way. (A seccomp filter that allows no dup3 can prevent that; then the report is lost in the caller's descriptor.)
 */
export function recordPreserved(tape: SyscallTape, preserve: number, executable: () => void): () => void {
  tape.because('descriptors of the caller come to their places: 3 and what follows (--preserve-fds)')
  const cloexec = flags(openFlags.O_CLOEXEC, openFlags)
  tape.call('dup3', [playerDescriptors.report, spareReport, cloexec])
  for (let at = 0; at < preserve; at++) tape.call('dup3', [preservedDescriptor + at, 3 + at, 0])
  const closeOnExec = { value: CLOSE_RANGE_CLOEXEC, shown: 'CLOSE_RANGE_CLOEXEC' }
  tape.call('close_range', [3 + preserve, everything, closeOnExec])
  return () => {
    const from = tape.entries.length
    executable()
    const attempts = tape.entries.splice(from)
    for (const { name, args } of attempts) tape.call(name, args, { policy: 'ignore' })
    tape.call('dup3', [spareReport, playerDescriptors.report, cloexec], { policy: 'ignore' })
    tape.entries.push(...attempts)
  }
}
