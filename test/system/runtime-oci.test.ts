import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { cgroups } from '../../runtime/cgroups/driver.ts'
import { bundleSpec, defaultSpec } from '../../runtime/spec/default-spec.ts'
import { patient } from './patience.ts'
import { aFixture, type Fixture, traces } from './runtime-fixture.ts'

const program = resolve(import.meta.dirname, '../../bin/coracle-oci')

describe.skipIf(process.getuid?.() !== 0)('coracle oci (needs root)', () => {
  let on: Fixture
  let bundle: string
  const oci = (...args: string[]) => {
    const all = ['--root', join(on.folder, 'oci'), ...args]
    const { status, stdout, stderr } = spawnSync(program, all, { encoding: 'utf8', timeout: patient(20_000) })
    return { status, stdout, stderr }
  }
  const configure = (args: string[]) => {
    const spec = defaultSpec()
    if (spec.process) Object.assign(spec.process, { terminal: false, args })
    Object.assign(spec, { root: { path: on.rootfs, readonly: true } })
    Object.assign(spec.linux ?? {}, { cgroupsPath: `coracle/test-oci-${process.pid}/c` })
    writeFileSync(join(bundle, 'config.json'), JSON.stringify(spec))
  }
  beforeAll(async () => {
    on = await aFixture('oci')
    bundle = join(on.folder, 'bundle')
    mkdirSync(bundle)
  })
  afterAll(async () => {
    await on[Symbol.asyncDispose]()
    expect(traces('oci-')).toEqual([])
  })

  it('run: streams and exit code are the program’s', () => {
    configure(['sh', '-c', 'echo out; echo err >&2; exit 9'])
    const { stderr, ...rest } = oci('run', '-b', bundle, 'a')
    expect(rest).toEqual({ status: 9, stdout: 'out\n' })
    expect(stderr).toBe('err\n')
    expect(oci('list', '-q').stdout.trim()).toBe('')
  })

  it('create, state, start, exec, ps, pause, update, kill, delete', async () => {
    configure(['sleep', '900'])
    const pidFile = join(on.folder, 'pid')
    // Not by pipes: the container holds them as its own streams, and we would wait for their end.
    const create = ['--root', join(on.folder, 'oci'), 'create', '-b', bundle, '--pid-file', pidFile, 'b']
    expect(spawnSync(program, create, { stdio: 'ignore', timeout: patient(20_000) }).status).toBe(0)
    expect(oci('create', '-b', bundle, 'b')).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('exists already'),
    })
    const state = () => JSON.parse(oci('state', 'b').stdout)
    expect(state()).toMatchObject({ id: 'b', status: 'created', bundle, pid: Number(readFileSync(pidFile, 'utf8')) })
    expect(oci('start', 'b').status).toBe(0)
    expect(state().status).toBe('running')
    expect(oci('exec', 'b', 'sh', '-c', 'echo in; exit 3')).toMatchObject({ status: 3, stdout: 'in\n' })
    expect(oci('exec', '-t', 'b', 'tty')).toMatchObject({ status: 0, stdout: '/dev/pts/0\n' })
    expect(oci('exec', '-e', 'A=b', '--cwd', '/tmp', '-u', '5:6', 'b', 'sh', '-c', 'echo $A $PWD; id').stdout).toBe(
      'b /tmp\nuid=5 gid=6\n',
    )
    expect(JSON.parse(oci('ps', '-f', 'json', 'b').stdout)).toEqual([state().pid])
    expect(oci('pause', 'b').status).toBe(0)
    expect(state().status).toBe('paused')
    expect(oci('resume', 'b').status).toBe(0)
    expect(oci('update', '--pids-limit', '33', 'b').status).toBe(0)
    const fields = `type=bind,source=${on.folder},destination=/tmp,options=bind:ro`
    expect(oci('mounts', 'add', '-m', fields, 'b')).toMatchObject({ status: 0, stderr: '' })
    expect(JSON.parse(oci('mounts', 'list', 'b').stdout)).toMatchObject([{ destination: '/tmp', source: on.folder }])
    expect(oci('exec', 'b', 'ls', '/tmp').stdout).toContain('rootfs')
    expect(oci('mounts', 'remove', 'b', '/tmp').status).toBe(0)
    expect(oci('mounts', 'remove', 'b', '/tmp')).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('nothing has been mounted there'),
    })
    expect(oci('delete', 'b')).toMatchObject({ status: 1, stderr: expect.stringContaining('not stopped') })
    expect(oci('kill', 'b', 'KILL').status).toBe(0)
    await sleep(100)
    expect(state().status).toBe('stopped')
    expect(oci('delete', 'b').status).toBe(0)
    expect(oci('state', 'b').status).toBe(1)
  })

  it('a terminal in the foreground; a program that does not exist', () => {
    configure(['/bin/none'])
    const failed = oci('--log', join(on.folder, 'log'), '--log-format', 'json', 'run', '-b', bundle, 'c')
    expect(failed).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('"/bin/none": stat /bin/none: no such file or directory'),
    })
    expect(JSON.parse(readFileSync(join(on.folder, 'log'), 'utf8')).level).toBe('error')
    configure(['tty'])
    const spec = JSON.parse(readFileSync(join(bundle, 'config.json'), 'utf8'))
    spec.process.terminal = true
    writeFileSync(join(bundle, 'config.json'), JSON.stringify(spec))
    expect(oci('run', '-b', bundle, 'd')).toMatchObject({ status: 0, stdout: '/dev/pts/0\n' })
    expect(oci('create', '-b', bundle, 'e')).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('--console-socket'),
    })
    expect(oci('list', '-q').stdout.trim()).toBe('')
  })

  it('explain, spec and features touch nothing', () => {
    configure(['true'])
    const before = traces('oci-').length
    const untouched = join(on.folder, 'untouched')
    expect(oci('--root', untouched, 'explain', bundle).stdout).toMatch(/pivot_root\("\.", "\."\)/)
    expect(existsSync(untouched)).toBe(false)
    expect(JSON.parse(oci('features').stdout).linux.seccomp.enabled).toBe(true)
    const empty = join(on.folder, 'empty')
    mkdirSync(empty)
    expect(oci('spec', '-b', empty).status).toBe(0)
    expect(oci('spec', '-b', empty).status).toBe(1)
    expect(JSON.parse(readFileSync(join(empty, 'config.json'), 'utf8'))).toEqual(bundleSpec(cgroups().version))
    expect(traces('oci-')).toHaveLength(before)
  })
})
