import { spawnSync } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { cgroups } from '../../runtime/cgroups/driver.ts'
import { startTimeOf } from '../../runtime/linux/process.ts'
import { defaultSpec } from '../../runtime/spec/default-spec.ts'
import type { OciSpec } from '../../runtime/spec/types.ts'
import { coracleOci } from '../peers/engine/sandbox.ts'
import { patience, patient } from './patience.ts'
import { aFixture, type Fixture, logText } from './runtime-fixture.ts'

const canRun = process.getuid?.() === 0

async function eventually<T>(look: () => T, isSo: (seen: T) => boolean): Promise<T> {
  for (let tries = 0; ; tries++) {
    const seen = look()
    if (isSo(seen)) return seen
    if (tries > 200 * patience) throw new Error(`still ${JSON.stringify(seen)}`)
    await sleep(20)
  }
}

/** What runc does beyond the specification, and what scripts and engines have come to rely on. */
describe.skipIf(!canRun)('coracle-oci: habits of runc (needs root)', () => {
  let on: Fixture
  let bundle: string
  const group = `coracle/test-habits-${process.pid}`
  const oci = (...args: string[]) =>
    spawnSync(coracleOci, ['--root', join(on.folder, 'oci'), ...args], { encoding: 'utf8', timeout: patient(20_000) })
  const detached = (id: string) =>
    spawnSync(coracleOci, ['--root', join(on.folder, 'oci'), 'run', '-d', '-b', bundle, id], {
      stdio: 'ignore',
      timeout: patient(20_000),
    })
  const configure = (args: string[], change: (spec: Required<OciSpec>) => void = () => {}) => {
    const spec = defaultSpec() as Required<OciSpec>
    if (spec.process) Object.assign(spec.process, { terminal: false, args })
    Object.assign(spec, { root: { path: on.rootfs, readonly: true } })
    Object.assign(spec.linux, { cgroupsPath: `/${group}` })
    change(spec)
    writeFileSync(join(bundle, 'config.json'), JSON.stringify(spec))
  }
  beforeAll(async () => {
    on = await aFixture('habits')
    bundle = join(on.folder, 'bundle')
    mkdirSync(bundle)
    mkdirSync(join(on.folder, 'oci'))
  })
  afterEach(() => {
    for (const id of oci('list', '-q').stdout.split('\n').filter(Boolean)) oci('delete', '-f', id)
  })
  afterAll(async () => {
    await cgroups().remove(group)
    await on[Symbol.asyncDispose]()
  })

  it('a group in which others live, or that is frozen, is refused, and those in it live on', async () => {
    configure(['sleep', '900'])
    expect(detached('first').status).toBe(0)
    const { status, stderr } = oci('run', '-b', bundle, 'second')
    expect([status, stderr]).toEqual([
      1,
      expect.stringContaining("container's cgroup is not empty: 1 process(es) found"),
    ])
    expect(JSON.parse(oci('state', 'first').stdout).status).toBe('running')
    expect(oci('delete', '--force', 'first').status).toBe(0)
    cgroups().create(group, {})
    await cgroups().freeze(group, true)
    try {
      const frozen = oci('create', '-b', bundle, 'third')
      expect([frozen.status, frozen.stderr]).toEqual([
        1,
        expect.stringContaining("container's cgroup unexpectedly frozen"),
      ])
    } finally {
      await cgroups().freeze(group, false)
    }
    expect(oci('list', '-q').stdout).toBe('')
  })

  it('SIGKILL means all processes where the first has no pid namespace that would take the others with it', async () => {
    const shared = (spec: Required<OciSpec>) =>
      Object.assign(spec.linux, { namespaces: spec.linux.namespaces?.filter(({ type }) => type !== 'pid') })
    configure(['sh', '-c', 'sleep 900 & sleep 900 & wait'], shared)
    expect(detached('many').status).toBe(0)
    const pids = await eventually(
      () => cgroups().pids(group),
      (found) => found.length === 3,
    )
    expect(oci('kill', 'many', 'KILL').status).toBe(0)
    await eventually(
      () => pids.filter((pid) => existsSync(`/proc/${pid}/root/bin`)),
      (left) => left.length === 0,
    )
    expect(oci('delete', 'many').status).toBe(0)
  })

  it('exec is in the time namespace of its container', () => {
    configure(['sleep', '900'], (spec) =>
      Object.assign(spec.linux, {
        namespaces: [...(spec.linux.namespaces ?? []), { type: 'time' }],
        timeOffsets: { monotonic: { secs: 7881, nanosecs: 2718281 } },
      }),
    )
    expect(detached('late').status).toBe(0)
    const { stdout } = oci('exec', 'late', 'cat', '/proc/self/timens_offsets')
    expect(stdout).toMatch(/^monotonic\s+7881\s+2718281$/m)
    expect(oci('delete', '--force', 'late').status).toBe(0)
  })

  it('of a variable that is there twice the last value counts, and an empty HOME is none', () => {
    configure(['env'], ({ process }) => Object.assign(process, { env: ['A=1', 'HOME=/x', 'A=', 'HOME=', 'PATH=/bin'] }))
    expect(oci('run', '-b', bundle, 'twice').stdout.trim().split('\n').toSorted()).toEqual([
      'A=',
      'HOME=/',
      'PATH=/bin',
    ])
  })

  it('a startContainer hook without an environment of its own has that of the process, and HOME', () => {
    configure(['true'], (spec) => {
      Object.assign(spec.process, { env: ['PATH=/bin', 'WORD=heard'] })
      const args = ['sh', '-c', 'test "$WORD$HOME" = heard/']
      Object.assign(spec, { hooks: { startContainer: [{ path: '/bin/sh', args }] } })
    })
    expect(oci('run', '-b', bundle, 'hooked')).toMatchObject({ status: 0, stderr: '' })
  })

  it('a user who is not root can open /dev/stdout again, in run and in exec: a pipe and a file are his, a device is not', () => {
    const sh = (script: string) => ['sh', '-c', script]
    configure(sh('echo run > /dev/stdout; sleep 60'), (spec) => {
      Object.assign(spec.process ?? {}, { user: { uid: 1000, gid: 1000 } })
    })
    const file = join(on.folder, 'said')
    const said = openSync(file, 'w')
    const flags = ['--root', join(on.folder, 'oci')]
    const devNull = statSync('/dev/null').uid
    const run = spawnSync(coracleOci, [...flags, 'run', '-d', '-b', bundle, 'user'], { stdio: ['ignore', said, said] })
    expect(run.status).toBe(0)
    const exec = [coracleOci, ...flags, 'exec', '--user', '1001', 'user', ...sh('echo exec > /dev/stdout')]
    const piped = spawnSync('sh', ['-c', '"$@" | cat', 'sh', ...exec], { encoding: 'utf8', timeout: 20_000 })
    expect(piped).toMatchObject({ stdout: 'exec\n', stderr: '' })
    expect(readFileSync(file, 'utf8')).toBe('run\n')
    expect(statSync('/dev/null').uid).toBe(devNull)
  })

  it('a hook on the host has the environment of the runtime, unless it names its own', () => {
    configure(['true'], (spec) => {
      const check = (words: string) => ({ path: '/bin/sh', args: ['sh', '-c', `test "$PATH $WORD" = "${words}"`] })
      const createRuntime = [check(`${process.env.PATH} `), { ...check('/x own'), env: ['PATH=/x', 'WORD=own'] }]
      Object.assign(spec, { hooks: { createRuntime } })
    })
    expect(oci('run', '-b', bundle, 'hooked')).toMatchObject({ status: 0, stderr: '' })
  })

  it('exec into a group below that is not there: says which file could not be written', () => {
    configure(['sleep', '900'])
    expect(detached('grouped').status).toBe(0)
    const { status, stderr } = oci('exec', '--cgroup', 'none', 'grouped', 'true')
    expect([status, stderr]).toEqual([
      255,
      expect.stringMatching(/ adding pid to .*\/none\/\S+: no such file or directory/),
    ])
  })

  it('a file is mounted where a link of the image leads, though nothing is there: its folders are made inside the root', () => {
    const rootfs = join(on.folder, 'linked')
    cpSync(on.rootfs, rootfs, { recursive: true, verbatimSymlinks: true })
    symlinkSync('../run/systemd/resolve/stub-resolv.conf', join(rootfs, 'etc/resolv.conf'))
    symlinkSync('/../../tmp/out', join(rootfs, 'etc/out'))
    const source = join(on.folder, 'source')
    writeFileSync(source, 'nameserver 192.0.2.1\n')
    const bind = (destination: string) => ({ destination, type: 'bind', source, options: ['bind', 'ro'] })
    configure(['cat', '/etc/resolv.conf', '/run/systemd/resolve/stub-resolv.conf', '/tmp/out/x'], (spec) => {
      Object.assign(spec, {
        root: { path: rootfs },
        mounts: [...(spec.mounts ?? []), bind('/etc/resolv.conf'), bind('/etc/out/x')],
      })
    })
    expect(oci('run', '-b', bundle, 'linked')).toMatchObject({ status: 0, stdout: 'nameserver 192.0.2.1\n'.repeat(3) })
    expect(existsSync(join(rootfs, 'tmp/out/x'))).toBe(true)
    expect(existsSync('/tmp/out/x')).toBe(false)
  })

  it('the same in an image of layers: the topmost that has the name says whether it is a link', async () => {
    const [lower, hidden, upper, work] = ['lower', 'hidden', 'upper', 'work'].map((name) =>
      join(on.folder, `o-${name}`),
    )
    cpSync(on.rootfs, lower ?? '', { recursive: true, verbatimSymlinks: true })
    for (const folder of [hidden, upper, work])
      mkdirSync(join(folder ?? '', folder === hidden ? 'etc' : ''), { recursive: true })
    symlinkSync('../run/a/resolv.conf', join(lower ?? '', 'etc/resolv.conf'))
    symlinkSync('../run/b/hosts', join(lower ?? '', 'etc/hosts'))
    writeFileSync(join(hidden ?? '', 'etc/hosts'), '')
    const source = join(on.folder, 'word')
    writeFileSync(source, 'word\n')
    const bind = (destination: string) => ({ destination, type: 'bind', source, options: ['bind'] })
    const spec = on.spec(['sh', '-c', 'cat /run/a/resolv.conf /etc/hosts; ls /run'], (made) => {
      made.mounts = [...(made.mounts ?? []), bind('/etc/resolv.conf'), bind('/etc/hosts')]
    })
    const rootfs = { overlay: { lower: [hidden ?? '', lower ?? ''], upper: upper ?? '', work: work ?? '' } }
    const log = join(on.folder, 'layers.log')
    await on.runtime.create({ id: 'layers', spec, rootfs, log: { path: log } })
    await on.runtime.start('layers')
    expect((await on.runtime.wait('layers')).exitCode).toBe(0)
    await on.runtime.delete('layers')
    expect(logText(log)).toBe('word\nword\na')
  })

  it('--no-pivot: no bare /proc for a user namespace inside, as without', () => {
    const script = 'unshare -mrpf sh -c "mount -t proc none /proc && echo bare"'
    configure(['sh', '-c', script], ({ process }) => {
      for (const set of ['bounding', 'permitted'] as const) process.capabilities?.[set]?.push('CAP_SETFCAP')
    })
    for (const flags of [[], ['--no-pivot']]) {
      const { status, stdout, stderr } = oci('run', ...flags, '-b', bundle, 'bare')
      expect([status === 0, stdout, stderr]).toEqual([
        false,
        '',
        expect.stringMatching(/permission denied|not permitted/i),
      ])
    }
  })

  it('update --memory -1 takes the limit of memory with swap away too, which could not be below', () => {
    configure(['sleep', '900'], (spec) =>
      Object.assign(spec.linux, {
        resources: { ...spec.linux.resources, memory: { limit: 32 << 20, swap: 48 << 20 } },
      }),
    )
    expect(detached('grown').status).toBe(0)
    expect(oci('update', '--memory', '-1', 'grown')).toMatchObject({ status: 0, stderr: '' })
    expect(cgroups().memoryLimit(group)).toBeUndefined()
  })

  it('an ambient capability that cannot be raised is a warning', () => {
    configure(['grep', 'CapAmb', '/proc/self/status'], ({ process }) => {
      const both = ['CAP_KILL']
      Object.assign(process.capabilities ?? {}, { inheritable: both, permitted: both, ambient: [...both, 'CAP_CHOWN'] })
    })
    const { status, stdout, stderr } = oci('--debug', 'run', '-b', bundle, 'ambient')
    expect([status, stdout.trim()]).toEqual([0, 'CapAmb:\t0000000000000020'])
    expect(stderr).toContain("can't raise ambient capability CAP_CHOWN: ")
  })

  it('a terminal in the foreground passes newlines on as they are', () => {
    configure(['echo', 'one'], ({ process }) => Object.assign(process, { terminal: true }))
    expect(oci('run', '-b', bundle, 'terminal').stdout).toBe('one\n')
  })

  it('delete --force ends a process that somebody has moved into a frozen group', async () => {
    configure(['sleep', '60'])
    expect(detached('held').status).toBe(0)
    const { pid } = JSON.parse(oci('state', 'held').stdout) as { pid: number }
    const elsewhere = `${group}-frozen`
    cgroups().create(elsewhere, {})
    cgroups().takeBack(elsewhere, pid)
    await cgroups().freeze(elsewhere, true)
    try {
      expect(oci('delete', '--force', 'held')).toMatchObject({ status: 0, stderr: '' })
      // Whoever adopts orphans here may leave it a zombie for a moment.
      expect(startTimeOf(pid)).toBeUndefined()
      expect(cgroups().pids(elsewhere)).toEqual([])
    } finally {
      await cgroups().freeze(elsewhere, false)
      await cgroups().remove(elsewhere)
    }
  })

  it('a container without a mount namespace: its root is in the host’s, all that enters it is in there, and it goes with it', async () => {
    const withoutOwn = (spec: Required<OciSpec>) => {
      Object.assign(spec.linux, { namespaces: spec.linux.namespaces?.filter(({ type }) => type !== 'mount') })
    }
    const mounted = () =>
      readFileSync('/proc/self/mountinfo', 'utf8')
        .split('\n')
        .filter((row) => row.includes(on.rootfs))
    configure(['sleep', '900'], withoutOwn)
    expect(detached('inside').status).toBe(0)
    expect(mounted().length).toBeGreaterThan(5)
    const seen = oci('exec', 'inside', 'sh', '-c', 'readlink /proc/self/ns/mnt; ls /; ls /sys/fs/cgroup')
    expect([seen.status, seen.stderr]).toEqual([0, ''])
    expect(seen.stdout).toContain(readlinkSync('/proc/self/ns/mnt'))
    expect(seen.stdout).toMatch(/\bdata\b/)
    expect(seen.stdout).not.toMatch(/\bhome\b/)
    const added = oci('mounts', 'add', 'inside', '-m', 'type=tmpfs,source=tmpfs,destination=/tmp')
    expect([added.status, added.stderr]).toEqual([1, expect.stringContaining('without a mount namespace')])
    expect(oci('delete', '--force', 'inside')).toMatchObject({ status: 0, stderr: '' })
    expect(mounted()).toEqual([])
    const overlay = { lower: [on.rootfs], upper: join(on.folder, 'none'), work: join(on.folder, 'none') }
    const layered = on.runtime.create({ id: 'layered', spec: on.spec(['true'], withoutOwn), rootfs: { overlay } })
    await expect(layered).rejects.toThrow('a root of layers is not mounted')
    configure(['/no/such'], withoutOwn)
    expect(oci('run', '-b', bundle, 'unborn').status).not.toBe(0)
    expect(mounted()).toEqual([])
  })

  it('list of a root that is named and not there fails', () => {
    const { status, stderr } = spawnSync(coracleOci, ['--root', join(on.folder, 'none'), 'list'], { encoding: 'utf8' })
    expect([status, stderr]).toEqual([1, expect.stringContaining('none: no such folder')])
  })
})
