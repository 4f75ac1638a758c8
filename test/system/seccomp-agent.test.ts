/* SCMP_ACT_NOTIFY: calls that an agent on the host answers, under our runtime and under Debian's runc. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { OciSeccomp } from '../../runtime/index.ts'
import { callNumber } from '../../runtime/linux/foreign-syscalls.ts'
import { buildProbe, hasCompiler, parseAnswers } from '../fixtures/probe/build.ts'
import { type Fixture, textOf, traces } from './runtime-fixture.ts'
import { aPlace, type Engine, hasRunc, ours, removeGroups, runc } from './runtime-must/engines.ts'
import type { FullSpec } from './runtime-must/must.ts'

const number = (name: string) => callNumber(name, process.arch === 'arm64' ? 'arm64' : 'x64') ?? -1
let count = 0

describe.skipIf(process.getuid?.() !== 0 || !hasCompiler)('seccomp agent (needs root and gcc)', () => {
  let on: Fixture
  const group = `test-agent-${process.pid}`
  beforeAll(async () => {
    on = await aPlace('agent')
    buildProbe(on.folder, 'agent')
  })
  afterAll(async () => {
    await on[Symbol.asyncDispose]()
    removeGroups(group)
    expect(traces(on.mark)).toEqual([])
    expect(traces(group)).toEqual([])
  })

  const anAgent = async (waitForClose = true) => {
    const path = join(on.folder, `agent${count++}.sock`)
    const agent = spawn(
      join(on.folder, 'agent'),
      [path, String(number('getpriority')), ...(waitForClose ? ['closed'] : [])],
      {
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    )
    const said = textOf(agent.stdout)
    await expect.poll(() => existsSync(path)).toBe(true)
    const end = once(agent, 'exit')
    return { path, said, end, stop: () => agent.kill('SIGKILL') }
  }
  const profile = (listenerPath: string, ...names: string[]): OciSeccomp => ({
    defaultAction: 'SCMP_ACT_ALLOW',
    listenerPath,
    listenerMetadata: 'opaque "data"',
    syscalls: [{ names, action: 'SCMP_ACT_NOTIFY' }],
  })
  const specWith = (seccomp: OciSeccomp, noNewPrivileges: boolean) => {
    const spec = on.spec([
      '/bin/probe',
      'call',
      String(number('getpriority')),
      'call',
      String(number('getpid')),
    ]) as FullSpec
    Object.assign(spec.process, { noNewPrivileges })
    Object.assign(spec.linux, { cgroupsPath: `/${spec.linux.cgroupsPath}`, seccomp })
    return Object.assign(spec, { annotations: { key: 'value' } })
  }
  const engines = (): Engine[] => [ours(on), ...(hasRunc ? [runc(on)] : [])]

  it.each([true, false])(
    'answers what the process asks; it was told which container that is (no_new_privs: %s)',
    async (noNewPrivileges) => {
      for (const engine of engines()) {
        // runc 1.1 leaves the connection open for as long as the container runs, which the spec forbids.
        const agent = await anAgent(engine.name === 'ours')
        // runc's own init does not get over being asked about more.
        const names =
          engine.name === 'runc'
            ? ['getpriority', 'execve']
            : ['getpriority', 'read', 'prctl', 'setresuid', 'capset', 'execve']
        const { output, error } = await engine.run(specWith(profile(agent.path, ...names), noNewPrivileges))
        expect([engine.name, error]).toEqual([engine.name, ''])
        expect(parseAnswers(output)).toEqual([
          { result: -1, errno: 123 },
          { result: 1, errno: 0 },
        ])
        await agent.end
        const [ready, told = '', transfer, ...asked] = (await agent.said).trim().split('\n')
        expect([ready, transfer]).toEqual(['ready', `{"descriptors":1,"closed":${engine.name === 'ours'}}`])
        const state = JSON.parse(told)
        expect(state).toMatchObject({ fds: ['seccompFd'], metadata: 'opaque "data"', pid: expect.any(Number) })
        expect(state.state).toMatchObject({ status: 'creating', pid: state.pid, annotations: { key: 'value' } })
        const numbers = asked.map((line) => JSON.parse(line).asked)
        expect(numbers).toContain(number('getpriority'))
        expect(numbers).toContain(number('execve'))
      }
    },
  )

  it('an agent that is not there: no container, and it is said', async () => {
    const path = join(on.folder, 'nobody.sock')
    for (const engine of engines()) {
      const { error } = await engine.run(specWith(profile(path, 'getpriority'), true))
      expect([engine.name, error.includes('nobody.sock')]).toEqual([engine.name, true])
    }
    expect(readdirSync(on.root).filter((name) => name.startsWith('run'))).toEqual([])
  })

  it('by the command line, without a launcher and traced, the agent is told as well', async () => {
    const agent = await anAgent()
    const engine = ours(on)
    const bundle = engine.bundle(specWith(profile(agent.path, 'getpriority'), true))
    const { status, stdout, stderr } = engine.command('run', '--trace', '-b', bundle, 'traced')
    expect([status, parseAnswers(stdout)[0]]).toEqual([0, { result: -1, errno: 123 }])
    expect(stderr).toMatch(/SECCOMP_SET_MODE_FILTER/)
    await agent.end
    expect(JSON.parse((await agent.said).split('\n')[1] ?? '').state).toMatchObject({
      id: 'traced',
      bundle,
      status: 'creating',
    })
  })

  it('what cannot work is refused: write, the default, and exec', async () => {
    const agent = await anAgent()
    await expect(on.runtime.create({ id: 'w', spec: specWith(profile(agent.path, 'write'), true) })).rejects.toThrow(
      /write/,
    )
    const all = { ...profile(agent.path, 'mkdir'), defaultAction: 'SCMP_ACT_NOTIFY' as const }
    await expect(on.runtime.create({ id: 'w', spec: specWith(all, true) })).rejects.toThrow(/defaultAction/)
    const spec = specWith(profile(agent.path, 'getpriority'), true)
    Object.assign(spec.process, { args: ['sleep', '60'] })
    await on.runtime.create({ id: 'w', spec })
    await on.runtime.start('w')
    await expect(on.runtime.exec('w', { args: ['/bin/true'] })).rejects.toThrow(/listenerPath/)
    await on.runtime.delete('w', { force: true })
    agent.stop()
  })
})
