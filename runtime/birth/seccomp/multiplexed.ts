import { callNumber } from '../../linux/foreign-syscalls.ts'
import type { Rule } from './profile.ts'

/** On i386 one call carries many: its first argument says which (socketcall(2), ipc(2); linux/net.h, linux/ipc.h). */
const carriers = [
  {
    carrier: 'socketcall',
    mask: 0xffffffffn,
    carries:
      ' socket bind connect listen accept getsockname getpeername socketpair send recv sendto recvfrom shutdown setsockopt getsockopt sendmsg recvmsg accept4 recvmmsg sendmmsg',
  },
  {
    carrier: 'ipc',
    // Above them is a version, which the kernel takes off again.
    mask: 0xffffn,
    carries: ' semop semget semctl semtimedop       msgsnd msgrcv msgget msgctl       shmat shmdt shmget shmctl',
  },
].map(({ carrier, mask, carries }) => ({ carrier, mask, names: carries.split(' ') }))

/**
 * What the rules of a profile mean for i386's carriers: a rule for `socket` holds for `socketcall(SYS_SOCKET, …)` too. The
 * arguments themselves lie in memory there, where a filter cannot look: a rule with conditions holds for all of them if
 * it is stricter than the default, and for none if it is milder. (libseccomp lets it hold for all of them, always.)
 */
export function carriedRules(rules: readonly Rule[], otherwise: number): Map<number, Rule[]> {
  const found = new Map<number, Rule[]>()
  for (const { carrier, mask, names } of carriers) {
    const carried = rules.flatMap((rule) => {
      if (rule.conditions.length > 0 && !isStricter(rule.answer, otherwise)) return []
      return rule.names
        .map((name) => names.indexOf(name))
        .filter((code) => code > 0)
        .map((code): Rule => {
          const condition = { argument: 0, comparison: 'MASKED_EQ', mask, value: BigInt(code) } as const
          return { names: [carrier], answer: rule.answer, conditions: [condition] }
        })
    })
    if (carried.length > 0) found.set(callNumber(carrier, 'x86') ?? -1, carried)
  }
  return found
}

/** The kernel's own order of precedence (seccomp(2)): the lower, as a signed number, the stricter. */
function isStricter(answer: number, than: number): boolean {
  const action = (value: number) => (value & 0xffff0000) | 0
  return action(answer) < action(than)
}
