import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { syscallNames, syscallNumber } from '../linux/syscall-numbers.ts'
import type { OciSeccomp, SeccompOperator } from '../spec/types.ts'
import { compileSeccomp, type Instruction } from './seccomp.ts'
import { defaultSeccompProfile } from './seccomp-profile.ts'

interface Call {
  number: number
  args?: bigint[]
  architecture?: number
}

const ALLOW = 0x7fff0000
const errno = (number: number) => 0x50000 | number

/** A BPF machine for the instructions that the compiler makes (bpf(4), seccomp_data of seccomp(2)). */
function run(program: readonly Instruction[], { number, args = [], architecture = 0xc000003e }: Call): number {
  const data = Buffer.alloc(64)
  data.writeUInt32LE(number >>> 0, 0)
  data.writeUInt32LE(architecture, 4)
  args.forEach((arg, at) => {
    data.writeBigUInt64LE(BigInt.asUintN(64, arg), 16 + at * 8)
  })
  let accumulator = 0
  for (let at = 0; at < program.length; at++) {
    const { code, k: raw, jumpTrue, jumpFalse } = program[at] as Instruction
    const k = raw >>> 0
    if (jumpTrue > 255 || jumpFalse > 255) throw new Error('a jump that does not fit')
    const jump = (taken: boolean) => {
      at += taken ? jumpTrue : jumpFalse
    }
    if (code === 0x20) accumulator = data.readUInt32LE(k)
    else if (code === 0x05) at += k
    else if (code === 0x15) jump(accumulator === k)
    else if (code === 0x25) jump(accumulator > k)
    else if (code === 0x35) jump(accumulator >= k)
    else if (code === 0x54) accumulator = (accumulator & k) >>> 0
    else if (code === 0x06) return k
    else throw new Error(`unknown instruction ${code}`)
  }
  throw new Error('ran off the end')
}

const of = (name: string) => syscallNumber(name, 'x64') ?? -1

describe('compileSeccomp: default profile', () => {
  const program = compileSeccomp(defaultSeccompProfile(['CAP_CHOWN']), 'x64')
  const answer = (name: string, ...args: bigint[]) => run(program, { number: of(name), args })

  it('everyday calls are allowed, those that reach the machine are not', () => {
    for (const name of [
      'read',
      'write',
      'execve',
      'openat',
      'mmap',
      'futex',
      'exit_group',
      'fork',
      'ptrace',
      'seccomp',
    ]) {
      expect([name, answer(name)]).toEqual([name, ALLOW])
    }
    for (const name of [
      'mount',
      'reboot',
      'kexec_load',
      'bpf',
      'unshare',
      'setns',
      'keyctl',
      'init_module',
      'io_uring_setup',
      'userfaultfd',
    ]) {
      expect([name, answer(name)]).toEqual([name, errno(1)])
    }
  })

  it('conditions: namespaces by clone, clone3, vsock, personality', () => {
    expect(answer('clone', 0x11n)).toBe(ALLOW)
    expect(answer('clone', 0x10000000n)).toBe(errno(1))
    expect(answer('clone3')).toBe(errno(38))
    expect(answer('socket', 2n)).toBe(ALLOW)
    expect(answer('socket', 40n)).toBe(errno(1))
    expect(answer('personality', 0xffffffffn)).toBe(ALLOW)
    expect(answer('personality', 0x40000n)).toBe(errno(1))
  })

  it('unknown: newer calls, x32 and other architectures get ENOSYS', () => {
    expect(run(program, { number: 999 })).toBe(errno(38))
    expect(run(program, { number: 0x40000001 })).toBe(errno(38))
    expect(run(program, { number: 0, architecture: 0x40000003 })).toBe(errno(38))
  })

  it('a capability gives back what it is for', () => {
    const powerful = compileSeccomp(defaultSeccompProfile(['CAP_SYS_ADMIN', 'CAP_SYS_TIME']), 'x64')
    for (const name of ['mount', 'clone3', 'clock_settime']) expect(run(powerful, { number: of(name) })).toBe(ALLOW)
    expect(run(powerful, { number: of('clone'), args: [0x10000000n] })).toBe(ALLOW)
    expect(run(powerful, { number: of('reboot') })).toBe(errno(1))
  })

  it('fits the kernel: at most 4096 instructions, and for arm64 too', () => {
    expect(program.length).toBeLessThan(1000)
    expect(compileSeccomp(defaultSeccompProfile([]), 'arm64').length).toBeLessThan(1000)
  })
})

describe('compileSeccomp: any profile', () => {
  const compare: Record<SeccompOperator, (a: bigint, b: bigint, c: bigint) => boolean> = {
    SCMP_CMP_NE: (a, b) => a !== b,
    SCMP_CMP_LT: (a, b) => a < b,
    SCMP_CMP_LE: (a, b) => a <= b,
    SCMP_CMP_EQ: (a, b) => a === b,
    SCMP_CMP_GE: (a, b) => a >= b,
    SCMP_CMP_GT: (a, b) => a > b,
    SCMP_CMP_MASKED_EQ: (a, b, c) => (a & b) === c,
  }
  const value = fc.oneof(fc.nat(3), fc.constantFrom(2 ** 32 - 1, 2 ** 32, 2 ** 32 + 1, 2 ** 52), fc.maxSafeNat())
  const condition = fc.record({
    index: fc.nat(5),
    op: fc.constantFrom(...(Object.keys(compare) as SeccompOperator[])),
    value,
    valueTwo: value,
  })
  const rule = fc.record({
    names: fc.uniqueArray(fc.constantFrom(...syscallNames()), { minLength: 1, maxLength: 4 }),
    action: fc.constantFrom('SCMP_ACT_ALLOW' as const, 'SCMP_ACT_ERRNO' as const, 'SCMP_ACT_KILL_PROCESS' as const),
    args: fc.array(condition, { maxLength: 3 }),
  })

  it('answers as the rules say, for any rules and arguments', () => {
    const numbers = { SCMP_ACT_ALLOW: ALLOW, SCMP_ACT_ERRNO: errno(1), SCMP_ACT_KILL_PROCESS: 0x80000000 }
    fc.assert(
      fc.property(
        fc.array(rule, { maxLength: 12 }),
        fc.array(value, { minLength: 6, maxLength: 6 }),
        (rules, given) => {
          const profile: OciSeccomp = { defaultAction: 'SCMP_ACT_LOG', syscalls: rules }
          const program = compileSeccomp(profile, 'x64')
          const args = given.map(BigInt)
          for (const name of new Set(rules.flatMap(({ names }) => names))) {
            if (of(name) < 0) continue
            const mine = rules.filter(({ names }) => names.includes(name))
            const fits = mine
              .filter((one) => one.args.length > 0)
              .find((one) =>
                one.args.every(({ index, op, value: b, valueTwo: c }) =>
                  compare[op](args[index] ?? 0n, BigInt(b), BigInt(c)),
                ),
              )
            const decided = fits ?? mine.find((one) => one.args.length === 0)
            expect(run(program, { number: of(name), args })).toBe(decided ? numbers[decided.action] : 0x7ffc0000)
          }
        },
      ),
      { numRuns: 300 },
    )
  })
})
