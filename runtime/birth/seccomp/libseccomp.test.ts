import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import koffi, { type LibraryHandle } from 'koffi'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { audit, parseFilter, runFilter } from '../../../test/fixtures/bpf-machine.ts'
import { callNumber } from '../../linux/foreign-syscalls.ts'
import type { OciSeccomp, SeccompAction, SeccompOperator } from '../../spec/types.ts'
import { defaultSeccompProfile } from '../seccomp-profile.ts'
import { compileSeccomp } from './compile.ts'
import { checkProfile } from './profile.ts'
import type { Instruction } from './program.ts'

/** The library that runc and crun use, where the machine has it: its filters and ours must answer alike. */
const library = openLibrary()

function openLibrary(): LibraryHandle | undefined {
  try {
    return koffi.load('libseccomp.so.2')
  } catch {
    return undefined
  }
}

/** Tokens of seccomp.h. */
const tokens: Record<string, number> = {
  SCMP_ARCH_X86_64: 0xc000003e,
  SCMP_ARCH_X86: 0x40000003,
  SCMP_ARCH_X32: 0x4000003e,
  SCMP_ARCH_AARCH64: 0xc00000b7,
  SCMP_ARCH_ARM: 0x40000028,
}
const tokenOf = { x64: 0xc000003e, x86: 0x40000003, x32: 0x4000003e } as const
const operators: SeccompOperator[] = ['NE', 'LT', 'LE', 'EQ', 'GE', 'GT', 'MASKED_EQ'].map(
  (op) => `SCMP_CMP_${op}` as SeccompOperator,
)

describe.skipIf(library === undefined || process.arch !== 'x64')('compileSeccomp beside libseccomp', () => {
  let folder: string
  const bound = (prototype: string) => (library as LibraryHandle).func(prototype)
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'coracle-libseccomp-'))
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))
  const bindAll = () => ({
    init: bound('void *seccomp_init(uint32_t action)'),
    release: bound('void seccomp_release(void *context)'),
    addArchitecture: bound('int seccomp_arch_add(void *context, uint32_t token)'),
    resolve: bound('int seccomp_syscall_resolve_name(const char *name)'),
    resolveFor: bound('int seccomp_syscall_resolve_name_arch(uint32_t token, const char *name)'),
    addRule: bound(
      'int seccomp_rule_add_array(void *context, uint32_t action, int call, uint32_t count, const void *args)',
    ),
    export: bound('int seccomp_export_bpf(void *context, int fd)'),
  })
  let all: ReturnType<typeof bindAll> | undefined
  const calls = () => {
    all ??= bindAll()
    return all
  }

  /** As runc feeds it (libcontainer/seccomp), without the ENOSYS that runc puts before it. */
  function theirs(profile: OciSeccomp): Instruction[] {
    const seccomp = calls()
    const { otherwise, rules, architectures } = checkProfile(profile)
    const context = seccomp.init(libseccompAction(otherwise))
    try {
      for (const name of architectures) {
        const code = seccomp.addArchitecture(context, tokens[name] ?? 0)
        if (code !== 0 && code !== -17) throw new Error(`seccomp_arch_add ${name}: ${code}`)
      }
      for (const { names, answer, conditions } of rules) {
        if (answer === otherwise) continue
        for (const name of names) {
          const number = seccomp.resolve(name)
          if (number === -1) continue
          const bytes = Buffer.alloc(Math.max(24 * conditions.length, 24))
          conditions.forEach(({ argument, comparison, value, mask }, at) => {
            bytes.writeUInt32LE(argument, at * 24)
            bytes.writeUInt32LE(operators.indexOf(`SCMP_CMP_${comparison}` as SeccompOperator) + 1, at * 24 + 4)
            bytes.writeBigUInt64LE(comparison === 'MASKED_EQ' ? mask : value, at * 24 + 8)
            bytes.writeBigUInt64LE(value, at * 24 + 16)
          })
          const code = seccomp.addRule(context, libseccompAction(answer), number, conditions.length, bytes)
          if (code !== 0) throw new Error(`seccomp_rule_add ${name}: ${code}`)
        }
      }
      const file = join(folder, 'bpf')
      const fd = openSync(file, 'w')
      const code = seccomp.export(context, fd)
      closeSync(fd)
      if (code !== 0) throw new Error(`seccomp_export_bpf: ${code}`)
      return parseFilter(readFileSync(file))
    } finally {
      seccomp.release(context)
    }
  }

  /** Its own words for actions are the kernel's. */
  const libseccompAction = (answer: number) => answer >>> 0
  const knowsName = (name: string) => calls().resolve(name) !== -1

  /** Ours beside theirs, for calls up to the newest that the profile names: beyond it the ENOSYS rule is ours and runc's. */
  function compare(profile: OciSeccomp, names: readonly string[], args: readonly bigint[]): void {
    const filters = [compileSeccomp(profile, 'x64').program, theirs(profile)] as const
    for (const architecture of ['x64', 'x86', 'x32'] as const) {
      const cut = args.map((arg) => BigInt.asUintN(architecture === 'x86' ? 32 : 64, arg))
      for (const name of names) {
        const number = callNumber(name, architecture)
        if (number === undefined || calls().resolveFor(tokenOf[architecture], name) < 0) continue
        const answers = filters.map(
          (filter) => runFilter(filter, { architecture: audit[architecture], number, args: cut }).answer,
        )
        expect([architecture, name, args, answers[0]]).toEqual([architecture, name, args, answers[1]])
      }
    }
  }

  it('the default profile: every call of every architecture', () => {
    const profile = defaultSeccompProfile(['CAP_SYS_CHROOT'], 'x64')
    const named = (profile.syscalls ?? []).flatMap((rule) => rule.names)
    // Conditions on what i386's socketcall carries are stricter with us; it is allowed as a whole here.
    const known = named.filter(knowsName)
    const withheld = ['mount', 'reboot', 'bpf', 'keyctl', 'unshare', 'ptrace', 'setns', 'io_uring_setup', 'userfaultfd']
    const values = [0n, 1n, 8n, 38n, 39n, 40n, 41n, 0x20008n, 0xffffffffn, 0x7e020000n, 0x10000000n, 0x1_0000_0000n]
    const reduced = {
      ...profile,
      syscalls: (profile.syscalls ?? [])
        .map((rule) => ({ ...rule, names: rule.names.filter(knowsName) }))
        .filter((rule) => rule.names.length > 0),
    }
    for (const value of values) compare(reduced, [...known, ...withheld], [value, 0n, 0n])
  })

  // One rule with conditions for a call, or several that ask an argument for equality: with other overlapping rules
  // libseccomp 2.5 forgets some (`<= 0x100000001` beside `<= 0` lets 0xffffffff through).
  it('any profile with one answer besides the default', () => {
    const word = fc.oneof(
      fc.bigInt(0n, 3n),
      fc.constantFrom(2n ** 32n - 1n, 2n ** 32n, 2n ** 32n + 1n),
      fc.bigInt(0n, 2n ** 64n - 1n),
    )
    const condition = fc.record({ index: fc.nat(2), op: fc.constantFrom(...operators), value: word, valueTwo: word })
    const together = fc
      .uniqueArray(condition, { maxLength: 3, selector: ({ index }) => index })
      .map((args) => [{ args }])
    const equal = fc.record({ index: fc.constant(1), op: fc.constant('SCMP_CMP_EQ' as const), value: word })
    const oneByOne = fc.array(equal, { minLength: 1, maxLength: 4 }).map((list) => list.map((one) => ({ args: [one] })))
    const action = fc.constantFrom<SeccompAction>('SCMP_ACT_ERRNO', 'SCMP_ACT_KILL_PROCESS', 'SCMP_ACT_TRACE')
    const names = ['read', 'mkdir', 'openat', 'ioctl', 'execve', 'prctl', 'clone', 'rt_sigaction', 'vmsplice']
    const ruled = fc.tuple(...names.map((name) => fc.oneof(together, oneByOne).map((rules) => ({ name, rules }))))
    const listed = fc.subarray(['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86', 'SCMP_ARCH_X32'])
    fc.assert(
      fc.property(
        ruled,
        action,
        listed,
        fc.array(word, { minLength: 3, maxLength: 3 }),
        (all, answer, architectures, args) => {
          const syscalls = all.flatMap(({ name, rules }) =>
            rules.map((rule) => ({ ...rule, names: [name], action: answer })),
          )
          compare({ defaultAction: 'SCMP_ACT_ALLOW', architectures, syscalls }, [...names, 'getpid'], args)
        },
      ),
      { numRuns: 300 },
    )
  })
})
