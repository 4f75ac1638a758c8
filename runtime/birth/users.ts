import { prctlOptions } from '../linux/constants.ts'
import type { OciUser } from '../spec/types.ts'
import type { SyscallTape } from '../tape/syscall-tape.ts'

/**
 * Groups before user, because setgroups and setresgid need privileges that setresuid gives away. PR_SET_KEEPCAPS keeps
 * the permitted set over the change of user, so that capset can choose from it afterwards.
 */
export function becomeUser(tape: SyscallTape, user: OciUser): void {
  const { uid, gid, additionalGids = [] } = user
  const groups = Buffer.alloc(Math.max(additionalGids.length * 4, 4))
  additionalGids.forEach((group, at) => {
    groups.writeUInt32LE(group, at * 4)
  })
  tape.call('setgroups', [additionalGids.length, tape.struct(groups, `[${additionalGids.join(', ')}]`)])
  tape.call('prctl', [{ value: prctlOptions.PR_SET_KEEPCAPS, shown: 'PR_SET_KEEPCAPS' }, 1, 0, 0, 0])
  tape.call('setresgid', [gid, gid, gid])
  tape.call('setresuid', [uid, uid, uid])
}

const keep = { value: 0xffffffff, shown: '-1' }
const isPipe = { value: 1032, shown: 'F_GETPIPE_SZ' }

/** Which of 0, 1 and 2 become the user's own: whatever is a pipe, or these of the caller's. */
export type OwnStdio = 'pipes' | readonly number[]

/**
 * Makes 0, 1 and 2 the user's own, so that /dev/stdout can be opened again by one who is not root. `owner` is the user as
 * whoever plays this knows it. Never a device: where there is no input, 0 is the host's own /dev/null, and an owner of
 * that could change its mode for everybody.
 */
export function ownStdio(tape: SyscallTape, owner: number, which: OwnStdio): void {
  if (which === 'pipes') ownPipes(tape, owner)
  else for (const fd of which) tape.call('fchown', [fd, owner, keep], { policy: 'ignore' })
}

function ownPipes(tape: SyscallTape, owner: number): void {
  for (const fd of [0, 1, 2]) {
    const pipe = tape.call('fcntl', [fd, isPipe], { policy: 'ignore' })
    tape.call('fchown', [fd, owner, keep, pipe], { policy: 'ignore' })
  }
}

/** The same for a terminal, which is the container's own and lies at all three. */
export function ownTerminal(tape: SyscallTape, owner: number): void {
  tape.call('fchown', [0, owner, keep], { policy: 'ignore' })
}
