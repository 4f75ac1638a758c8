import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { HookName, OciHook, OciLinux, OciSpec } from '../../runtime/index.ts'
import { isAtLeast } from '../../runtime/linux/kernel-features.ts'
import { patience, patient } from './patience.ts'
import { aFixture, type Fixture, finish, logText, traces } from './runtime-fixture.ts'

const isRoot = process.getuid?.() === 0
const uidMappings = [{ containerID: 0, hostID: 100_000, size: 65_536 }]
const gidMappings = [{ containerID: 0, hostID: 200_000, size: 65_536 }]

describe.skipIf(!isRoot)('config.json in real containers (needs root)', () => {
  let on: Fixture
  beforeAll(async () => {
    on = await aFixture('config')
    for (const folder of ['proc', 'sys', 'dev']) mkdirSync(join(on.rootfs, folder))
  })
  afterAll(async () => {
    await on[Symbol.asyncDispose]()
    expect(traces(`test-config-${process.pid}`)).toEqual([])
    expect(traces(on.mark)).toEqual([])
  })

  describe('user namespaces', () => {
    it('new: root inside is nobody outside; devices, devpts, proc, sys and cgroups are there', async () => {
      const script =
        'id -u; cat /proc/self/uid_map /proc/self/gid_map; head -c 3 /dev/zero | wc -c; mount; ls -ln /dev/null /proc/self/mounts; echo hi > /dev/stdout; hostname; touch /dev/shm/x && ls -ln /dev/shm/x; cat /proc/self/status'
      const { output, exitCode } = await on.run(['sh', '-c', script], (spec) => {
        spec.linux.namespaces?.push({ type: 'user' })
        Object.assign(spec.linux, { uidMappings, gidMappings })
      })
      expect(output).toMatch(/^0$/m)
      expect(output).toMatch(/^ +0 +100000 +65536$/m)
      expect(output).toMatch(/^ +0 +200000 +65536$/m)
      for (const type of ['proc', 'sysfs', 'devpts', 'mqueue', 'tmpfs']) expect(output).toContain(`type ${type}`)
      expect(output).toMatch(/^hi$/m)
      expect(output).toMatch(/^coracle$/m)
      expect(output).toMatch(/^Groups:\s*$/m)
      expect(exitCode).toBe(0)
    })

    const inUserNamespace = (spec: Required<OciSpec>) => {
      spec.linux.namespaces?.push({ type: 'user' })
      Object.assign(spec.linux, { uidMappings, gidMappings })
    }

    it('exec joins it, with a user of its own; the pipes are that user’s', async () => {
      await on.runtime.create({ id: 'ux', spec: on.spec(['sleep', '900'], inUserNamespace) })
      const { pid } = await on.runtime.start('ux')
      expect(statSync(`/proc/${pid}`).uid).toBe(100_000)
      const args = ['sh', '-c', 'id; echo again > /dev/stdout; readlink /proc/self/ns/user']
      const shown = await finish(await on.runtime.exec('ux', { args, user: { uid: 7, gid: 8, additionalGids: [9] } }))
      expect(shown.stdout).toBe(`uid=7 gid=8 groups=9\nagain\n${readlinkSync(`/proc/${pid}/ns/user`)}\n`)
      const terminal = { columns: 80, rows: 24 }
      const onTerminal = await finish(await on.runtime.exec('ux', { args: ['sh', '-c', 'tty; id -u'], terminal }))
      expect(onTerminal.stdout).toBe('/dev/pts/0\r\n0\r\n')
      const unmapped = on.runtime.exec('ux', { args: ['true'], user: { uid: 70_000, gid: 0 } })
      await expect(unmapped).rejects.toThrow(/process\.user\.uid: 70000 is in no range of linux\.uidMappings/)
      await on.runtime.delete('ux', { force: true })
    })

    it('several ranges, without id 0: the lowest id is the owner of what is made, and keeps no privilege it was not given', async () => {
      const ranges = [
        { containerID: 1000, hostID: 300_000, size: 10 },
        { containerID: 5, hostID: 400_000, size: 2 },
      ]
      const { output, exitCode } = await on.run(
        ['sh', '-c', 'id -u; id -g; ls -ldn /dev/shm; cat /proc/self/status'],
        (spec) => {
          inUserNamespace(spec)
          Object.assign(spec.linux, { uidMappings: ranges, gidMappings: ranges })
          if (spec.process) spec.process.user = { uid: 1003, gid: 6 }
          if (spec.process) spec.process.capabilities = {}
        },
      )
      expect(exitCode).toBe(0)
      expect(output).toMatch(/^1003\n6\n/)
      expect(output).toMatch(/^drwxrwxrwt.* 5 +5 /m)
      expect(output).toMatch(/^CapPrm:\s+0+$/m)
      expect(output).toMatch(/^CapEff:\s+0+$/m)
    })

    it('binds from folders that only the host’s root can enter; nothing of the mounts reaches the host', async () => {
      const hidden = join(on.folder, 'hidden')
      mkdirSync(hidden, { mode: 0o700 })
      mkdirSync(join(hidden, 'data'))
      chownSync(hidden, 4711, 4711)
      writeFileSync(join(hidden, 'data', 'f'), 'from the host')
      const { output } = await on.run(['sh', '-c', 'cat /data/f; touch /data/g'], (spec) => {
        inUserNamespace(spec)
        spec.mounts.push({ destination: '/data', source: join(hidden, 'data'), type: 'bind', options: ['rbind', 'ro'] })
      })
      expect(output).toContain('from the host')
      expect(output).toContain('Read-only file system')
    })

    it('a sandbox with one; containers join it by path, and the network that belongs to it', async () => {
      const group = `coracle/test-config-${process.pid}/userpod`
      const sandbox = await on.runtime.createSandbox({
        id: 'userpod',
        hostname: 'boat',
        cgroupPath: group,
        userNamespace: { uidMappings, gidMappings },
      })
      const path = (name: string) => `/proc/${sandbox.pid}/ns/${name}`
      expect(statSync(`/proc/${sandbox.pid}`).uid).toBe(100_000 + 65_535)
      const { output, exitCode } = await on.run(
        ['sh', '-c', 'id -u; hostname; cat /proc/self/uid_map; ls /sys/class/net; echo ok > /dev/stdout'],
        (spec) => {
          spec.hostname = ''
          spec.linux.namespaces = [
            { type: 'user', path: path('user') },
            { type: 'network', path: path('net') },
            { type: 'uts', path: path('uts') },
            { type: 'ipc', path: path('ipc') },
            { type: 'mount' },
            { type: 'pid' },
          ]
        },
      )
      expect(output).toMatch(/^0\nboat\n +0 +100000 +65536\nlo\nok$/)
      expect(exitCode).toBe(0)
      await on.runtime.delete('userpod', { force: true })
      await on.runtime.removeGroup(group)
    })

    it.skipIf(!isAtLeast(6, 13))('an overlay of layers (needs Linux 6.13)', async () => {
      const layer = (name: string) => {
        const path = join(on.folder, name)
        mkdirSync(path)
        return path
      }
      const [upper, work] = [layer('ov-upper'), layer('ov-work')]
      chownSync(upper, 100_000, 200_000)
      const log = join(on.folder, 'ov.log')
      const spec = on.spec(['sh', '-c', 'touch /new && ls -n /new'], (made) => {
        inUserNamespace(made)
        made.root = { path: '/unused' }
      })
      await on.runtime.create({
        id: 'ov',
        spec,
        rootfs: { overlay: { lower: [on.rootfs], upper, work } },
        log: { path: log },
      })
      await on.runtime.start('ov')
      await on.runtime.wait('ov')
      await on.runtime.delete('ov')
      expect(logText(log)).toMatch(/ 0 +0 .* \/new$/)
      expect(statSync(join(upper, 'new')).uid).toBe(100_000)
    })

    it('a terminal, and its console', async () => {
      const log = join(on.folder, 'ut.log')
      const spec = on.spec(['sh', '-c', 'tty; stat -c "%u %t:%T" /dev/console; echo out > /dev/console'], (made) => {
        inUserNamespace(made)
        if (made.process) made.process.terminal = true
      })
      await on.runtime.create({ id: 'ut', spec, log: { path: log } })
      await on.runtime.start('ut')
      await on.runtime.wait('ut')
      await on.runtime.delete('ut')
      expect(logText(log).replaceAll('\r', '')).toBe('/dev/pts/0\n0 88:0\nout')
    })

    it('errors name the mapping', async () => {
      const refused = (change: (linux: OciLinux) => void) =>
        expect(
          on.runtime.create({
            id: 'no',
            spec: on.spec(['true'], (spec) => {
              inUserNamespace(spec)
              change(spec.linux)
            }),
          }),
        ).rejects
      await refused((linux) => delete linux.uidMappings).toThrow(/linux\.uidMappings: is empty/)
      await refused((linux) => Object.assign(linux, { gidMappings: [{ containerID: 0, hostID: 0, size: 0 }] })).toThrow(
        /linux\.gidMappings\[0\]\.size/,
      )
      await refused((linux) => Object.assign(linux, { gidMappings: [{ containerID: 0, hostID: 7, size: 2 }] })).toThrow(
        /mounts \/dev\/pts: gid=5 is in no range of linux\.gidMappings/,
      )
      expect(await on.runtime.list()).toEqual([])
    })
  })

  describe('hooks', () => {
    const kinds = ['prestart', 'createRuntime', 'createContainer', 'startContainer', 'poststart', 'poststop'] as const
    /** A hook that appends a line about where it runs to a file: its state, its root and its uts namespace. */
    const telling = (kind: HookName, file: string): OciHook => ({
      path: '/bin/sh',
      args: [
        'sh',
        '-c',
        'read state; echo "$KIND $(readlink /proc/self/ns/uts) $(readlink /proc/self/ns/mnt) $PWD $state" >> $FILE',
      ],
      env: [`KIND=${kind}`, `FILE=${file}`, 'PATH=/bin:/usr/bin'],
    })
    const linesOf = (file: string) =>
      readFileSync(file, 'utf8')
        .trim()
        .split('\n')
        .map((line) => {
          const [kind, uts, mount, cwd, ...state] = line.split(' ')
          return { kind, uts, mount, cwd, state: JSON.parse(state.join(' ')) }
        })
    const create = (id: string, hooks: OciSpec['hooks'], change: (spec: Required<OciSpec>) => void = () => {}) =>
      on.runtime.create({
        id,
        spec: on.spec(['sleep', '900'], (spec) => {
          spec.hooks = hooks ?? {}
          spec.annotations = { a: 'b' }
          change(spec)
        }),
      })

    it('six kinds: in their order, namespaces, and with the state', async () => {
      const file = join(on.folder, 'hooks.txt')
      const inside = join(on.folder, 'hooks-inside')
      mkdirSync(inside)
      const hooks = Object.fromEntries(
        kinds.map((kind) => [kind, [telling(kind, kind === 'startContainer' ? '/inside/hooks.txt' : file)]]),
      )
      await create('h', hooks, (spec) => {
        spec.mounts.push({ destination: '/inside', source: inside, options: ['bind'] })
        spec.root = { path: on.rootfs }
      })
      const { pid } = await on.runtime.start('h')
      const own = { uts: readlinkSync('/proc/self/ns/uts'), mount: readlinkSync('/proc/self/ns/mnt') }
      const its = { uts: readlinkSync(`/proc/${pid}/ns/uts`), mount: readlinkSync(`/proc/${pid}/ns/mnt`) }
      await on.runtime.delete('h', { force: true })
      const common = { ociVersion: '1.3.0', id: 'h', bundle: '', annotations: { a: 'b' } }
      expect(linesOf(file)).toEqual([
        { kind: 'prestart', ...own, cwd: '/', state: { ...common, status: 'creating', pid } },
        { kind: 'createRuntime', ...own, cwd: '/', state: { ...common, status: 'creating', pid } },
        { kind: 'createContainer', ...its, cwd: '/', state: { ...common, status: 'creating', pid: 1 } },
        { kind: 'poststart', ...own, cwd: '/', state: { ...common, status: 'running', pid } },
        { kind: 'poststop', ...own, cwd: '/', state: { ...common, status: 'stopped' } },
      ])
      expect(linesOf(join(inside, 'hooks.txt'))).toEqual([
        { kind: 'startContainer', ...its, cwd: '/', state: { ...common, status: 'created', pid: 1 } },
      ])
    })

    it('in a user namespace: hooks of the container are its root, those of the runtime are not', async () => {
      // The fixture's own folder is closed to everybody but the host's root.
      const folder = mkdtempSync(join(tmpdir(), 'coracle-hooks-user-'))
      chmodSync(folder, 0o777)
      const hook = (kind: string): OciHook => ({
        path: '/bin/sh',
        args: ['sh', '-c', `id -u > ${folder}/${kind}`],
        env: ['PATH=/bin'],
      })
      await create('hu', { createRuntime: [hook('runtime')], createContainer: [hook('container')] }, (spec) => {
        spec.linux.namespaces?.push({ type: 'user' })
        Object.assign(spec.linux, { uidMappings, gidMappings })
      })
      await on.runtime.start('hu')
      await on.runtime.delete('hu', { force: true })
      expect(statSync(join(folder, 'runtime')).uid).toBe(0)
      expect(statSync(join(folder, 'container')).uid).toBe(100_000)
      expect(readFileSync(join(folder, 'container'), 'utf8')).toBe('0\n')
      rmSync(folder, { recursive: true })
    })

    it.each(['prestart', 'createRuntime', 'createContainer'] as const)(
      '%s fails: no container is left, poststop runs',
      async (kind) => {
        const file = join(on.folder, `failed-${kind}`)
        const fails: OciHook = { path: '/bin/sh', args: ['sh', '-c', 'echo no luck; exit 3'] }
        await expect(create('f', { [kind]: [fails], poststop: [telling('poststop', file)] })).rejects.toThrow(
          `error running ${kind} hook #0: /bin/sh of f: ${kind} hook failed with exit code 3; it said: no luck`,
        )
        expect(await on.runtime.list()).toEqual([])
        expect(linesOf(file)[0]?.state.status).toBe('stopped')
      },
    )

    it.each(['startContainer', 'poststart'] as const)('%s fails: the container is killed', async (kind) => {
      await create('f', { [kind]: [{ path: '/bin/sh', args: ['sh', '-c', 'exit 4'] }] })
      await expect(on.runtime.start('f')).rejects.toThrow(
        `error running ${kind} hook #0: /bin/sh of f: ${kind} hook failed with exit code 4`,
      )
      await on.runtime.wait('f')
      expect(await on.runtime.state('f')).toMatchObject({ status: 'stopped', signal: 9 })
      await on.runtime.delete('f')
    })

    it('poststop fails: a warning, and the next one runs', async () => {
      const file = join(on.folder, 'poststop')
      await create('p', { poststop: [{ path: '/nowhere' }, telling('poststop', file), { path: '/nor/here' }] })
      await on.runtime.delete('p', { force: true })
      expect(linesOf(file)).toHaveLength(1)
      expect(on.warnings.join()).toMatch(/poststop hook #0: \/nowhere of p: execve\("\/nowhere".* failed: ENOENT/)
      expect(on.warnings.join()).toMatch(/poststop hook #2: \/nor\/here of p: /)
    })

    it('a hook that hangs is killed with all that it has started; meanwhile others are served', async () => {
      const started = performance.now()
      const hangs: OciHook = {
        path: '/bin/sh',
        args: ['sh', '-c', `sleep 4711 & sleep 4711; true`],
        env: ['PATH=/bin'],
        timeout: 5 * patience,
      }
      const hanging = create('slow', { createRuntime: [hangs] })
      hanging.catch(() => {})
      await expect
        .poll(() => on.runtime.state('slow').catch(() => ({ status: 'none' })))
        .toMatchObject({ status: 'creating' })
      await expect(on.runtime.start('slow')).rejects.toThrow(/slow/)
      expect((await on.run(['true'])).exitCode).toBe(0)
      expect(performance.now() - started).toBeLessThan(patient(4900))
      await expect(hanging).rejects.toThrow(`it was killed, for it took longer than its timeout of ${5 * patience} s`)
      await expect.poll(() => processesWith('sleep\x004711')).toEqual([])
    })

    it('the launcher is killed while a hook runs: create fails, and nothing is left', async () => {
      const file = join(on.folder, 'killed')
      const slow: OciHook = { path: '/bin/sh', args: ['sh', '-c', `sleep 1; echo done >> ${file}`], env: ['PATH=/bin'] }
      const creating = create('killed', { createRuntime: [slow], poststop: [telling('poststop', file)] })
      creating.catch(() => {})
      await expect
        .poll(() => on.runtime.state('killed').catch(() => ({ status: '' })))
        .toMatchObject({ status: 'creating' })
      process.kill(on.launcherPid(), 'SIGKILL')
      await expect(creating).rejects.toMatchObject({ code: 'LAUNCHER_LOST' })
      const [first, second] = readFileSync(file, 'utf8').split('\n')
      expect(first).toBe('done')
      expect(second).toMatch(/^poststop /)
      expect(await on.runtime.list()).toEqual([])
      expect((await on.run(['true'])).exitCode).toBe(0)
    })

    it('delete by force while a hook holds up the birth: all who wait hear of it, and nothing is left', async () => {
      const slow: OciHook = { path: '/bin/sh', args: ['sh', '-c', 'sleep 1'], env: ['PATH=/bin'] }
      const creating = create('unborn', { createRuntime: [slow] })
      creating.catch(() => {})
      await expect
        .poll(() => on.runtime.state('unborn').catch(() => ({ status: '' })))
        .toMatchObject({ status: 'creating' })
      const waiting = on.runtime.wait('unborn')
      waiting.catch(() => {})
      await on.runtime.delete('unborn', { force: true })
      await expect(creating).rejects.toThrow()
      await expect(waiting).rejects.toMatchObject({ code: 'NOT_FOUND' })
      expect(await on.runtime.list()).toEqual([])
      expect((await on.run(['true'])).exitCode).toBe(0)
    })

    it('its output is read however much it is', async () => {
      const noisy: OciHook = {
        path: '/bin/sh',
        args: ['sh', '-c', 'head -c 1000000 /dev/zero; echo end; exit 1'],
        env: ['PATH=/bin:/usr/bin'],
      }
      await expect(create('noisy', { createRuntime: [noisy] })).rejects.toThrow(/it said: \0*end$/)
    })
  })

  it('without a launcher: the command line does the same with hooks, user namespace and tmpcopyup', () => {
    const bundle = join(on.folder, 'bundle')
    const told = join(on.folder, 'told')
    mkdirSync(bundle)
    mkdirSync(join(on.rootfs, 'seed'))
    writeFileSync(join(on.rootfs, 'seed', 'file'), 'copied')
    writeFileSync(join(on.rootfs, 'etc', 'passwd'), 'root:x:0:0:root:/root:/bin/sh\n')
    const hook = (kind: string): OciHook => ({
      path: '/bin/sh',
      args: ['sh', '-c', `read state; echo "${kind} $PWD $state" >> ${told}`],
    })
    const spec = on.spec(['sh', '-c', 'cat /seed/file; echo; id -u; echo $HOME; cat /proc/self/uid_map'], (made) => {
      made.linux.namespaces?.push({ type: 'user' })
      Object.assign(made.linux, { uidMappings, gidMappings })
      made.mounts.push({ destination: '/seed', type: 'tmpfs', options: ['tmpcopyup'] })
      made.hooks = {
        createRuntime: [hook('createRuntime')],
        poststart: [hook('poststart')],
        poststop: [hook('poststop')],
      }
    })
    writeFileSync(join(bundle, 'config.json'), JSON.stringify(spec))
    const program = resolve(import.meta.dirname, '../../bin/coracle-oci')
    const args = ['--root', join(on.folder, 'oci'), 'run', '-b', bundle, 'cli']
    const { status, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8', timeout: patient(20_000) })
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    expect(stdout).toMatch(/^copied\n0\n\/root\n +0 +100000 +65536\n$/)
    const lines = readFileSync(told, 'utf8').trim().split('\n')
    expect(lines.map((line) => line.split(' ').slice(0, 2).join(' '))).toEqual([
      `createRuntime ${bundle}`,
      `poststart ${bundle}`,
      `poststop ${bundle}`,
    ])
    expect(lines[2]).toContain('"status":"stopped"')
  })
})

/** Pids of which the command line begins like this. */
function processesWith(command: string): string[] {
  return readdirSync('/proc').filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, 'latin1').startsWith(command)
    } catch {
      return false
    }
  })
}
