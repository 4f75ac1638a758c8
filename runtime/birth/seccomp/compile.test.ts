import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { audit, runFilter, verifyFilter } from '../../../test/fixtures/bpf-machine.ts'
import { naiveAnswer } from '../../../test/fixtures/naive-seccomp.ts'
import { type CallArchitecture, callNumber } from '../../linux/foreign-syscalls.ts'
import { syscallNames } from '../../linux/syscall-numbers.ts'
import type { OciSeccomp, OciSeccompRule, SeccompAction, SeccompOperator } from '../../spec/types.ts'
import { compileSeccomp } from './compile.ts'

const ALLOW = 0x7fff0000
const enosys = 0x50026
const allowAll = (syscalls: OciSeccompRule[], more: Partial<OciSeccomp> = {}): OciSeccomp => ({
  defaultAction: 'SCMP_ACT_ALLOW',
  syscalls,
  ...more,
})
const deny = (name: string, more: Partial<OciSeccompRule> = {}): OciSeccompRule => ({
  names: [name],
  action: 'SCMP_ACT_ERRNO',
  ...more,
})

/** What the filter of a profile answers to a call of an architecture. */
function ask(profile: OciSeccomp, name: string | number, args: bigint[] = [], architecture: CallArchitecture = 'x64') {
  const { program } = compileSeccomp(profile, architecture.startsWith('arm') ? 'arm64' : 'x64')
  verifyFilter(program)
  const number = typeof name === 'number' ? name : (callNumber(name, architecture) ?? Number.NaN)
  return runFilter(program, { architecture: audit[architecture], number, args }).answer
}

describe('compileSeccomp: actions', () => {
  it.each<[SeccompAction, number | undefined, number]>([
    ['SCMP_ACT_KILL', undefined, 0],
    ['SCMP_ACT_KILL_THREAD', undefined, 0],
    ['SCMP_ACT_KILL_PROCESS', undefined, 0x80000000],
    ['SCMP_ACT_TRAP', undefined, 0x30000],
    ['SCMP_ACT_ERRNO', undefined, 0x50001],
    ['SCMP_ACT_ERRNO', 99, 0x50063],
    ['SCMP_ACT_ERRNO', 0, 0x50000],
    ['SCMP_ACT_TRACE', undefined, 0x7ff00001],
    ['SCMP_ACT_TRACE', 7, 0x7ff00007],
    ['SCMP_ACT_LOG', undefined, 0x7ffc0000],
    ['SCMP_ACT_NOTIFY', undefined, 0x7fc00000],
  ])('%s with %s answers %i', (action, errnoRet, expected) => {
    const rule = { names: ['mkdir'], action, ...(errnoRet === undefined ? {} : { errnoRet }) }
    expect(ask(allowAll([rule], { listenerPath: '/l' }), 'mkdir')).toBe(expected)
    expect(
      ask({ defaultAction: 'SCMP_ACT_ERRNO', syscalls: [{ names: ['mkdir'], action: 'SCMP_ACT_ALLOW' }] }, 'mkdir'),
    ).toBe(ALLOW)
  })
})

describe('compileSeccomp: rules', () => {
  it('one without conditions beats those with, wherever it stands; the first of several counts', () => {
    const on5 = deny('mkdir', { args: [{ index: 0, value: 5, op: 'SCMP_CMP_EQ' }] })
    for (const rules of [
      [on5, deny('mkdir', { errnoRet: 2 }), deny('mkdir', { errnoRet: 3 })],
      [deny('mkdir', { errnoRet: 2 }), on5],
    ]) {
      expect(ask(allowAll(rules), 'mkdir', [5n])).toBe(0x50002)
    }
  })

  it('one that says what the default says is as if it were not there', () => {
    const rules = [
      deny('mkdir', { args: [{ index: 0, value: 5, op: 'SCMP_CMP_GE' }] }),
      { names: ['mkdir'], action: 'SCMP_ACT_ALLOW' as const },
    ]
    expect(ask(allowAll(rules), 'mkdir', [5n])).toBe(0x50001)
    expect(ask(allowAll(rules), 'mkdir', [4n])).toBe(ALLOW)
  })

  it('several arguments are joined by AND, the same one twice by OR', () => {
    const both = deny('mkdir', {
      args: [
        { index: 0, value: 1, op: 'SCMP_CMP_EQ' },
        { index: 1, value: 2, op: 'SCMP_CMP_EQ' },
      ],
    })
    expect(ask(allowAll([both]), 'mkdir', [1n, 2n])).toBe(0x50001)
    expect(ask(allowAll([both]), 'mkdir', [1n, 3n])).toBe(ALLOW)
    const either = deny('mkdir', {
      args: [
        { index: 0, value: 1, op: 'SCMP_CMP_EQ' },
        { index: 0, value: 2, op: 'SCMP_CMP_EQ' },
      ],
    })
    expect(ask(allowAll([either]), 'mkdir', [2n])).toBe(0x50001)
    expect(ask(allowAll([either]), 'mkdir', [3n])).toBe(ALLOW)
  })

  it('all 64 bits count, those beyond 2^53 as well', () => {
    const value = 0x8000000000000001n
    const rule = deny('mkdir', { args: [{ index: 0, value, op: 'SCMP_CMP_EQ' }] })
    expect(ask(allowAll([rule]), 'mkdir', [value])).toBe(0x50001)
    expect(ask(allowAll([rule]), 'mkdir', [value - 1n])).toBe(ALLOW)
    expect(ask(allowAll([rule]), 'mkdir', [1n])).toBe(ALLOW)
  })

  it('names that nobody knows are passed over', () => {
    expect(ask(allowAll([deny('frobnicate'), deny('mkdir')]), 'mkdir')).toBe(0x50001)
  })
})

describe('compileSeccomp: what the profile cannot have known', () => {
  const known: OciSeccomp = {
    defaultAction: 'SCMP_ACT_ERRNO',
    architectures: ['SCMP_ARCH_X86', 'SCMP_ARCH_X32', 'SCMP_ARCH_ARM'],
    syscalls: [{ names: ['read', 'openat2', 'cacheflush'], action: 'SCMP_ACT_ALLOW' }],
  }
  it.each<CallArchitecture>(['x64', 'x86', 'x32', 'arm64', 'arm'])(
    '%s: newer calls answer ENOSYS, older ones the default',
    (arch) => {
      const newest = callNumber('openat2', arch) ?? 0
      expect(ask(known, newest, [], arch)).toBe(ALLOW)
      expect(ask(known, newest - 1, [], arch)).toBe(0x50001)
      expect(ask(known, newest + 1, [], arch)).toBe(enosys)
      expect(ask(known, 0x3fffffff + (arch === 'x32' ? 0x40000000 : 0), [], arch)).toBe(enosys)
      if (arch === 'arm') expect(ask(known, 983042, [], arch)).toBe(ALLOW)
    },
  )

  it.each<[SeccompAction, number]>([
    ['SCMP_ACT_KILL', enosys],
    ['SCMP_ACT_KILL_PROCESS', enosys],
    ['SCMP_ACT_TRAP', enosys],
    ['SCMP_ACT_LOG', 0x7ffc0000],
    ['SCMP_ACT_TRACE', 0x7ff00001],
    ['SCMP_ACT_ALLOW', ALLOW],
  ])('by default %s: %i', (defaultAction, expected) => {
    expect(ask({ ...known, defaultAction }, 460)).toBe(expected)
  })

  it('without any rule there is no newest, and the default holds', () => {
    expect(ask({ defaultAction: 'SCMP_ACT_ERRNO' }, 460)).toBe(0x50001)
  })

  it('architectures that are not listed end the thread; -1, by which a tracer skips a call, does not', () => {
    const native: OciSeccomp = { ...known, architectures: ['SCMP_ARCH_X86_64'] }
    expect(ask(native, 'read', [], 'x86')).toBe(0)
    expect(ask(native, 'read', [], 'x32')).toBe(0)
    expect(ask(native, 0xfffffffe)).toBe(0)
    expect(ask(native, 0xffffffff)).toBe(0x50001)
    expect(ask(native, 'read', [], 'arm')).toBe(0)
  })
})

describe('compileSeccomp: calls that i386 carries inside of others', () => {
  const x86 = { architectures: ['SCMP_ARCH_X86'] }
  it('socketcall and ipc follow the rules for what they carry', () => {
    const profile = allowAll([deny('socket'), deny('shmat'), deny('accept')], x86)
    expect(ask(profile, 'socketcall', [1n], 'x86')).toBe(0x50001)
    expect(ask(profile, 'socketcall', [5n], 'x86')).toBe(0x50001)
    expect(ask(profile, 'socketcall', [2n], 'x86')).toBe(ALLOW)
    expect(ask(profile, 'ipc', [0x10015n], 'x86')).toBe(0x50001)
    expect(ask(profile, 'ipc', [22n], 'x86')).toBe(ALLOW)
  })
  it('a condition on what lies in memory denies all, and allows none', () => {
    const onFamily = [{ index: 0, value: 40, op: 'SCMP_CMP_EQ' as const }]
    expect(ask(allowAll([deny('socket', { args: onFamily })], x86), 'socketcall', [1n], 'x86')).toBe(0x50001)
    const strict: OciSeccomp = {
      defaultAction: 'SCMP_ACT_ERRNO',
      ...x86,
      syscalls: [{ names: ['socket'], action: 'SCMP_ACT_ALLOW', args: onFamily }],
    }
    expect(ask(strict, 'socketcall', [1n], 'x86')).toBe(0x50001)
    expect(ask(strict, 'socket', [40n], 'x86')).toBe(ALLOW)
  })
})

describe('compileSeccomp: any profile', () => {
  const value = fc.oneof(
    fc.nat(3),
    fc.constantFrom(2 ** 32 - 1, 2 ** 32, 2 ** 32 + 1, 2 ** 52),
    fc.bigInt(0n, 2n ** 64n - 1n),
  )
  const operators: SeccompOperator[] = ['NE', 'LT', 'LE', 'EQ', 'GE', 'GT', 'MASKED_EQ'].map(
    (op) => `SCMP_CMP_${op}` as SeccompOperator,
  )
  const condition = fc.record({ index: fc.nat(2), op: fc.constantFrom(...operators), value, valueTwo: value })
  const carried =
    /^(socket|bind|connect|listen|accept|get(sock|peer)name|socketpair|send|recv|shutdown|[gs]etsockopt|sem|msg|shm|ipc)/
  const names = syscallNames().filter((name) => !carried.test(name))
  const rule = fc.record({
    names: fc.uniqueArray(fc.constantFrom(...names), { minLength: 1, maxLength: 4 }),
    action: fc.constantFrom<SeccompAction>(
      'SCMP_ACT_ALLOW',
      'SCMP_ACT_ERRNO',
      'SCMP_ACT_KILL_PROCESS',
      'SCMP_ACT_TRACE',
    ),
    args: fc.array(condition, { maxLength: 3 }),
  })
  const profiles = fc.record({
    defaultAction: fc.constantFrom<SeccompAction>('SCMP_ACT_LOG', 'SCMP_ACT_ERRNO', 'SCMP_ACT_KILL'),
    architectures: fc.subarray(['SCMP_ARCH_X86', 'SCMP_ARCH_X32', 'SCMP_ARCH_X86_64', 'SCMP_ARCH_ARM']),
    syscalls: fc.array(rule, { maxLength: 12 }),
  })

  it.each(['x64', 'arm64'] as const)(
    '%s: answers as the rules say, for any rules, architectures and arguments',
    (native) => {
      const subs: CallArchitecture[] = native === 'x64' ? ['x64', 'x86', 'x32'] : ['arm64', 'arm']
      fc.assert(
        fc.property(profiles, fc.array(value, { minLength: 3, maxLength: 3 }), (profile, given) => {
          const { program } = compileSeccomp(profile, native)
          verifyFilter(program)
          for (const architecture of subs) {
            const args = given.map((one) =>
              BigInt.asUintN(architecture === 'x86' || architecture === 'arm' ? 32 : 64, BigInt(one)),
            )
            const mentioned = new Set(profile.syscalls.flatMap((one) => one.names))
            for (const name of [...mentioned, 'read', 'getpid', 'mseal'] as const) {
              const number = callNumber(name, architecture)
              if (number === undefined) continue
              const expected = naiveAnswer(profile, native, { architecture, name, args })
              const seen = runFilter(program, { architecture: audit[architecture], number, args }).answer
              expect([name, architecture, seen]).toEqual([name, architecture, expected])
            }
          }
        }),
        { numRuns: 300 },
      )
    },
  )
})

describe('compileSeccomp: the kernel’s limits', () => {
  it('jumps farther than 255 and programs longer than 4096', () => {
    const args = (from: number) =>
      Array.from({ length: 6 }, (_, index) => ({ index, value: from + index, op: 'SCMP_CMP_GT' as const }))
    const many = (count: number) =>
      allowAll(
        syscallNames()
          .slice(0, count)
          .map((name, at) => deny(name, { args: args(at) })),
      )
    const { program } = compileSeccomp(many(100), 'x64')
    expect(program.length).toBeGreaterThan(2000)
    verifyFilter(program)
    expect(() => compileSeccomp(many(300), 'x64')).toThrow(/linux\.seccomp\.syscalls.*4096/)
  })
})
