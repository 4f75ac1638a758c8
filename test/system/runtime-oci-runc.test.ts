import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { closeSync, existsSync, openSync, readFileSync, readSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { cgroups } from '../../runtime/cgroups/driver.ts'
import { descriptorInbox } from '../../runtime/linux/pass-descriptors.ts'
import { defaultSpec } from '../../runtime/spec/default-spec.ts'
import type { OciSpec } from '../../runtime/spec/types.ts'
import { coracleOci, has } from '../peers/engine/sandbox.ts'
import { groupFolders } from './group-folders.ts'
import { patience, patient } from './patience.ts'
import { aFixture, type Fixture, traces } from './runtime-fixture.ts'

const canRun = process.getuid?.() === 0

/** What engines take for granted of runc: its words, its shapes, its descriptors, and its order when several ask at once. */
describe.skipIf(!canRun)('coracle-oci as runc (needs root)', () => {
  let on: Fixture
  let bundle: string
  const cgroup = `coracle/test-ocirunc-${process.pid}`
  const by =
    (program: string, root: string) =>
    (args: string[], o: { stdio?: (number | 'pipe' | 'ignore')[]; env?: NodeJS.ProcessEnv } = {}) => {
      const { status, stdout, stderr } = spawnSync(program, ['--root', join(on.folder, root), ...args], {
        encoding: 'utf8',
        timeout: patient(20_000),
        stdio: o.stdio ?? ['ignore', 'pipe', 'pipe'],
        env: { ...process.env, ...o.env },
      })
      return { status, stdout: stdout ?? '', stderr: stderr ?? '' }
    }
  const oci = (...args: string[]) => by(coracleOci, 'oci')(args)
  const detached = (program: string, root: string, ...args: string[]) =>
    by(program, root)(args, { stdio: ['ignore', 'ignore', 'ignore'] })
  const configure = (args: string[], change: (spec: OciSpec) => void = () => {}) => {
    const spec = defaultSpec()
    if (spec.process) Object.assign(spec.process, { terminal: false, args })
    Object.assign(spec, { root: { path: on.rootfs, readonly: true }, annotations: { 'org.example': 'x' } })
    // runc of Debian 12 has no 1.3.0, and a hybrid host no cgroup namespace that it could use.
    Object.assign(spec, { ociVersion: '1.0.2' })
    const namespaces = (['pid', 'ipc', 'uts', 'mount', 'network'] as const).map((type) => ({ type }))
    Object.assign(spec.linux ?? {}, { cgroupsPath: `/${cgroup}/c`, namespaces })
    change(spec)
    writeFileSync(join(bundle, 'config.json'), JSON.stringify(spec))
  }
  const state = (id: string) => JSON.parse(oci('state', id).stdout)
  beforeAll(async () => {
    on = await aFixture('ocirunc')
    bundle = on.folder
  })
  afterAll(async () => {
    for (const id of oci('list', '-q').stdout.split('\n').filter(Boolean)) oci('delete', '-f', id)
    for (const folder of groupFolders(cgroup))
      spawnSync('find', [folder, '-depth', '-type', 'd', '-exec', 'rmdir', '{}', ';'])
    await on[Symbol.asyncDispose]()
    // Processes that were killed a moment ago may still be on their way out.
    for (let tries = 0; traces('ocirunc-').length > 0 && tries < 50 * patience; tries++) await sleep(100)
    expect(traces('ocirunc-')).toEqual([])
  })

  it.skipIf(!has('runc'))('shapes: list, state, ps, events and their exit codes are those of runc', () => {
    const shapes = [
      ['runc', 'runc'],
      [coracleOci, 'oci'],
    ].map(([program = '', root = '']) => {
      configure(['sleep', '900'], (spec) => Object.assign(spec.linux ?? {}, { cgroupsPath: `/${cgroup}/${root}` }))
      const run = (...args: string[]) => by(program, root)(args)
      expect(detached(program, root, 'run', '-d', '-b', bundle, 'x').status).toBe(0)
      const made = JSON.parse(run('state', 'x').stdout)
      const row = JSON.parse(run('list', '-f', 'json').stdout)[0]
      const [head = '', ...cells] = run('list').stdout.trim().split('\n')
      const stats = JSON.parse(run('events', '--stats', 'x').stdout)
      const ps = run('ps', 'x').stdout.split('\n')
      const pids = JSON.parse(run('ps', '-f', 'json', 'x').stdout)
      const codes = [
        run('exec', 'x', 'sh', '-c', 'exit 3'),
        run('exec', 'x', 'nothing'),
        run('kill', 'x', 'FOO'),
        run('delete', 'x'),
        run('start', 'x'),
        run('resume', 'x'),
        run('state', 'none'),
        run('delete', 'none'),
        run('delete', '-f', 'none'),
        run('create'),
        run('pause', 'x'),
        run('exec', 'x', 'true'),
        run('delete', '-f', 'x'),
        run('list', '-f', 'json'),
      ]
      expect(pids).toEqual([made.pid])
      return {
        state: Object.fromEntries(Object.entries(made).map(([key, value]) => [key, typeof value])),
        same: [made.status, made.bundle, made.rootfs, made.owner, made.annotations, row.owner],
        row: Object.keys(row),
        head: head.split(/\s+/),
        cells: cells[0]?.split(/\s+/).length,
        stats: [
          stats.type,
          Object.keys(stats.data.cpu.usage).filter((key) => !/_/.test(key)),
          Object.keys(stats.data.memory),
          Object.keys(stats.data).filter((key) => key !== 'cpuset'),
          stats.data.pids,
        ],
        ps: [ps[0], ps[1]?.replace(/\d+/g, '0').replace(/\s+/g, ' ')],
        codes: codes.map(({ status }) => status),
        empty: codes.at(-1)?.stdout.trim(),
      }
    })
    const [theirs, ours] = shapes
    const withoutCache = (shape: typeof ours) => ({
      ...shape,
      stats: JSON.parse(JSON.stringify(shape?.stats).replace('"cache",', '')),
    })
    expect(withoutCache(ours)).toEqual(withoutCache(theirs))
  })

  it.skipIf(!has('runc'))('features: what runc has is there, and what is not there says so', () => {
    const [ours, theirs] = [oci('features'), by('runc', 'runc')(['features'])].map(({ stdout }) => JSON.parse(stdout))
    for (const list of ['hooks', 'mountOptions']) expect(ours[list]).toEqual(expect.arrayContaining(theirs[list]))
    for (const list of ['namespaces', 'capabilities'])
      expect(ours.linux[list]).toEqual(expect.arrayContaining(theirs.linux[list]))
    for (const list of ['actions', 'operators'])
      expect(ours.linux.seccomp[list]).toEqual(expect.arrayContaining(theirs.linux.seccomp[list]))
    expect(ours.linux).toMatchObject({
      cgroup: { v1: true, v2: true, systemd: false, systemdUser: false },
      intelRdt: { enabled: false },
      netDevices: { enabled: false },
    })
    expect([ours.ociVersionMin, ours.ociVersionMax]).toEqual(['1.0.0', '1.3.0'])
  })

  it('create sends the terminal to --console-socket, start runs on it, exec has one of its own', async () => {
    configure(['sh', '-c', 'tty; read line; echo got $line'], (spec) =>
      Object.assign(spec.process ?? {}, { terminal: true }),
    )
    expect(oci('create', '-b', bundle, 't').stderr).toContain('without setting console socket')
    const socket = join(on.folder, 'console')
    const inbox = descriptorInbox(socket)
    expect(oci('create', '-b', bundle, '--console-socket', socket, 't').status).toBe(0)
    const master = await inbox.receive(5000)
    inbox.close()
    expect(oci('start', 't').status).toBe(0)
    writeFileSync(master, 'word\n')
    expect(await readUntil(master, 'got word')).toContain('/dev/pts/0')
    closeSync(master)
    configure(['true'])
    expect(oci('run', '--console-socket', socket, '-b', bundle, 'u').stderr).toContain('cannot use console socket')
    oci('delete', '-f', 't')
  })

  it('--preserve-fds and LISTEN_FDS reach the process, and a failure is still told', () => {
    configure(['sh', '-c', 'echo three >&3; echo four >&4; echo $LISTEN_FDS $LISTEN_PID; ls /proc/self/fd | wc -l'])
    const files = ['three', 'four'].map((name) => join(on.folder, name))
    const open = () => files.map((file) => openSync(file, 'w'))
    const run = (fds: number[], ...args: string[]) => {
      const done = by(coracleOci, 'oci')(args, { stdio: ['ignore', 'pipe', 'pipe', ...fds], env: { LISTEN_FDS: '1' } })
      for (const fd of fds) closeSync(fd)
      return done
    }
    // ls itself has one more open.
    expect(run(open(), 'run', '--preserve-fds', '1', '-b', bundle, 'p')).toEqual({
      status: 0,
      stdout: '1 1\n6\n',
      stderr: '',
    })
    expect(files.map((file) => readFileSync(file, 'utf8'))).toEqual(['three\n', 'four\n'])
    configure(['sleep', '900'])
    detached(coracleOci, 'oci', 'run', '-d', '-b', bundle, 'q')
    const failed = run(open(), 'exec', '--preserve-fds', '1', 'q', 'nothing')
    expect(failed).toMatchObject({ status: 255, stderr: expect.stringContaining('executable file not found in $PATH') })
    expect(files.map((file) => readFileSync(file, 'utf8'))).toEqual(['', ''])
    expect(oci('exec', '--preserve-fds', '2', 'q', 'true').stderr).toContain('please check that preserved-fd 1')
    oci('delete', '-f', 'q')
  })

  it('exec: every flag, a process file, a group below', () => {
    configure(['sleep', '900'])
    detached(coracleOci, 'oci', 'run', '-d', '-b', bundle, 'e')
    const flags = ['-e', 'A=b', '--cwd', '/tmp', '-u', '5:6', '-g', '7', '--cap', 'CAP_SYS_TIME', '--no-new-privs']
    const script = 'echo $A $PWD; id; grep -E "CapBnd|NoNew" /proc/self/status'
    expect(oci('exec', ...flags, 'e', 'sh', '-c', script).stdout).toBe(
      'b /tmp\nuid=5 gid=6 groups=7\nCapBnd:\t0000000022000420\nNoNewPrivs:\t1\n',
    )
    const file = join(on.folder, 'process.json')
    writeFileSync(
      file,
      JSON.stringify({
        args: ['sh', '-c', 'echo $X; exit 4'],
        cwd: '/',
        env: ['X=y', 'PATH=/bin'],
        user: { uid: 0, gid: 0 },
      }),
    )
    expect(oci('exec', '-p', file, 'e')).toMatchObject({ status: 4, stdout: 'y\n' })
    expect(oci('exec', '--cgroup', '../..', 'e', 'true').stderr).toContain('`..` components are not allowed')
    expect(oci('exec', '--apparmor', 'x', 'e', 'true').status).toBe(255)
    oci('delete', '-f', 'e')
  })

  it('--no-pivot, --no-new-keyring and --trace', () => {
    configure(['ls', '/'])
    expect(oci('run', '--no-pivot', '--no-new-keyring', '-b', bundle, 'n')).toMatchObject({
      status: 0,
      stdout: expect.stringContaining('bin\n'),
    })
    const { status, stdout, stderr } = oci('run', '--trace', '-b', bundle, 'n')
    expect({ status, stdout }).toMatchObject({ status: 0, stdout: expect.stringContaining('bin\n') })
    expect(stderr).toMatch(/^ *\d+ +\d+\.\d {2}clone3\(.*\) = 0$/m)
    expect(stderr).toMatch(/^ *\d+ +\d+\.\d {2}pivot_root\("\.", "\."\) = 0$/m)
    expect(stderr).toMatch(/microseconds in \d+ calls/)
    configure(['ls', '/'], (spec) => spec.mounts?.push({ destination: '/proc/none', type: 'tmpfs', source: 'tmpfs' }))
    const plain = oci('run', '-b', bundle, 'n').stderr.replace(/step \d+ of/, 'step')
    const traced = oci('run', '--trace', '-b', bundle, 'n').stderr
    expect(plain).toMatch(/step/)
    expect(traced.replace(/step \d+ of/, 'step')).toContain(plain.trim())
  })

  it('what a create has left that was killed at any moment, delete --force removes', async () => {
    configure(['sleep', '900'])
    for (let round = 0; round < 12; round++) {
      const creating = spawn(coracleOci, ['--root', join(on.folder, 'oci'), 'create', '-b', bundle, 'k'], {
        stdio: 'ignore',
      })
      await until(() => existsSync(join(on.folder, 'oci/k')) || creating.exitCode !== null)
      await sleep(round)
      await killed(creating)
      expect(oci('delete', '--force', 'k')).toMatchObject({ status: 0, stderr: '' })
      expect(existsSync(join(on.folder, 'oci/k'))).toBe(false)
      expect(groupFolders(`${cgroup}/c`)).toEqual([])
    }
  })

  it('commands on one container wait for each other; a start that was killed is told from one that never was', async () => {
    configure(['sleep', '900'])
    expect(detached(coracleOci, 'oci', 'create', '-b', bundle, 'w').status).toBe(0)
    const starts = Array.from({ length: 4 }, () =>
      spawn(coracleOci, ['--root', join(on.folder, 'oci'), 'start', 'w'], { stdio: 'ignore' }),
    )
    const codes = await Promise.all(starts.map((one) => new Promise((done) => one.once('exit', done))))
    expect(codes.sort()).toEqual([0, 1, 1, 1])
    const record = join(on.folder, 'oci/w/state.json')
    const { startedAt: _, ...unwritten } = JSON.parse(readFileSync(record, 'utf8'))
    writeFileSync(record, JSON.stringify(unwritten))
    expect(state('w').status).toBe('running')
    oci('delete', '-f', 'w')
  })

  it('events tell of a kill for want of memory while they run', async () => {
    const eat = 'sleep 1; head -c 60000000 /dev/zero | tail -c 60000000 >/dev/null; sleep 1'
    configure(['sh', '-c', eat], (spec) => {
      if (spec.linux) spec.linux.resources = { ...spec.linux.resources, memory: { limit: 16 << 20, swap: 16 << 20 } }
    })
    expect(detached(coracleOci, 'oci', 'run', '-d', '-b', bundle, 'o').status).toBe(0)
    const told = oci('events', '--interval', '300ms', 'o')
      .stdout.trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(told.filter(({ type }) => type === 'stats').length).toBeGreaterThan(1)
    // One is enough, but when the first victim is slow to let go, the kernel takes another.
    const kills = cgroups().oomKills(`${cgroup}/c`)
    expect(kills).toBeGreaterThan(0)
    expect(told.filter(({ type }) => type === 'oom')).toEqual(
      Array.from({ length: kills }, () => ({ type: 'oom', id: 'o' })),
    )
    oci('delete', '-f', 'o')
  })

  it('--launcher: the resident launcher makes and keeps it', async () => {
    configure(['sh', '-c', 'exit 6'])
    expect(oci('create', '--launcher', on.root, '-b', bundle, 'l')).toMatchObject({ status: 0, stderr: '' })
    expect(oci('start', '--launcher', on.root, 'l')).toMatchObject({ status: 0, stderr: '' })
    expect(await on.runtime.wait('l')).toMatchObject({ status: 'stopped', exitCode: 6 })
    await on.runtime.delete('l')
  })

  it('--launcher: run and exec with our streams, as if it were not there', async () => {
    configure(['sh', '-c', 'read line; echo "got $line"; echo err >&2; exit 7'])
    const run = spawnSync(coracleOci, ['run', '--launcher', on.root, '-b', bundle, 'm'], {
      input: 'word\n',
      encoding: 'utf8',
      timeout: patient(20_000),
    })
    expect(run).toMatchObject({ status: 7, stdout: 'got word\n', stderr: 'err\n' })
    expect(await on.runtime.list()).toEqual([])
    configure(['sleep', '600'])
    expect(oci('run', '-d', '--launcher', on.root, '-b', bundle, 'm')).toMatchObject({ status: 0, stderr: '' })
    const args = ['exec', '--launcher', on.root, 'm', 'sh', '-c', 'cat; pwd; exit 3']
    const exec = spawnSync(coracleOci, args, { input: 'in\n', encoding: 'utf8', timeout: patient(20_000) })
    expect(exec).toMatchObject({ status: 3, stdout: 'in\n/\n', stderr: '' })
    expect(oci('exec', '--launcher', on.root, '-d', 'm', 'true')).toMatchObject({
      status: 255,
      stderr: expect.stringContaining('--launcher: not together with --detach'),
    })
    await on.runtime.delete('m', { force: true })
  })

  it('the program runs through links, from any folder and without a PATH', () => {
    const link = join(on.folder, 'runtime')
    spawnSync('ln', ['-s', coracleOci, join(on.folder, 'first')])
    spawnSync('ln', ['-s', 'first', link])
    const { stdout, status } = spawnSync('runtime', ['--version'], {
      encoding: 'utf8',
      cwd: on.folder,
      env: { PATH: on.folder },
    })
    expect({ status, stdout }).toEqual({
      status: 0,
      stdout: expect.stringMatching(/^coracle-oci version \S+\nspec: 1\.3\.0\n$/),
    })
    expect(spawnSync(link, ['--version'], { cwd: '/', env: { PATH: '' } }).status).toBe(0)
  })

  it('refuses in a sentence what it does not do', () => {
    for (const args of [
      ['checkpoint', 'x'],
      ['restore', 'x'],
      ['--systemd-cgroup', 'list'],
      ['--rootless', 'true', 'list'],
    ]) {
      expect(oci(...args), args.join(' ')).toMatchObject({ status: 1, stderr: expect.stringMatching(/not supported/) })
    }
    expect(oci('doctor', '--json').status).toBe(0)
    expect(JSON.parse(oci('doctor', '--json').stdout)[0]).toMatchObject({ what: 'kernel', state: 'fine' })
  })
})

async function until(isTrue: () => boolean): Promise<void> {
  for (let tries = 0; !isTrue() && tries < patient(4000); tries++) await sleep(1)
}

async function killed(child: ChildProcess): Promise<void> {
  const gone = child.exitCode === null ? new Promise((done) => child.once('exit', done)) : undefined
  child.kill('SIGKILL')
  await gone
}

async function readUntil(fd: number, text: string): Promise<string> {
  const buffer = Buffer.alloc(4096)
  let all = ''
  for (let tries = 0; !all.includes(text) && tries < 50 * patience; tries++) {
    try {
      all += buffer.toString('utf8', 0, readSync(fd, buffer))
    } catch {
      // EIO: the other side is gone, and all has been read.
      return all
    }
    await sleep(20)
  }
  return all
}
