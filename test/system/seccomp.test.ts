/* Filters on real processes: our default profile, 32-bit programs, and the same profiles under Debian's runc. */
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { defaultSeccompProfile, type OciSeccomp, type OciSeccompRule } from '../../runtime/index.ts'
import { callNumber } from '../../runtime/linux/foreign-syscalls.ts'
import { syscallNames } from '../../runtime/linux/syscall-numbers.ts'
import { buildProbe, hasCompiler, parseAnswers } from '../fixtures/probe/build.ts'
import { type Fixture, traces } from './runtime-fixture.ts'
import { aPlace, type Engine, hasRunc, ours, removeGroups, runc } from './runtime-must/engines.ts'
import type { FullSpec } from './runtime-must/must.ts'

const EPERM = 1
const ENOSYS = 38
/** SIGSYS, as a shell says it. */
const killed = 128 + 31

const number = (name: string) => callNumber(name, process.arch === 'arm64' ? 'arm64' : 'x64')
/** Calls that do nothing without arguments but fail, and that no probe needs. */
const harmless =
  'mount umount2 reboot bpf keyctl add_key request_key unshare setns init_module delete_module swapon acct iopl userfaultfd io_uring_setup open_by_handle_at perf_event_open kexec_load quotactl lookup_dcookie process_madvise kcmp pidfd_getfd fsopen move_mount open_tree mbind get_mempolicy settimeofday sethostname listns file_getattr'.split(
    ' ',
  )
const deny = (name: string, more: Partial<OciSeccompRule> = {}): OciSeccompRule => ({
  names: [name],
  action: 'SCMP_ACT_ERRNO',
  ...more,
})
const allowBut = (...syscalls: OciSeccompRule[]): OciSeccomp => ({ defaultAction: 'SCMP_ACT_ALLOW', syscalls })

describe.skipIf(process.getuid?.() !== 0 || !hasCompiler)('seccomp (needs root and gcc)', () => {
  let on: Fixture
  const group = `test-seccomp-${process.pid}`
  beforeAll(async () => {
    on = await aPlace('seccomp')
    if (process.arch === 'x64') buildProbe(join(on.rootfs, 'bin'), 'probe32')
  })
  afterAll(async () => {
    await on[Symbol.asyncDispose]()
    removeGroups(group)
    expect(traces(on.mark)).toEqual([])
    expect(traces(group)).toEqual([])
  })

  const run = (engine: Engine, args: string[], seccomp: OciSeccomp) => {
    const spec = on.spec(args) as FullSpec
    Object.assign(spec.linux, { cgroupsPath: `/${spec.linux.cgroupsPath}`, seccomp })
    return engine.run(spec)
  }
  const calls = async (engine: Engine, seccomp: OciSeccomp, ...asked: string[]) => {
    const { output, error } = await run(engine, ['/bin/probe', ...asked.flatMap((call) => ['call', call])], seccomp)
    expect(error).toBe('')
    return parseAnswers(output).map(({ result, errno }) => (result === -1 ? errno : 'ok'))
  }
  const engines = () => [ours(on), ...(hasRunc ? [runc(on)] : [])]

  it('the default profile: what is withheld answers EPERM, what is newer ENOSYS, the rest reaches the kernel', async () => {
    const profile = defaultSeccompProfile([])
    for (const engine of engines()) {
      const answers = await calls(engine, profile, ...harmless.map((name) => String(number(name))))
      const expected = harmless.map((name) => (['listns', 'file_getattr'].includes(name) ? ENOSYS : EPERM))
      expect([engine.name, ...answers]).toEqual([engine.name, ...expected])
      const open = await calls(
        engine,
        profile,
        String(number('getpid')),
        `${number('socket')},38,5,0`,
        `${number('socket')},1,1,0`,
        `${number('personality')},0xffffffff`,
        `${number('personality')},0x40000`,
        `${number('clone3')},0,0`,
        `${number('clone')},0x10000000`,
      )
      expect([engine.name, ...open]).toEqual([engine.name, 'ok', EPERM, 'ok', 'ok', EPERM, ENOSYS, EPERM])
    }
  })

  it('operators and actions do to a process what runc’s do', async () => {
    const on_ = (op: string, value: number | bigint, valueTwo?: number): OciSeccomp =>
      allowBut(
        deny('getpriority', {
          errnoRet: 99,
          args: [{ index: 1, op, value, ...(valueTwo === undefined ? {} : { valueTwo }) } as never],
        }),
      )
    const call = `${number('getpriority')},0,`
    const cases: [OciSeccomp, string, unknown][] = [
      [on_('SCMP_CMP_EQ', 5), `${call}5`, 99],
      [on_('SCMP_CMP_NE', 0), `${call}0`, 'ok'],
      [on_('SCMP_CMP_GT', 0xffffffff), `${call}0x100000000`, 99],
      [on_('SCMP_CMP_LT', 0xffffffffffffffffn), `${call}0xfffffffffffffffe`, 99],
      [on_('SCMP_CMP_LT', 0xfffffffffffffffen), `${call}0xfffffffffffffffe`, 3],
      [on_('SCMP_CMP_EQ', 9007199254740993n), `${call}9007199254740993`, 99],
      [on_('SCMP_CMP_EQ', 9007199254740993n), `${call}9007199254740992`, 'ok'],
      [on_('SCMP_CMP_MASKED_EQ', 0xf0, 0x50), `${call}0x15f`, 99],
      [on_('SCMP_CMP_LE', 7), `${call}8`, 3],
      [allowBut({ names: ['getpriority'], action: 'SCMP_ACT_LOG' }), `${call}0`, 'ok'],
      [allowBut({ names: ['getpriority'], action: 'SCMP_ACT_TRACE' }), `${call}0`, ENOSYS],
    ]
    for (const [profile, asked, expected] of cases) {
      for (const engine of engines()) {
        expect([engine.name, asked, ...(await calls(engine, profile, asked))]).toEqual([engine.name, asked, expected])
      }
    }
    for (const action of ['SCMP_ACT_KILL', 'SCMP_ACT_KILL_THREAD', 'SCMP_ACT_KILL_PROCESS', 'SCMP_ACT_TRAP'] as const) {
      const profile = allowBut({ names: ['getpriority'], action })
      for (const engine of engines()) {
        const { exitCode } = await run(engine, ['/bin/probe', 'call', `${call}0`], profile)
        expect([engine.name, action, exitCode]).toEqual([engine.name, action, killed])
      }
    }
  })

  it('flags: the kernel takes those that there are', async () => {
    const flags = ['SECCOMP_FILTER_FLAG_LOG', 'SECCOMP_FILTER_FLAG_SPEC_ALLOW', 'SECCOMP_FILTER_FLAG_TSYNC']
    expect(await calls(ours(on), { ...allowBut(deny('getpriority')), flags }, String(number('getpriority')))).toEqual([
      EPERM,
    ])
    const alone = { ...allowBut(deny('getpriority')), flags: ['SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV'] }
    expect((await run(ours(on), ['/bin/probe', 'call', '1'], alone)).error).toMatch(/seccomp\(.*EINVAL/)
  })

  it('without no_new_privs, and as a user, the filter is in force as well', async () => {
    const spec = on.spec(['/bin/probe', 'call', String(number('getpriority')), 'see', '.'], (made) => {
      Object.assign(made.process ?? {}, { noNewPrivileges: false, user: { uid: 1000, gid: 1000 } })
      Object.assign(made.linux, { seccomp: allowBut(deny('getpriority')) })
    })
    const { output } = await ours(on).run(spec)
    const [answer, seen] = parseAnswers(output)
    expect(answer).toEqual({ result: -1, errno: EPERM })
    expect(String(seen?.status)).toMatch(/NoNewPrivs:\t0\nSeccomp:\t2/)
  })

  it('exec gets the container’s filter', async () => {
    await on.runtime.create({
      id: 'ex',
      spec: on.spec(['sleep', '60'], (made) => Object.assign(made.linux, { seccomp: defaultSeccompProfile([]) })),
    })
    await on.runtime.start('ex')
    const session = await on.runtime.exec('ex', { args: ['/bin/probe', 'call', String(number('mount'))] })
    session.stdout.setEncoding('utf8')
    const text = (await session.stdout.toArray()).join('')
    expect(parseAnswers(text)).toEqual([{ result: -1, errno: EPERM }])
    await on.runtime.delete('ex', { force: true })
  })

  describe.skipIf(process.arch !== 'x64')('32-bit programs on x86-64', () => {
    const x86 = (name: string) => callNumber(name, 'x86')
    const asked = [`${x86('getpid')}`, `${x86('keyctl')}`, `${x86('stime')}`, `${x86('socket')},38,5,0`, '9999']
    it('run under the default profile, by the rules of i386', async () => {
      for (const engine of engines()) {
        const { output, exitCode } = await run(engine, ['/bin/probe32', ...asked], defaultSeccompProfile([]))
        const [pid, ...rest] = output.split('\n').map(Number)
        expect([engine.name, exitCode, pid, ...rest]).toEqual([engine.name, 0, 1, -EPERM, -EPERM, -EPERM, -ENOSYS])
      }
    })

    it('are killed at their first call where i386 is not listed', async () => {
      for (const engine of engines()) {
        const { output, exitCode } = await run(engine, ['/bin/probe32', ...asked], {
          ...allowBut(deny('getpriority')),
          architectures: ['SCMP_ARCH_X86_64'],
        })
        expect([engine.name, output, exitCode]).toEqual([engine.name, '', killed])
      }
    })

    it('x32 calls of a 64-bit program: killed where it is not listed', async () => {
      const x32 = String(0x40000000 + (number('getpriority') ?? 0))
      const listed = { ...allowBut(deny('getpriority')), architectures: ['SCMP_ARCH_X32'] }
      for (const engine of engines()) {
        const { exitCode } = await run(engine, ['/bin/probe', 'call', x32], allowBut(deny('getpriority')))
        expect([engine.name, exitCode]).toEqual([engine.name, killed])
        expect([engine.name, ...(await calls(engine, listed, x32))]).toEqual([engine.name, EPERM])
      }
    })
  })

  it('every call of the table is taken by the kernel in one filter', async () => {
    const names = syscallNames().filter(
      (name) => !/^(execve|exit_group|write|exit|read)$/.test(name) && number(name) !== undefined,
    )
    const rules = names.map((name) => ({ names: [name], action: 'SCMP_ACT_LOG' as const }))
    expect(await calls(ours(on), allowBut(...rules), String(number('getpid')))).toEqual(['ok'])
  })
})
