import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, readlinkSync, statSync, writeFileSync } from 'node:fs'
import { release } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { defaultSeccompProfile, type RuntimeEvent } from '../../runtime/index.ts'
import { patient } from './patience.ts'
import { aFixture, type Fixture, finish, logText, textOf, traces } from './runtime-fixture.ts'

const isRoot = process.getuid?.() === 0
/** Linux 6.15 tells by pidfd how somebody else's child has ended; before, its zombie has to be met. */
const tellsForeignExits = release().localeCompare('6.15', undefined, { numeric: true }) >= 0
const isV2 = existsSync('/sys/fs/cgroup/cgroup.controllers')

describe.skipIf(!isRoot)('runtime (needs root)', () => {
  let on: Fixture
  beforeAll(async () => {
    on = await aFixture('rt')
  })
  afterAll(async () => {
    await on[Symbol.asyncDispose]()
    expect(traces(`test-rt-${process.pid}`)).toEqual([])
    expect(traces(on.mark)).toEqual([])
  })

  it('exit codes: as the program and as a shell says them', async () => {
    expect((await on.run(['true'])).exitCode).toBe(0)
    expect((await on.run(['false'])).exitCode).toBe(1)
    expect((await on.run(['sh', '-c', 'exit 77'])).exitCode).toBe(77)
  })

  it('namespaces: new ones differ from ours, joined ones are the sandbox’s', async () => {
    const group = `coracle/test-rt-${process.pid}/pod`
    await on.runtime.createGroup(group, { pids: { limit: 100 } })
    const sandbox = await on.runtime.createSandbox({ id: 'pod', hostname: 'boat', cgroupPath: group })
    expect(sandbox.status).toBe('running')
    const types = ['net', 'ipc', 'uts', 'pid', 'mnt'] as const
    for (const type of types) {
      expect(readlinkSync(`/proc/${sandbox.pid}/ns/${type}`)).not.toBe(readlinkSync(`/proc/self/ns/${type}`))
    }
    const joined = { network: 'net', ipc: 'ipc', uts: 'uts' }
    await on.runtime.create({
      id: 'inpod',
      spec: on.spec(['sleep', '900'], (spec) => {
        spec.hostname = ''
        spec.linux.cgroupsPath = `${group}/inpod`
        spec.linux.namespaces = [
          { type: 'mount' },
          { type: 'pid' },
          ...Object.entries(joined).map(([type, name]) => ({
            type: type as 'network',
            path: `/proc/${sandbox.pid}/ns/${name}`,
          })),
        ]
      }),
    })
    const { pid } = await on.runtime.start('inpod')
    for (const name of Object.values(joined)) {
      expect(readlinkSync(`/proc/${pid}/ns/${name}`)).toBe(readlinkSync(`/proc/${sandbox.pid}/ns/${name}`))
    }
    for (const name of ['pid', 'mnt']) {
      expect(readlinkSync(`/proc/${pid}/ns/${name}`)).not.toBe(readlinkSync(`/proc/${sandbox.pid}/ns/${name}`))
    }
    const shown = await finish(await on.runtime.exec('inpod', { args: ['hostname'] }))
    expect(shown.stdout).toBe('boat\n')
    // The kernel counts the exec'ed process until it has been reaped.
    await expect.poll(async () => (await on.runtime.groupStats(group)).pids, { timeout: patient(5000) }).toBe(2)
    await on.runtime.delete('inpod', { force: true })
    await on.runtime.delete('pod', { force: true })
    await on.runtime.removeGroup(group)
  })

  it('sandbox: no privilege, an empty root, zombies vanish', async () => {
    const group = `coracle/test-rt-${process.pid}/pod2`
    const { pid } = await on.runtime.createSandbox({ id: 'pod2', hostname: 'b', cgroupPath: group })
    const status = readFileSync(`/proc/${pid}/status`, 'utf8')
    expect(status).toMatch(/^CapPrm:\s+0+$/m)
    expect(status).toMatch(/^CapBnd:\s+0+$/m)
    expect(status).toMatch(/^NoNewPrivs:\s+1$/m)
    expect(status).toMatch(/^Uid:\s+65535/m)
    expect(readFileSync(`/proc/${pid}/mountinfo`, 'utf8').trim().split('\n')).toHaveLength(1)
    expect(readlinkSync(`/proc/${pid}/exe`)).toContain('memfd:coracle-player')
    // It has no config.json that says which namespaces are its own.
    await on.runtime.kill('pod2', 'KILL')
    await on.runtime.wait('pod2')
    await on.runtime.delete('pod2')
    await on.runtime.removeGroup(group)
  })

  it('mounts: proc, dev, shm, masked and read-only paths, read-only root', async () => {
    const { output } = await on.run([
      'sh',
      '-c',
      'mount; cat /proc/kcore | wc -c; ls /sys/firmware | wc -l; touch /x; echo 1 > /proc/sys/kernel/hostname; ls -l /dev/null /dev/fd; echo hi > /dev/stdout',
    ])
    for (const line of [
      'proc on /proc type proc',
      'tmpfs on /dev type tmpfs',
      'devpts on /dev/pts',
      'mqueue on /dev/mqueue',
    ]) {
      expect(output).toContain(line)
    }
    expect(output).toMatch(/proc on \/proc\/sys type proc \(ro/)
    expect(output).toMatch(/on \/ type \w+ \(ro/)
    expect(output).toContain('touch: /x: Read-only file system')
    expect(output).toContain("can't create /proc/sys/kernel/hostname: Read-only file system")
    expect(output).toMatch(/crw-rw-rw-.*1, +3 .*\/dev\/null/)
    expect(output).toMatch(/\/dev\/fd -> \/proc\/self\/fd/)
    expect(output).toMatch(/^hi$/m)
  })

  it('bind mounts: file and folder, ro, missing targets made; a link in the image cannot lead out', async () => {
    const data = join(on.folder, 'shared')
    mkdirSync(data)
    writeFileSync(join(data, 'a'), 'from outside')
    const outcome = await on.run(['sh', '-c', 'cat /deep/er/a /one; touch /deep/er/b; cat /etc/link/a'], (spec) => {
      spec.root = { path: on.rootfs }
      spec.mounts.push(
        { destination: '/deep/er', source: data, type: 'bind', options: ['rbind', 'ro'] },
        { destination: '/one', source: join(data, 'a'), options: ['bind'] },
        { destination: '/etc/link', source: data, options: ['bind'] },
      )
    })
    expect(outcome.output).toContain('from outsidefrom outside')
    expect(outcome.output).toContain('touch: /deep/er/b: Read-only file system')
    expect(existsSync('/etc/link')).toBe(false)
  })

  it('propagation: a mount made in the container reaches the host where a volume is rshared, and only there', async () => {
    const shared = join(on.folder, 'propagated')
    mkdirSync(shared)
    expect(spawnSync('mount', ['-t', 'tmpfs', '--make-shared', 'coracle-rt-shared', shared]).status).toBe(0)
    try {
      const { output } = await on.run(
        [
          'sh',
          '-c',
          'mkdir /vol/in && mount -t tmpfs inner /vol/in && touch /vol/in/seen && mount -t tmpfs other /tmp && echo ok',
        ],
        (spec) => {
          const all = ['CAP_SYS_ADMIN']
          Object.assign(spec.process, { capabilities: { bounding: all, permitted: all, effective: all } })
          spec.root = { path: on.rootfs }
          spec.linux.rootfsPropagation = 'rshared'
          spec.mounts.push({ destination: '/vol', source: shared, options: ['rbind', 'rshared'] })
        },
      )
      expect(output).toBe('ok')
      expect(existsSync(join(shared, 'in/seen'))).toBe(true)
      const table = readFileSync('/proc/self/mounts', 'utf8')
        .split('\n')
        .filter((line) => line.includes('coracle-rt-'))
      expect(table.map((line) => line.split(' ')[1])).toEqual([shared, join(shared, 'in')])
    } finally {
      spawnSync('umount', ['-R', shared])
    }
  })

  it('overlay: mounted in the container’s own namespace alone', async () => {
    const [upper, work] = [join(on.folder, 'upper'), join(on.folder, 'work')]
    for (const folder of [upper, work]) mkdirSync(folder)
    const id = 'overlay'
    const path = join(on.folder, 'overlay.log')
    const spec = on.spec(['sh', '-c', 'echo new > /data/file; mount | head -1'], (made) => {
      made.root = { path: '/' }
    })
    await on.runtime.create({ id, spec, rootfs: { overlay: { lower: [on.rootfs], upper, work } }, log: { path } })
    expect(readFileSync('/proc/self/mounts', 'utf8')).not.toContain(on.folder)
    await on.runtime.start(id)
    expect((await on.runtime.wait(id)).exitCode).toBe(0)
    await on.runtime.delete(id)
    expect(readFileSync(join(upper, 'data/file'), 'utf8')).toBe('new\n')
    expect(existsSync(join(on.rootfs, 'data/file'))).toBe(false)
    expect(logText(path)).toContain('overlay on / type overlay')
  })

  it('capabilities, no_new_privs, user and groups', async () => {
    const { output } = await on.run(['sh', '-c', 'cat /proc/self/status; id'], (spec) => {
      spec.process.user = { uid: 1000, gid: 1001, additionalGids: [5, 6], umask: 0o077 }
      spec.process.capabilities = {
        bounding: ['CAP_KILL', 'CAP_CHOWN'],
        permitted: ['CAP_KILL'],
        inheritable: ['CAP_KILL'],
        effective: ['CAP_KILL'],
        ambient: ['CAP_KILL'],
      }
    })
    expect(output).toMatch(/^Uid:\t1000\t1000\t1000\t1000$/m)
    expect(output).toMatch(/^Gid:\t1001\t1001/m)
    expect(output).toMatch(/^Groups:\t5 6 $/m)
    expect(output).toMatch(/^Umask:\t0077$/m)
    expect(output).toMatch(/^CapPrm:\t0000000000000020$/m)
    expect(output).toMatch(/^CapEff:\t0000000000000020$/m)
    expect(output).toMatch(/^CapAmb:\t0000000000000020$/m)
    expect(output).toMatch(/^CapBnd:\t0000000000000021$/m)
    expect(output).toMatch(/^NoNewPrivs:\t1$/m)
    expect(output).toMatch(/^SigIgn:\t0000000000000000$/m)
    expect(output).toMatch(/^SigBlk:\t0000000000000000$/m)
  })

  it.each([true, false])(
    'seccomp: the default profile is in force with noNewPrivileges %s',
    async (noNewPrivileges) => {
      const { output } = await on.run(
        ['sh', '-c', 'grep Seccomp: /proc/self/status; mount -t tmpfs x /tmp; hostname x; echo end'],
        (spec) => {
          spec.process.noNewPrivileges = noNewPrivileges
          const all = ['CAP_SYS_ADMIN', 'CAP_KILL']
          spec.process.capabilities = { bounding: all, permitted: all, effective: all }
          spec.linux.seccomp = defaultSeccompProfile(['CAP_KILL'])
        },
      )
      expect(output).toContain('Seccomp:\t2')
      expect(output).toContain('mount: permission denied')
      expect(output).toContain('sethostname: Operation not permitted')
      expect(output).toMatch(/^end$/m)
    },
  )

  it('limits: cgroup values, rlimits and sysctls are there', async () => {
    const spec = on.spec(
      ['sh', '-c', 'cat /proc/self/limits /proc/sys/net/ipv4/ip_unprivileged_port_start; sleep 20'],
      (made) => {
        made.process.rlimits = [{ type: 'RLIMIT_NOFILE', soft: 123, hard: 456 }]
        made.linux.sysctl = { 'net.ipv4.ip_unprivileged_port_start': '1' }
        made.linux.resources = {
          memory: { limit: 64 << 20 },
          cpu: { shares: 512, quota: 50000, period: 100000 },
          pids: { limit: 7 },
        }
      },
    )
    const path = join(on.folder, 'limits.log')
    await on.runtime.create({ id: 'limits', spec, log: { path } })
    await on.runtime.start('limits')
    const at = (controller: string, file: string) =>
      readFileSync(join('/sys/fs/cgroup', isV2 ? '' : controller, spec.linux?.cgroupsPath ?? '', file), 'utf8').trim()
    const pidsMax = () => at('pids', 'pids.max')
    if (isV2) {
      expect(at('', 'memory.max')).toBe(String(64 << 20))
      expect(at('', 'cpu.weight')).toBe('59')
      expect(at('', 'cpu.max')).toBe('50000 100000')
    } else {
      expect(at('memory', 'memory.limit_in_bytes')).toBe(String(64 << 20))
      expect(at('cpu', 'cpu.shares')).toBe('512')
      expect(at('cpu', 'cpu.cfs_quota_us')).toBe('50000')
    }
    expect(pidsMax()).toBe('7')
    await on.runtime.update('limits', { pids: { limit: 9 } })
    expect(pidsMax()).toBe('9')
    await sleep(200)
    expect(logText(path)).toMatch(/Max open files +123 +456/)
    expect(logText(path).split('\n').at(-1)).toBe('1')
    const stats = await on.runtime.stats('limits')
    expect(stats).toMatchObject({ pids: 1, memoryLimitBytes: 64 << 20, oomKills: 0 })
    expect(stats.memoryUsageBytes).toBeGreaterThan(0)
    await on.runtime.pause('limits')
    expect((await on.runtime.state('limits')).status).toBe('paused')
    await on.runtime.resume('limits')
    expect((await on.runtime.state('limits')).status).toBe('running')
    await on.runtime.delete('limits', { force: true })
  })

  it('OOM kill: told as the reason, with 137', async () => {
    const id = 'oom'
    const seen: RuntimeEvent[] = []
    const stop = new AbortController()
    const listening = (async () => {
      for await (const event of on.runtime.events(stop.signal)) seen.push(event)
    })()
    const spec = on.spec(['dd', 'if=/dev/zero', 'of=/dev/null', 'bs=64M'], (made) => {
      made.linux.resources = { memory: { limit: 8 << 20 } }
    })
    await on.runtime.create({ id, spec })
    await on.runtime.start(id)
    expect(await on.runtime.wait(id)).toMatchObject({ exitCode: 137, signal: 9, oomKilled: true, status: 'stopped' })
    await on.runtime.delete(id)
    await sleep(20)
    stop.abort()
    await listening
    expect(seen.filter((event) => event.id === id).map(({ type }) => type)).toEqual(['started', 'oom', 'exited'])
  })

  it('only the workload is charged: a container with 512 KiB runs', async () => {
    const { exitCode } = await on.run(['true'], (spec) => {
      spec.linux.resources = { memory: { limit: 512 << 10 } }
    })
    expect(exitCode).toBe(0)
  })

  it('kill: a signal ends it with 128 + n, and a stopped one refuses', async () => {
    await on.runtime.create({
      id: 'k',
      spec: on.spec(['sh', '-c', 'trap "exit 9" TERM; while true; do sleep 0.05; done']),
    })
    await expect(on.runtime.delete('k')).rejects.toMatchObject({ code: 'WRONG_STATE' })
    await on.runtime.start('k')
    await expect(on.runtime.start('k')).rejects.toMatchObject({ code: 'WRONG_STATE' })
    await sleep(100)
    await on.runtime.kill('k', 'TERM')
    expect((await on.runtime.wait('k')).exitCode).toBe(9)
    await expect(on.runtime.kill('k', 'TERM')).rejects.toMatchObject({ code: 'WRONG_STATE' })
    await on.runtime.delete('k')
    await on.runtime.delete('k', { force: true })
    await expect(on.runtime.state('k')).rejects.toMatchObject({ code: 'NOT_FOUND' })
  })

  it('exec: exit code, streams, user, environment, stdin', async () => {
    await on.runtime.create({ id: 'e', spec: on.spec(['sleep', '600']) })
    await on.runtime.start('e')
    const both = await finish(await on.runtime.exec('e', { args: ['sh', '-c', 'echo out; echo err >&2; exit 42'] }))
    expect(both).toEqual({ stdout: 'out\n', stderr: 'err\n', exitCode: 42 })
    const who = await on.runtime.exec('e', {
      args: ['sh', '-c', 'id; echo $A'],
      env: ['A=b', 'PATH=/bin'],
      user: { uid: 7, gid: 8 },
    })
    const { stdout } = await finish(who)
    expect(stdout).toContain('uid=7 gid=8')
    expect(stdout).toContain('\nb\n')
    const asleep = await on.runtime.exec('e', { args: ['sleep', '50'] })
    const groups = readFileSync(`/proc/${asleep.pid}/cgroup`, 'utf8')
    for (const controller of isV2 ? [''] : ['cpu', 'memory', 'pids', 'devices', 'freezer']) {
      expect(groups).toMatch(new RegExp(`:${controller}:/coracle/test-rt-`))
    }
    asleep.close()
    for (let at = 0; at < 20; at++) {
      const cat = await on.runtime.exec('e', { args: ['cat'], stdin: true })
      const bytes = Buffer.alloc(1_000_000 + at, 'x')
      cat.stdin?.end(bytes)
      expect((await textOf(cat.stdout)).length).toBe(bytes.length)
      expect(await cat.exit).toEqual({ exitCode: 0 })
    }
    await expect(on.runtime.exec('e', { args: ['no-such-program'] })).rejects.toMatchObject({ code: 'EXEC_FAILED' })
    for (let at = 0; at < 50; at++) {
      const quick = await on.runtime.exec('e', { args: ['echo', String(at)] })
      expect(await finish(quick)).toMatchObject({ stdout: `${at}\n`, exitCode: 0 })
    }
    const long = await on.runtime.exec('e', { args: ['sleep', '50'] })
    long.close()
    await sleep(100)
    expect((await on.runtime.stats('e')).pids).toBe(1)
    await on.runtime.delete('e', { force: true })
  })

  it('exec with a terminal: size, echo, resize', async () => {
    await on.runtime.create({ id: 't', spec: on.spec(['sleep', '900']) })
    await on.runtime.start('t')
    const session = await on.runtime.exec('t', { args: ['sh'], stdin: true, terminal: { columns: 91, rows: 17 } })
    let text = ''
    session.stdout.on('data', (chunk: Buffer) => {
      text += chunk.toString()
    })
    session.stdin?.write('tty; stty size\n')
    await expect.poll(() => text, { timeout: patient(20_000) }).toContain('17 91')
    expect(text).toContain('/dev/pts/0')
    session.resize(50, 20)
    session.stdin?.write('stty size; exit 6\n')
    expect(await session.exit).toEqual({ exitCode: 6 })
    await expect.poll(() => text).toContain('20 50')
    await on.runtime.delete('t', { force: true })
  })

  it('terminal container: attach, stdin, console', async () => {
    const spec = on.spec(['sh'], (made) => {
      made.process.terminal = true
      made.process.consoleSize = { width: 80, height: 25 }
    })
    const path = join(on.folder, 'tty.log')
    await on.runtime.create({ id: 'tt', spec, stdin: true, log: { path } })
    await on.runtime.start('tt')
    const session = await on.runtime.attach('tt', { stdin: true })
    const output = textOf(session.stdout)
    session.stdin?.write('stty size; ls -l /dev/console; exit 4\n')
    expect(await session.exit).toEqual({ exitCode: 4 })
    expect(await output).toContain('25 80')
    expect(await output).toMatch(/136, +0.*\/dev\/console/)
    expect(logText(path)).toContain('25 80')
    await on.runtime.delete('tt')
  })

  it('attach: output, input, and an end of input (stdinOnce); a client that does not read stops nobody', async () => {
    const spec = on.spec(['sh', '-c', 'cat; echo done'])
    await on.runtime.create({ id: 'a', spec, stdin: true, stdinOnce: true })
    await on.runtime.start('a')
    const session = await on.runtime.attach('a', { stdin: true })
    const output = textOf(session.stdout)
    session.stdin?.end('hello')
    expect(await session.exit).toEqual({ exitCode: 0 })
    expect(await output).toBe('hellodone\n')
    await on.runtime.delete('a')
    await on.runtime.create({ id: 'loud', spec: on.spec(['sh', '-c', 'head -c 40000000 /dev/zero; sleep 0.2']) })
    await on.runtime.start('loud')
    const deaf = await on.runtime.attach('loud')
    deaf.stdout.pause()
    expect((await on.runtime.wait('loud')).exitCode).toBe(0)
    deaf.close()
    await on.runtime.delete('loud')
  })

  it('log: CRI format, long lines in parts, rotation', async () => {
    const path = join(on.folder, 'cri', '0.log')
    const spec = on.spec([
      'sh',
      '-c',
      'printf "%020000d\\n" 7; echo e >&2; printf end; for i in $(seq 3000); do echo line $i >&2; done',
    ])
    await on.runtime.create({ id: 'log', spec, log: { path, maxBytes: 50_000, maxFiles: 3 } })
    await on.runtime.start('log')
    await on.runtime.wait('log')
    await on.runtime.delete('log')
    const all = [2, 1].map((at) => readFileSync(`${path}.${at}`, 'utf8')).join('') + readFileSync(path, 'utf8')
    for (const line of all.split('\n').filter(Boolean)) {
      expect(line).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z (stdout|stderr) [PF] /)
    }
    expect(all).toContain('stderr F line 3000')
    expect(all).toMatch(/stdout P end$/m)
    expect(statSync(path).size).toBeLessThanOrEqual(70_000)
    expect(existsSync(`${path}.3`)).toBe(false)
  })

  it('errors: what is missing is named, and nothing is left', async () => {
    const before = traces(`test-rt-${process.pid}`).length
    const fails = async (args: string[], change?: Parameters<Fixture['spec']>[1]) => {
      try {
        await on.runtime.create({ id: 'bad', spec: on.spec(args, change) })
        await on.runtime.start('bad')
      } catch (error) {
        await on.runtime.delete('bad', { force: true })
        return (error as Error).message
      }
      throw new Error('it did not fail')
    }
    writeFileSync(join(on.rootfs, 'bin/crlf'), '#!/bin/sh\r\necho\r\n', { mode: 0o755 })
    writeFileSync(join(on.rootfs, 'bin/noint'), '#!/no/such\n', { mode: 0o755 })
    writeFileSync(join(on.rootfs, 'bin/plain'), 'text\n', { mode: 0o644 })
    expect(await fails(['nothing-like-it'])).toContain('executable file not found in $PATH')
    expect(await fails(['/bin/crlf'])).toContain('CR LF')
    expect(await fails(['/bin/noint'])).toContain('/no/such')
    expect(await fails(['/bin/plain'])).toContain('not executable')
    expect(await fails(['true'], (spec) => spec.mounts.push({ destination: '/x', type: 'nofs' }))).toMatch(
      /fsopen\("nofs".*ENODEV \(step \d+ of \d+\)/,
    )
    expect(await fails(['true'], (spec) => Object.assign(spec.linux, { intelRdt: { closID: 'x' } }))).toContain(
      'linux.intelRdt',
    )
    expect(await fails(['true'], (spec) => Object.assign(spec.process, { cwd: '/bin/busybox' }))).toMatch(
      /openat2\(.*"bin\/busybox".* failed: ENOTDIR/,
    )
    expect(traces(`test-rt-${process.pid}`)).toHaveLength(before)
    expect(await on.runtime.list()).toEqual([])
  })

  it('launcher killed: containers live, logs go on, exit codes arrive', async () => {
    const path = join(on.folder, 'adopt.log')
    const script = 'i=0; while [ ! -e /data/end ]; do echo tick $i; i=$((i+1)); sleep 0.05; done; exit 33'
    await on.runtime.create({ id: 'live', spec: on.spec(['sh', '-c', script]), log: { path } })
    await on.runtime.create({
      id: 'waiting',
      spec: on.spec(['sh', '-c', 'echo late; exit 34']),
      log: { path: `${path}2` },
    })
    await on.runtime.create({ id: 'nothing', spec: on.spec(['/bin/nothing']) })
    const { pid } = await on.runtime.start('live')
    const first = on.launcherPid()
    await sleep(70)
    process.kill(first, 'SIGKILL')
    await sleep(300)
    await on.reopen()
    expect(on.launcherPid()).not.toBe(first)
    expect(await on.runtime.state('live')).toMatchObject({ status: 'running', pid })
    const inside = await finish(await on.runtime.exec('live', { args: ['echo', 'adopted'] }))
    expect(inside).toMatchObject({ stdout: 'adopted\n', exitCode: 0 })
    writeFileSync(join(on.rootfs, 'data/end'), '')
    const end = await on.runtime.wait('live')
    if (tellsForeignExits) expect(end.exitCode).toBe(33)
    else expect([33, 255]).toContain(end.exitCode)
    expect(end.exitCode === 33 || end.reason).toBeTruthy()
    const ticks = logText(path).split('\n')
    expect(ticks.length).toBeGreaterThan(3)
    expect(ticks).toEqual(ticks.map((_, at) => `tick ${at}`))
    await on.runtime.start('waiting')
    expect([34, ...(tellsForeignExits ? [] : [255])]).toContain((await on.runtime.wait('waiting')).exitCode)
    expect(logText(`${path}2`)).toBe('late')
    await expect(on.runtime.start('nothing')).rejects.toMatchObject({ code: 'EXEC_FAILED' })
    for (const id of ['live', 'waiting', 'nothing']) await on.runtime.delete(id, { force: true })
  })

  it('100 in parallel: every one runs and ends, the launcher stays small', async () => {
    const ids = Array.from({ length: 100 }, (_, at) => `par${at}`)
    await Promise.all(
      ids.map(async (id) => {
        await on.runtime.create({
          id,
          spec: on.spec(['sh', '-c', 'sleep 1; exit 5']),
          log: { path: join(on.folder, `${id}.log`) },
        })
        await on.runtime.start(id)
      }),
    )
    const status = readFileSync(`/proc/${on.launcherPid()}/status`, 'utf8')
    const residentKilobytes = Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1])
    const ends = await Promise.all(ids.map((id) => on.runtime.wait(id)))
    expect(ends.every(({ exitCode }) => exitCode === 5)).toBe(true)
    await Promise.all(ids.map((id) => on.runtime.delete(id)))
    console.log(`launcher with 100 containers: ${(residentKilobytes / 1024).toFixed(1)} MB`)
    expect(residentKilobytes).toBeLessThan(100 * 1024)
  })
})
