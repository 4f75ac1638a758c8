/*
 * Every flag of every verb of `coracle-oci`, one by one: what it does, or the sentence that refuses it. The last test holds the
 * list against the flags that the program itself knows, so that none can be added without a row here.
 */
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { globalFlags } from '../../bin/oci.ts'
import { verbs as birth } from '../../bin/oci-birth.ts'
import { verbs as change } from '../../bin/oci-change.ts'
import { verbs as describing } from '../../bin/oci-describe.ts'
import { verbs as events } from '../../bin/oci-events.ts'
import { verbs as exec } from '../../bin/oci-exec.ts'
import { verbs as look } from '../../bin/oci-look.ts'
import { verbs as mounts } from '../../bin/oci-mounts.ts'
import { verbs as ps } from '../../bin/oci-ps.ts'
import { cgroups } from '../../runtime/cgroups/driver.ts'
import { pidWidth } from '../../runtime/linux/process-table.ts'
import { bundleSpec, defaultSpec } from '../../runtime/spec/default-spec.ts'
import type { OciSpec } from '../../runtime/spec/types.ts'
import { coracleOci } from '../peers/engine/sandbox.ts'
import { patient } from './patience.ts'
import { aFixture, type Fixture, traces } from './runtime-fixture.ts'

const isV2 = existsSync('/sys/fs/cgroup/cgroup.controllers')
const hasBfq = existsSync('/sys/module/bfq')
const cgroup = `coracle/test-flags-${process.pid}`

describe.skipIf(process.getuid?.() !== 0)('coracle-oci, flag by flag (needs root)', () => {
  let on: Fixture
  const at = (name: string) => join(on.folder, name)
  const spawnOci = (args: string[], o: { input?: string; root?: string; quiet?: boolean } = {}) => {
    const { status, stdout, stderr } = spawnSync(coracleOci, ['--root', o.root ?? at('oci'), ...args], {
      encoding: 'utf8',
      timeout: patient(60_000),
      // A container that stays would hold pipes open.
      ...(o.quiet ? { stdio: 'ignore' } : { input: o.input ?? '' }),
    })
    return { status, stdout: stdout ?? '', stderr: stderr ?? '' }
  }
  const oci = (...args: string[]) => spawnOci(args)
  const fine = (...args: string[]) => {
    const { status, stdout, stderr } = oci(...args)
    expect({ args, status, stderr }).toEqual({ args, status: 0, stderr: '' })
    return stdout
  }
  const configure = (file: string, args: string[], adapt: (spec: OciSpec) => void = () => {}) => {
    const spec = defaultSpec()
    if (spec.process) Object.assign(spec.process, { terminal: false, args })
    Object.assign(spec, { root: { path: on.rootfs, readonly: true } })
    Object.assign(spec.linux ?? {}, { cgroupsPath: `/${cgroup}/${file.replace('.json', '')}` })
    adapt(spec)
    writeFileSync(at(file), JSON.stringify(spec))
  }
  const status = (id: string) => JSON.parse(oci('state', id).stdout || '{}').status
  const covered = new Set<string>()
  /** A test of flags of one verb, such as `exec --cwd --user`. */
  const covers = (title: string, test: () => void | Promise<void>) => {
    const [verb = '', ...flags] = title.split(' ')
    for (const flag of flags) covered.add(`${verb} ${flag}`)
    it(title, test)
  }

  beforeAll(async () => {
    on = await aFixture('flags')
    configure('config.json', ['sleep', '600'])
    expect(spawnOci(['run', '-d', '-b', on.folder, 'x'], { quiet: true }).status).toBe(0)
  })
  afterAll(async () => {
    for (const id of oci('list', '-q').stdout.split('\n').filter(Boolean)) oci('delete', '-f', id)
    await on.runtime.removeGroup(cgroup)
    await on[Symbol.asyncDispose]()
    expect(traces(on.mark)).toEqual([])
    expect(traces(cgroup.slice('coracle/'.length))).toEqual([])
  })

  describe('global', () => {
    covers('global --root', () => {
      expect(spawnOci(['list', '-q'], { root: at('elsewhere') }).stdout.trim()).toBe('')
      expect(fine('list', '-q').trim()).toBe('x')
    })
    covers('global --log --log-format', () => {
      const log = at('log')
      expect(oci('--log', log, 'state', 'none').status).toBe(1)
      expect(readFileSync(log, 'utf8')).toMatch(/^time="[\d:TZ-]+" level=error msg="find container none: .*"\n$/)
      expect(oci('--log', log, '--log-format', 'json', 'state', 'none').status).toBe(1)
      expect(JSON.parse(readFileSync(log, 'utf8').split('\n')[1] ?? '')).toMatchObject({ level: 'error' })
      expect(oci('--log-format', 'xml', 'list').stderr).toContain('unknown log-format')
    })
    covers('global --debug', () => {
      expect(oci('--debug', 'state', 'none').stderr).toMatch(/\n +at /)
      expect(oci('state', 'none').stderr).not.toMatch(/\n +at /)
    })
    covers('global --cgroup-manager --systemd-cgroup --rootless', () => {
      fine('--cgroup-manager', 'cgroupfs', '--rootless', 'auto', 'list')
      for (const flags of [['--cgroup-manager', 'systemd'], ['--systemd-cgroup'], ['--rootless', 'true']]) {
        expect(oci(...flags, 'list')).toMatchObject({ status: 1, stderr: expect.stringMatching(/not supported/) })
      }
    })
    covers('global --help --version', () => {
      expect(fine('--help')).toMatch(/^ {2}create <id> {2,}make a container/m)
      expect(fine('exec', '--help')).toMatch(/^ {2}-u, --user/m)
      expect(fine('--version')).toMatch(/^coracle-oci version \S+\nspec: 1\.3\.0\n$/)
    })
  })

  describe('create, run, start', () => {
    covers('create --bundle --config --pid-file', () => {
      const other = at('other')
      mkdirSync(other)
      expect(oci('create', '-b', other, 'y').stderr).toMatch(/config\.json/)
      configure('other/of-crun.json', ['true'])
      const files = ['--config', 'of-crun.json', '--pid-file', at('pid')]
      expect(spawnOci(['create', '--bundle', other, ...files, 'y'], { quiet: true }).status).toBe(0)
      expect(JSON.parse(fine('state', 'y'))).toMatchObject({
        bundle: other,
        pid: Number(readFileSync(at('pid'), 'utf8')),
        status: 'created',
      })
      fine('delete', '-f', 'y')
    })
    covers('run --bundle --config --detach --pid-file --keep --no-subreaper --no-pivot --no-new-keyring', async () => {
      configure('short.json', ['sh', '-c', 'echo ran; exit 3'])
      const run = ['run', '-b', on.folder, '-f', 'short.json']
      expect(oci(...run, 'r')).toEqual({ status: 3, stdout: 'ran\n', stderr: '' })
      expect(oci('state', 'r').status).toBe(1)
      const flags = ['--keep', '--no-subreaper', '--no-pivot', '--no-new-keyring', '--pid-file', at('pid2')]
      expect(oci(...run, ...flags, 'r')).toEqual({ status: 3, stdout: 'ran\n', stderr: '' })
      expect(status('r')).toBe('stopped')
      expect(Number(readFileSync(at('pid2'), 'utf8'))).toBeGreaterThan(1)
      fine('delete', 'r')
      expect(spawnOci([...run, '--detach', 'r'], { quiet: true }).status).toBe(0)
      await expect.poll(() => status('r')).toBe('stopped')
      fine('delete', 'r')
    })
    covers('run --trace', () => {
      const { stdout, stderr } = oci('run', '-b', on.folder, '-f', 'short.json', '--trace', 'r')
      expect(stdout).toBe('ran\n')
      expect(stderr).toMatch(/^ *\d+ +\d+\.\d {2}clone3\(/m)
      expect(stderr).toMatch(/microseconds in \d+ calls/)
    })
    covers('create --trace --no-pivot --no-new-keyring', () => {
      const flags = ['--trace', '--no-pivot', '--no-new-keyring']
      const err = at('trace')
      const command = `exec ${coracleOci} --root ${at('oci')} create -b ${on.folder} -f short.json ${flags.join(' ')} y 2>${err}`
      expect(spawnSync('sh', ['-c', command], { stdio: 'ignore' }).status).toBe(0)
      const trace = readFileSync(err, 'utf8')
      expect(trace).toMatch(/clone3\(/)
      expect(trace).not.toMatch(/pivot_root\(|keyctl\(/)
      fine('delete', '-f', 'y')
    })
  })

  describe('exec', () => {
    covers('exec --cwd --env --user --additional-gids', () => {
      const flags = ['--cwd', '/tmp', '-e', 'A=1', '--env', 'B=2', '--user', '5:6', '-g', '7', '--additional-gids', '8']
      expect(fine('exec', ...flags, 'x', 'sh', '-c', 'pwd; echo $A$B; id')).toBe('/tmp\n12\nuid=5 gid=6 groups=7,8\n')
      expect(oci('exec', '-u', 'root', 'x', 'id')).toMatchObject({
        status: 255,
        stderr: expect.stringContaining('numbers'),
      })
    })
    covers('exec --tty', () => expect(fine('exec', '--tty', 'x', 'tty')).toBe('/dev/pts/0\n'))
    covers('exec --process', () => {
      const process_ = { args: ['sh', '-c', 'pwd; echo $C'], cwd: '/etc', env: ['C=3', 'PATH=/bin'] }
      writeFileSync(at('process.json'), JSON.stringify({ ...process_, user: { uid: 0, gid: 0 } }))
      expect(fine('exec', '--process', at('process.json'), 'x')).toBe('/etc\n3\n')
    })
    covers('exec --detach --pid-file', () => {
      const flags = ['--detach', '--pid-file', at('pid3')]
      expect(spawnOci(['exec', ...flags, 'x', 'sleep', '600'], { quiet: true }).status).toBe(0)
      const pid = Number(readFileSync(at('pid3'), 'utf8'))
      expect(JSON.parse(fine('ps', '-f', 'json', 'x'))).toContain(pid)
      process.kill(pid, 'SIGKILL')
    })
    covers('exec --no-new-privs --cap', () => {
      const status_ = ['grep', '-E', 'CapBnd|CapEff|NoNewPrivs', '/proc/self/status']
      expect(fine('exec', 'x', ...status_)).not.toMatch(/CapEff:\t0000000002000000/)
      const raised = fine('exec', '--cap', 'CAP_SYS_TIME', '--no-new-privs', 'x', ...status_)
      expect(raised).toMatch(/CapEff:\t[0-9a-f]{8}2/)
      expect(raised).toContain('NoNewPrivs:\t1')
    })
    covers('exec --process-label --apparmor', () => {
      for (const flag of ['--process-label', '--apparmor']) {
        expect(oci('exec', flag, 'no-such-profile', 'x', 'true').status, flag).toBe(255)
      }
    })
    covers('exec --cgroup', () => {
      const hierarchies = isV2 ? [''] : ['memory', 'cpu']
      const groups = hierarchies.map((name) => join('/sys/fs/cgroup', name, cgroup, 'config/below'))
      for (const group of groups) mkdirSync(group, { recursive: true })
      const where = ['sh', '-c', 'cat /proc/self/cgroup']
      const flags = isV2 ? ['--cgroup', 'below'] : ['--cgroup', 'memory:below', '--cgroup', 'cpu:/below']
      const seen = fine('exec', ...flags, 'x', ...where)
      if (isV2) expect(seen).toContain('0::/below')
      else {
        expect(seen).toMatch(/^\d+:memory:\/below$/m)
        expect(seen).toMatch(/^\d+:(\w+,)?cpu(,\w+)?:\/below$/m)
        expect(seen).toMatch(/^\d+:pids:\/$/m)
      }
      for (const group of groups) rmdirSync(group)
      for (const wrong of ['../..', 'none', 'memory:none', 'turbo:below']) {
        expect(oci('exec', '--cgroup', wrong, 'x', 'true'), wrong).toMatchObject({ status: 255, stdout: '' })
      }
      expect(oci('exec', '--cgroup', 'turbo:below', 'x', 'true').stderr).toContain('unknown controller turbo')
    })
    covers('exec --ignore-paused', async () => {
      fine('pause', 'x')
      expect(oci('exec', 'x', 'true').stderr).toContain('cannot exec in a paused container')
      const waiting = spawn(coracleOci, ['--root', at('oci'), 'exec', '--ignore-paused', 'x', 'sh', '-c', 'exit 4'], {
        stdio: 'ignore',
      })
      const code = new Promise((done) => waiting.once('exit', done))
      await expect.poll(() => JSON.parse(fine('ps', '-f', 'json', 'x')).length, { timeout: patient(20_000) }).toBe(2)
      fine('resume', 'x')
      expect(await code).toBe(4)
    })
    covers('exec --trace', () => expect(oci('exec', '--trace', 'x', 'true').stderr).toMatch(/setns\(.*\) = 0/))
  })

  describe('what looks, kills and removes', () => {
    covers('list --format --quiet', () => {
      expect(JSON.parse(fine('list', '--format', 'json'))).toMatchObject([
        { id: 'x', status: 'running', owner: 'root' },
      ])
      expect(fine('list', '--format', 'table')).toMatch(/^ID +PID +STATUS/)
      expect(fine('list', '--quiet')).toBe('x\n')
      expect(oci('list', '-f', 'xml').stderr).toContain('invalid format option')
    })
    covers('ps --format', () => {
      const { pid } = JSON.parse(fine('state', 'x'))
      expect(JSON.parse(fine('ps', '--format', 'json', 'x'))).toEqual([pid])
      expect(fine('ps', 'x')).toMatch(/^UID +PID +PPID[\s\S]*sleep 600/)
      expect(fine('ps', 'x', 'aux')).toMatch(/^USER +PID %CPU[^\n]*\nroot +\d+ [^\n]*sleep 600\n$/)
      expect(fine('ps', 'x', '-e', '-o', 'pid=,comm=')).toBe(`${String(pid).padStart(pidWidth())} sleep\n`)
      expect(oci('ps', 'x', '-p', '1')).toMatchObject({
        status: 1,
        stderr: expect.stringContaining('p of -p is not there'),
      })
    })
    covers('events --stats --interval', () => {
      expect(JSON.parse(fine('events', '--stats', 'x'))).toMatchObject({
        type: 'stats',
        id: 'x',
        data: { pids: { current: 1 } },
      })
      expect(oci('events', '--interval', '0s', 'x').stderr).toContain('duration interval must be greater than 0')
      const endless = `${coracleOci} --root ${at('oci')} events --interval 400ms x | head -n 2`
      const { stdout } = spawnSync('sh', ['-c', endless], { encoding: 'utf8', timeout: patient(60_000) })
      const told = stdout.trim().split('\n')
      expect(told.map((line) => JSON.parse(line).type)).toEqual(['stats', 'stats'])
    })
    covers('kill --all', async () => {
      configure('two.json', ['sh', '-c', 'sleep 601 & sleep 602'])
      expect(spawnOci(['run', '-d', '-b', on.folder, '-f', 'two.json', 'k'], { quiet: true }).status).toBe(0)
      await expect.poll(() => JSON.parse(fine('ps', '-f', 'json', 'k')).length).toBe(2)
      fine('kill', '--all', 'k', 'KILL')
      await expect.poll(() => status('k')).toBe('stopped')
      expect(JSON.parse(fine('ps', '-f', 'json', 'k'))).toEqual([])
      expect(oci('kill', 'k', 'KILL')).toMatchObject({ status: 1, stderr: expect.stringContaining('not running') })
    })
    covers('delete --force --regex', () => {
      expect(oci('delete', 'x')).toMatchObject({ status: 1, stderr: expect.stringContaining('not stopped') })
      fine('delete', '--force', 'k')
      fine('delete', '--force', 'none')
      fine('delete', '--regex', '^none$')
      expect(oci('delete', 'none').status).toBe(1)
    })
    covers('spec --bundle --rootless', () => {
      for (const name of ['made', 'bundle-of-mine']) mkdirSync(at(name))
      fine('spec', '--bundle', at('made'))
      expect(JSON.parse(readFileSync(at('made/config.json'), 'utf8'))).toEqual(bundleSpec(cgroups().version))
      fine('spec', '--rootless', '--bundle', at('bundle-of-mine'))
      expect(JSON.parse(readFileSync(at('bundle-of-mine/config.json'), 'utf8')).linux.uidMappings).toEqual([
        { containerID: 0, hostID: 0, size: 1 },
      ])
    })
    covers('doctor --json', () => {
      expect(JSON.parse(fine('doctor', '--json'))[0]).toMatchObject({ what: 'kernel', state: 'fine' })
      expect(fine('doctor')).toMatch(/^ok +kernel/)
    })
    covers('mounts --mount', () => {
      fine('mounts', 'add', '--mount', 'type=tmpfs,source=tmpfs,destination=/tmp,options=size=64k:mode=700', 'x')
      expect(fine('exec', 'x', 'stat', '-c', '%a', '/tmp')).toBe('700\n')
      fine('mounts', 'remove', 'x', '/tmp')
      expect(oci('mounts', 'add', '-m', 'kind=tmpfs', 'x').stderr).toContain('kind is not a field of a mount')
    })
  })

  describe('update', () => {
    const file = (controller: string, name: string) =>
      join('/sys/fs/cgroup', isV2 ? '' : controller, cgroup, 'config', name)
    /** Flag, what is given, controller, and file and content on v1 and on v2; none: refused there. */
    const rows: [string, string, string, [string, string]?, [string, string]?][] = [
      ['--pids-limit', '17', 'pids', ['pids.max', '17'], ['pids.max', '17']],
      ['--cpu-period', '50000', 'cpu', ['cpu.cfs_period_us', '50000'], ['cpu.max', 'max 50000']],
      ['--cpu-quota', '20000', 'cpu', ['cpu.cfs_quota_us', '20000'], ['cpu.max', '20000 50000']],
      ['--cpu-burst', '5000', 'cpu', ['cpu.cfs_burst_us', '5000'], ['cpu.max.burst', '5000']],
      ['--cpu-share', '512', 'cpu', ['cpu.shares', '512'], ['cpu.weight', '59']],
      ['--cpu-idle', '1', 'cpu', ['cpu.idle', '1'], ['cpu.idle', '1']],
      ['--cpuset-cpus', '0', 'cpuset', ['cpuset.cpus', '0'], ['cpuset.cpus', '0']],
      ['--cpuset-mems', '0', 'cpuset', ['cpuset.mems', '0'], ['cpuset.mems', '0']],
      ['--memory', '64m', 'memory', ['memory.limit_in_bytes', '67108864'], ['memory.max', '67108864']],
      ['--memory-swap', '96M', 'memory', ['memory.memsw.limit_in_bytes', '100663296'], ['memory.swap.max', '33554432']],
      [
        '--memory-reservation',
        '33554432',
        'memory',
        ['memory.soft_limit_in_bytes', '33554432'],
        ['memory.low', '33554432'],
      ],
      ['--kernel-memory-tcp', '16m', 'memory', ['memory.kmem.tcp.limit_in_bytes', '16777216']],
      ['--kernel-memory', '16m', 'memory'],
      ['--cpu-rt-period', '1000000', 'cpu', ['cpu.rt_period_us', '1000000']],
      ['--cpu-rt-runtime', '1', 'cpu', ['cpu.rt_runtime_us', '1']],
      [
        '--blkio-weight',
        '300',
        'blkio',
        ['blkio.bfq.weight', '300'],
        hasBfq ? ['io.bfq.weight', 'default 300'] : ['io.weight', 'default 2930'],
      ],
      ['--l3-cache-schema', 'L3:0=f', 'none'],
      ['--mem-bw-schema', 'MB:0=20', 'none'],
    ]
    for (const [flag] of rows) covered.add(`update ${flag}`)
    it.each(rows)('update %s %s', (flag, given, controller, v1, v2) => {
      const [name, expected] = (isV2 ? v2 : v1) ?? []
      const { status, stderr } = oci('--debug', 'update', flag, given, 'x')
      const path = file(controller, name ?? 'none')
      const isWarned = /kernel(TCP)? is not enforced/.test(stderr)
      if (isWarned) return expect([status, flag.startsWith('--kernel-memory')]).toEqual([0, true])
      if (status === 0) return expect(readFileSync(path, 'utf8').trim()).toBe(expected)
      // What this kernel does not have is refused by name, and nothing is taken in silence. Of realtime nothing is given away
      // by the groups above unless somebody has said so.
      if (flag.startsWith('--cpu-rt-') && existsSync(path)) return expect(stderr).toContain(`${path}: EINVAL`)
      expect(existsSync(path)).toBe(false)
      expect(stderr).toMatch(/does not have|not supported|no weights/)
    })
    covers('update --resources', () => {
      writeFileSync(at('resources.json'), JSON.stringify({ pids: { limit: 18 } }))
      fine('update', '--resources', at('resources.json'), 'x')
      expect(readFileSync(file('pids', 'pids.max'), 'utf8').trim()).toBe('18')
      expect(spawnOci(['update', '-r', '-', 'x'], { input: '{"pids":{"limit":-1}}' }).status).toBe(0)
      expect(readFileSync(file('pids', 'pids.max'), 'utf8').trim()).toBe('max')
      expect(spawnOci(['update', '-r', '-', 'x'], { input: '{"pids":{"limit":"many"}}' }).stderr).toContain(
        'pids.limit',
      )
    })
  })

  it('every flag that the program knows has a row above, or a test in runtime-oci-runc', () => {
    const all = { ...birth, ...exec, ...change, ...look, ...ps, ...events, ...describing, ...mounts }
    const flagsOf = (verb: string, lines: readonly string[]) =>
      lines.map((line) => `${verb} ${/--[\w-]+/.exec(line)?.[0]}`)
    const known = [
      ...flagsOf('global', globalFlags),
      ...Object.entries(all).flatMap(([verb, { flags }]) => flagsOf(verb, flags)),
    ]
    const elsewhere = readFileSync(join(import.meta.dirname, 'runtime-oci-runc.test.ts'), 'utf8')
    const isElsewhere = (name: string) => elsewhere.includes(`'${name.split(' ')[1]}'`)
    expect(known.filter((name) => !covered.has(name) && !isElsewhere(name))).toEqual([])
    expect([...covered].filter((name) => !known.includes(name))).toEqual([])
  })
})
