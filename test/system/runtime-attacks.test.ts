/* Attacks on runtimes that have worked: each must come to nothing, and a runtime that resolves paths naively fails here. */
import { execFile, execFileSync } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { basename, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { OciSpec } from '../../runtime/index.ts'
import { buildProbe, hasCompiler, parseAnswers } from '../fixtures/probe/build.ts'
import { groupFile } from './group-folders.ts'
import { patience, patient } from './patience.ts'
import { aFixture, type Fixture, finish, logText, traces } from './runtime-fixture.ts'
import { ours } from './runtime-must/engines.ts'
import { mountAt, S_IFCHR } from './runtime-must/must.ts'

type Change = (spec: Required<OciSpec>) => void

describe.skipIf(process.getuid?.() !== 0 || !hasCompiler)('attacks (needs root and gcc)', () => {
  let on: Fixture
  let count = 0
  beforeAll(async () => {
    on = await aFixture('attack')
    buildProbe(join(on.rootfs, 'bin'), 'probe')
    buildProbe(join(on.rootfs, 'bin'), 'attacker')
  })
  afterAll(async () => {
    await on[Symbol.asyncDispose]()
    expect(traces(on.mark)).toEqual([])
    expect(traces(`test-attack-${process.pid}`)).toEqual([])
  })

  /** A hostile image: a copy of the root, prepared. Writable, for what the attacker wants to happen must be possible. */
  function image(prepare: (root: string) => void): Change {
    const root = join(on.folder, `image${count++}`)
    cpSync(on.rootfs, root, { recursive: true, verbatimSymlinks: true })
    // Earlier containers have left mount points in it.
    for (const name of ['dev', 'proc', 'sys']) rmSync(join(root, name), { recursive: true, force: true })
    prepare(root)
    return (spec) => {
      spec.root = { path: root, readonly: false }
    }
  }
  /** A folder of the host that no container has anything to do with. */
  function outside(): string {
    const folder = join(on.folder, `outside${count++}`)
    mkdirSync(folder)
    return folder
  }
  const probe = async (questions: string[], ...changes: Change[]) => {
    const { output } = await on.run(['/bin/probe', ...questions], (spec) => {
      for (const change of changes) change(spec)
    })
    return parseAnswers(output)
  }
  const withoutMount =
    (destination: string): Change =>
    (spec) => {
      spec.mounts = spec.mounts.filter((mount) => !mount.destination.startsWith(destination))
    }

  describe('CVE-2019-5736: the runtime’s own program within reach', () => {
    it('an image whose program is #!/proc/self/exe runs nothing of the host', async () => {
      const node = statSync(process.execPath)
      const hostile = image((root) => {
        writeFileSync(join(root, 'bin/entry'), '#!/proc/self/exe\n')
        chmodSync(join(root, 'bin/entry'), 0o755)
      })
      const { exitCode } = await on.run(['/bin/entry'], hostile)
      expect(exitCode).not.toBe(0)
      expect(statSync(process.execPath)).toMatchObject({ ino: node.ino, mtimeMs: node.mtimeMs, size: node.size })
    })

    it('and CVE-2016-9962: a container that watches every exec gets no program, memory, descriptor or folder', async () => {
      const id = `watch${count++}`
      const path = join(on.folder, `${id}.log`)
      const spec = on.spec(['/bin/attacker', 'watch', String(patient(3500))])
      await on.runtime.create({ id, spec, log: { path } })
      await on.runtime.start(id)
      await expect.poll(() => logText(path)).toContain('ready')
      const end = performance.now() + patient(2000)
      let execs = 0
      // It looks on for longer: on a slow machine fifty take their time.
      for (; performance.now() < end || execs <= 50; execs++)
        await finish(await on.runtime.exec(id, { args: ['/bin/true'] }))
      await on.runtime.wait(id)
      await on.runtime.delete(id)
      const [, line = '{}'] = logText(path).split('\n')
      const { seen, foreign, ...caught } = JSON.parse(line) as Record<string, number>
      expect(execs).toBeGreaterThan(50)
      expect(seen).toBeGreaterThan(execs)
      expect(caught).toEqual({ programs: 0, memories: 0, descriptors: 0, folders: 0 })
    })
  })

  describe('CVE-2024-21626: a working directory that leads out', () => {
    it('cwd and exec’s cwd in /proc/self/fd, plainly and by a link of the image', async () => {
      const hostile = image((root) => {
        for (let fd = 3; fd < 24; fd++) symlinkSync(`/proc/self/fd/${fd}`, join(root, `fd${fd}`))
      })
      const running = on.spec(['sleep', '900'], hostile)
      await on.runtime.create({ id: 'cwd', spec: running })
      await on.runtime.start('cwd')
      for (let fd = 3; fd < 24; fd++) {
        for (const cwd of [`/proc/self/fd/${fd}`, `/fd${fd}`, `/proc/1/fd/${fd}`, `/proc/self/fd/${fd}/..`]) {
          const spec = on.spec(['/bin/probe', 'see', '.'], (made) => {
            hostile(made)
            Object.assign(made.process ?? {}, { cwd })
          })
          await expect(on.runtime.create({ id: 'no', spec }), cwd).rejects.toThrow(/(chdir|openat2).* failed: E/)
          await expect(on.runtime.exec('cwd', { args: ['/bin/true'], cwd }), cwd).rejects.toThrow(
            /(chdir|openat2).* failed: E/,
          )
        }
      }
      await on.runtime.delete('cwd', { force: true })
    })
  })

  describe('CVE-2025-31133: what masks a path, exchanged', () => {
    it('an image’s own /dev/null, a link to core_pattern, masks nothing', async () => {
      const before = readFileSync('/proc/sys/kernel/core_pattern', 'utf8')
      const hostile = image((root) => {
        mkdirSync(join(root, 'dev'))
        symlinkSync('/proc/sys/kernel/core_pattern', join(root, 'dev/null'))
        symlinkSync('/proc', join(root, 'link'))
      })
      const masked: Change = (spec) => Object.assign(spec.linux, { maskedPaths: ['/proc/meminfo', '/link/uptime'] })
      const questions = ['stat', '/proc/meminfo', 'read', '/proc/meminfo', 'stat', '/proc/uptime']
      const [file, text, linked] = await probe(questions, hostile, masked, withoutMount('/dev'))
      expect(file).toMatchObject({ kind: S_IFCHR, major: 1, minor: 3 })
      expect(text).toEqual({ text: '' })
      expect(linked).toMatchObject({ kind: S_IFCHR, major: 1, minor: 3 })
      expect(readFileSync('/proc/sys/kernel/core_pattern', 'utf8')).toBe(before)
    })
  })

  describe('CVE-2025-52565: the console', () => {
    const linked = (target: string) =>
      image((root) => {
        mkdirSync(join(root, 'dev/pts'), { recursive: true })
        writeFileSync(join(root, 'etc/inside'), 'of the image')
        symlinkSync(target, join(root, 'dev/console'))
        symlinkSync(target, join(root, 'dev/pts/0'))
      })
    const terminal: Change = (spec) => {
      spec.mounts = spec.mounts.filter(({ destination }) => destination !== '/dev')
      Object.assign(spec.process ?? {}, { terminal: true })
    }

    it.each(['/proc/uptime', '/etc/inside', '../../../../../../etc/inside'])(
      'links of the image to %s in the place of /dev/console and /dev/pts/0 are not what is mounted',
      async (target) => {
        const [pts, seen, console] = await probe(
          ['stat', '/dev/pts/0', 'see', '.', 'stat', '/dev/console'],
          linked(target),
          terminal,
        )
        expect(pts).toMatchObject({ kind: S_IFCHR, major: 136, minor: 0 })
        expect(seen).toMatchObject({ tty: 1 })
        expect(mountAt(seen ?? {}, target.replace(/^(\.\.\/)+/, '/'))?.type).toBe('devpts')
        expect(console).toBeDefined()
      },
    )

    it('a link out of the image, to what only the host has, is refused', async () => {
      const target = join(outside(), 'file')
      writeFileSync(target, 'of the host')
      await expect(probe(['see', '.'], linked(target), terminal)).rejects.toThrow(/dev\/console.*ENOENT/)
      expect(readFileSync(target, 'utf8')).toBe('of the host')
    })
  })

  describe('CVE-2025-52881: writes to /proc, led elsewhere', () => {
    it('sysctls reach the kernel, not what image or volume have put at /proc', async () => {
      const fake = outside()
      mkdirSync(join(fake, 'sys/net/ipv4'), { recursive: true })
      writeFileSync(join(fake, 'sys/net/ipv4/ip_forward'), 'fake')
      const hostile = image((root) => {
        mkdirSync(join(root, 'fake/net/ipv4'), { recursive: true })
        writeFileSync(join(root, 'fake/net/ipv4/ip_forward'), 'fake')
        mkdirSync(join(root, 'proc'), { recursive: true })
        symlinkSync('/fake', join(root, 'proc/sys'))
      })
      const tuned: Change = (spec) =>
        Object.assign(spec.linux, { sysctl: { 'net.ipv4.ip_forward': '1' }, maskedPaths: [], readonlyPaths: [] })
      const elsewhere: Change = (spec) => {
        spec.mounts = spec.mounts.filter(({ destination }) => destination !== '/proc')
        spec.mounts.unshift({ destination: '/real', type: 'proc', source: 'proc' })
      }
      const volume: Change = (spec) => void spec.mounts.push({ destination: '/proc', source: fake, options: ['bind'] })
      const questions = ['read', '/real/sys/net/ipv4/ip_forward', 'read', '/proc/sys/net/ipv4/ip_forward']
      expect(await probe(questions, hostile, tuned, elsewhere)).toEqual([{ text: '1\n' }, { text: 'fake' }])
      expect(await probe(questions, hostile, tuned, elsewhere, volume)).toEqual([{ text: '1\n' }, { text: 'fake' }])
      expect(readFileSync(join(fake, 'sys/net/ipv4/ip_forward'), 'utf8')).toBe('fake')
    })

    it('exec’s oom_score_adj is set, whatever the container has made of its /proc', async () => {
      const spec = on.spec(
        [
          'sh',
          '-c',
          'mount -t tmpfs none /proc && mkdir -p /proc/self && echo x > /proc/self/oom_score_adj && echo done && sleep 900',
        ],
        (made) => {
          made.root = { path: on.rootfs, readonly: false }
          const all = ['CAP_SYS_ADMIN']
          Object.assign(made.process ?? {}, {
            capabilities: { bounding: all, effective: all, permitted: all },
            oomScoreAdj: 500,
          })
        },
      )
      const path = join(on.folder, 'score.log')
      await on.runtime.create({ id: 'score', spec, log: { path } })
      await on.runtime.start('score')
      await expect.poll(() => logText(path)).toBe('done')
      const { cgroupPath } = await on.runtime.state('score')
      const session = await on.runtime.exec('score', { args: ['sleep', '900'] })
      const procs = groupFile(cgroupPath, { v1: 'pids/cgroup.procs', v2: 'cgroup.procs' })
      const pids = readFileSync(procs, 'utf8').trim().split('\n')
      const scores = pids.map((pid) => readFileSync(`/proc/${pid}/oom_score_adj`, 'utf8').trim())
      expect(scores).toEqual(scores.map(() => '500'))
      expect(scores.length).toBeGreaterThan(1)
      await on.runtime.delete('score', { force: true })
      await finish(session)
    })
  })

  describe('CVE-2026-41579, CVE-2026-47766: /dev and other targets are links', () => {
    const targets = ['dev', 'proc', 'sys', 'data']
    it.each(targets.flatMap((name) => [true, false].map((absolute) => [name, absolute] as const)))(
      '/%s leads out of the image (absolute: %s): nothing is made or mounted there',
      async (name, absolute) => {
        const target = outside()
        const hostile = image((root) => {
          rmSync(join(root, name), { recursive: true, force: true })
          symlinkSync(absolute ? target : `../${basename(target)}`, join(root, name))
        })
        const volume: Change = (spec) => {
          spec.mounts.push({ destination: '/data/in/it', type: 'tmpfs', source: 'tmpfs' })
          Object.assign(spec.linux, { devices: [{ type: 'c', path: '/dev/own', major: 1, minor: 3 }] })
        }
        const [answer] = await probe(['see', '.'], hostile, volume).catch((error: Error) => {
          expect(error.message).toMatch(/failed: E[A-Z]+ \(step/)
          return []
        })
        if (answer && name === 'data') expect(String(answer.mountinfo)).toContain('/in/it ')
        expect(readdirSync(target)).toEqual([])
        expect(readFileSync('/proc/self/mounts', 'utf8')).not.toContain(target)
      },
    )

    it('nodes of /dev are made inside the image when nothing is mounted there', async () => {
      const target = outside()
      const hostile = image((root) => symlinkSync(target, join(root, 'dev')))
      await probe(['see', '.'], hostile, withoutMount('/dev')).catch(() => [])
      expect(readdirSync(target)).toEqual([])
    })
  })

  it(
    'mount targets exchanged for links while containers are made: 1,000 times nothing outside is touched',
    async () => {
      const target = outside()
      const hostile = image((root) => {
        mkdirSync(join(root, 'data'), { recursive: true })
        symlinkSync(target, join(root, 'link'))
      })
      const spec = on.spec(['/bin/true'], (made) => {
        hostile(made)
        made.mounts.push({ destination: '/data/volume', type: 'tmpfs', source: 'tmpfs' })
        Object.assign(made.linux, { maskedPaths: ['/data/volume/masked'], readonlyPaths: ['/data/volume'] })
      })
      const root = spec.root?.path ?? ''
      const attacker = join(on.rootfs, 'bin/attacker')
      const swapping = promisify(execFile)(attacker, [
        'swap',
        join(root, 'data'),
        join(root, 'link'),
        String(patient(300_000)),
      ]).catch(() => ({ stdout: '' }))
      const swapper = execFileSync('ps', ['-eo', 'pid,args'], { encoding: 'utf8' })
        .split('\n')
        .find((line) => line.includes(`${root}/data`))
      const outcomes = { made: 0, refused: 0 }
      const wrong: string[] = []
      for (let round = 0; round < 1000; round++) {
        try {
          const { pid } = await on.runtime.create({ id: 'race', spec })
          const mounts = readFileSync(`/proc/${pid}/mountinfo`, 'utf8')
          if (!/ \/[^ ]*volume /.test(mounts)) wrong.push(mounts)
          outcomes.made++
          await on.runtime.delete('race', { force: true })
        } catch (error) {
          if (!/\(step \d+ of \d+\)/.test((error as Error).message)) wrong.push((error as Error).message)
          outcomes.refused++
        }
        if (readdirSync(target).length > 0) wrong.push(`made outside: ${readdirSync(target)}`)
        if (wrong.length > 0) break
      }
      process.kill(Number(swapper?.trim().split(' ')[0]), 'SIGKILL')
      await swapping
      if (statSync(join(root, 'data')).ino === statSync(target).ino) renameSync(join(root, 'link'), join(root, 'data2'))
      expect(wrong).toEqual([])
      expect(outcomes.made).toBeGreaterThan(50)
      expect(outcomes.refused).toBeGreaterThan(50)
    },
    patient(300_000),
  )

  describe('CVE-2026-30892: exec --user, read loosely', () => {
    it(
      'what is not exactly uid or uid:gid is refused, and never means root',
      () => {
        const engine = ours(on)
        const bundle = engine.bundle(on.spec(['sleep', '900']))
        expect(engine.command('create', '-b', bundle, 'user').status).toBe(0)
        expect(engine.command('start', 'user').status).toBe(0)
        const wrong = [
          '',
          ' ',
          '0x0',
          '1e3',
          '-1',
          '+0',
          '5:',
          ':6',
          '5:6:7',
          '5.5',
          '4294967295',
          '4294967296',
          '99999999999999999999',
          'root',
          'nobody',
          '5 ',
          '5\n',
          '٣',
          'NaN',
        ]
        for (const user of wrong) {
          const { status, stdout, stderr } = engine.command('exec', `--user=${user}`, 'user', 'id', '-u')
          expect([user, status === 0 ? stdout : 'refused']).toEqual([user, 'refused'])
          expect(stderr).not.toBe('')
        }
        expect(engine.command('exec', '--user=5:6', 'user', 'id')).toMatchObject({ status: 0, stdout: 'uid=5 gid=6\n' })
        expect(engine.command('delete', '--force', 'user').status).toBe(0)
      },
      patient(60_000),
    )
  })

  describe('bombs', () => {
    it('a fork bomb stays within its pids limit and dies at once', async () => {
      const spec = on.spec(['sh', '-c', 'bomb() { bomb | bomb & }; bomb; sleep 900'], (made) => {
        Object.assign(made.linux, { resources: { ...made.linux.resources, pids: { limit: 40 } } })
      })
      await on.runtime.create({ id: 'fork', spec })
      await on.runtime.start('fork')
      const seen: number[] = []
      // At least for a second, and on a machine with other things to do until it has come near its limit.
      for (let look = 0; look < 200 && (look < 20 || Math.max(...seen) <= 30); look++) {
        await sleep(50)
        seen.push((await on.runtime.stats('fork')).pids ?? 0)
      }
      expect(Math.max(...seen)).toBeLessThanOrEqual(40)
      expect(Math.max(...seen)).toBeGreaterThan(30)
      const before = performance.now()
      await on.runtime.delete('fork', { force: true })
      expect(performance.now() - before).toBeLessThan(patient(3000))
    })

    it('a memory bomb is killed alone, and called by its name', async () => {
      const limit = 16 * 2 ** 20
      const spec = on.spec(['/bin/attacker', 'eat'], (made) => {
        Object.assign(made.linux, { resources: { ...made.linux.resources, memory: { limit, swap: limit } } })
      })
      await on.runtime.create({ id: 'eat', spec })
      await on.runtime.start('eat')
      expect(await on.runtime.wait('eat')).toMatchObject({ exitCode: 137, signal: 9, oomKilled: true })
      await on.runtime.delete('eat')
      expect(existsSync(`/proc/${on.launcherPid()}`)).toBe(true)
    })

    it('output that nobody reads, without a log: the program comes to its end', async () => {
      const spec = on.spec(['sh', '-c', 'dd if=/dev/zero bs=65536 count=800 2>/dev/null; exit 5'])
      await on.runtime.create({ id: 'loud', spec })
      await on.runtime.start('loud')
      expect((await on.runtime.wait('loud')).exitCode).toBe(5)
      await on.runtime.delete('loud')
    })
  })

  it('a hook that hangs, without a timeout, holds up its own container alone, and goes with it', async () => {
    const spec = on.spec(['true'], (made) => {
      Object.assign(made, { hooks: { createRuntime: [{ path: '/bin/sleep', args: ['sleep', '10000'] }] } })
    })
    const hanging = on.runtime.create({ id: 'hang', spec }).catch((error: Error) => error.message)
    const hook = () =>
      execFileSync('ps', ['-eo', 'pid=,args='], { encoding: 'utf8' })
        .split('\n')
        .find((line) => line.trim().endsWith('sleep 10000'))
    await expect.poll(hook).toBeDefined()
    const before = performance.now()
    for (let at = 0; at < 5; at++) expect((await on.run(['true'])).exitCode).toBe(0)
    expect(performance.now() - before).toBeLessThan(patient(2000))
    process.kill(Number(hook()?.trim().split(' ')[0]), 'SIGKILL')
    expect(await hanging).toMatch(/createRuntime hook #0: .*SIGKILL/)
    expect((await on.runtime.list()).map(({ id }) => id)).not.toContain('hang')
  })

  it(
    '2,000 short execs leave nothing: descriptors, processes, memory',
    async () => {
      await on.runtime.create({ id: 'host', spec: on.spec(['sleep', String(600 * patience)]) })
      await on.runtime.start('host')
      const launcher = on.launcherPid()
      const descriptors = () => readdirSync(`/proc/${launcher}/fd`).length
      const resident = () => Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${launcher}/status`, 'utf8'))?.[1])
      const burst = async (times: number) => {
        for (let at = 0; at < times; at += 8) {
          const codes = await Promise.all(
            Array.from(
              { length: 8 },
              async () => (await finish(await on.runtime.exec('host', { args: ['/bin/true'] }))).exitCode,
            ),
          )
          expect(codes).toEqual(codes.map(() => 0))
        }
      }
      await burst(400)
      const before = { descriptors: descriptors(), resident: resident() }
      await burst(1600)
      await sleep(100)
      expect(descriptors()).toBeLessThanOrEqual(before.descriptors + 2)
      expect(resident() - before.resident).toBeLessThan(20_000)
      expect((await on.runtime.stats('host')).pids).toBe(1)
      const zombies = execFileSync('ps', ['-o', 'stat=', '--ppid', String(launcher)], { encoding: 'utf8' }).split('\n')
      expect(zombies.filter((state) => state.startsWith('Z'))).toEqual([])
      await on.runtime.delete('host', { force: true })
    },
    patient(120_000),
  )

  it(
    '800 short containers, 16 at a time: each log has its own container’s words, and no birth is lost',
    async () => {
      const heard: string[] = []
      const lives = async (at: number) => {
        for (let turn = 0; turn < 50; turn++) {
          const id = `life${at}-${turn}`
          const path = join(on.folder, `${id}.log`)
          await on.runtime.create({ id, spec: on.spec(['echo', id]), log: { path } })
          await on.runtime.start(id)
          await on.runtime.wait(id)
          await on.runtime.delete(id)
          if (logText(path) !== id) heard.push(`${id} said ${logText(path)}`)
        }
      }
      await Promise.all(Array.from({ length: 16 }, (_, at) => lives(at)))
      expect(heard).toEqual([])
    },
    patient(60_000),
  )

  it('the host’s /dev/null stays root’s when a container’s user has no input', async () => {
    const user: Change = (spec) => Object.assign(spec.process ?? {}, { user: { uid: 1234, gid: 1234 } })
    const owner = statSync('/dev/null').uid
    const [seen] = await probe(['stat', '/proc/self/fd/1'], user)
    expect(seen).toBeDefined()
    await on.runtime.create({ id: 'null', spec: on.spec(['sleep', '900'], user) })
    await on.runtime.start('null')
    await finish(await on.runtime.exec('null', { args: ['/bin/true'], user: { uid: 4321, gid: 4321 } }))
    await on.runtime.delete('null', { force: true })
    expect(statSync('/dev/null').uid).toBe(owner)
  })
})
