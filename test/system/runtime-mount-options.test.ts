import { spawn } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { NamespaceType, OciDevice, OciMount, OciSpec } from '../../runtime/index.ts'
import { hostFacts } from '../../runtime/linux/host.ts'
import { isAtLeast } from '../../runtime/linux/kernel-features.ts'
import { aFixture, type Fixture, finish, logText, traces } from './runtime-fixture.ts'

const isRoot = process.getuid?.() === 0

describe.skipIf(!isRoot)('mounts and process of config.json (needs root)', () => {
  let on: Fixture
  let shared: string
  beforeAll(async () => {
    on = await aFixture('mount-options')
    for (const folder of ['proc', 'sys', 'dev']) mkdirSync(join(on.rootfs, folder))
    shared = join(on.folder, 'shared')
    mkdirSync(shared)
    writeFileSync(join(shared, 'file'), 'shared')
    symlinkSync('file', join(shared, 'link'))
  })
  afterAll(async () => {
    await on[Symbol.asyncDispose]()
    expect(traces(`test-mount-options-${process.pid}`)).toEqual([])
    expect(traces(on.mark)).toEqual([])
  })

  const withMounts = (script: string, mounts: OciMount[], change: (spec: Required<OciSpec>) => void = () => {}) =>
    on.run(['sh', '-c', script], (spec) => {
      spec.root = { path: on.rootfs }
      spec.mounts.push(...mounts)
      change(spec)
    })

  describe('mounts', () => {
    it('recursive attributes reach the mounts below, plain ones do not', async () => {
      const below = { destination: '/a/below', type: 'tmpfs', source: 'below' }
      // A tree of two mounts to be bound can only be had inside another container's namespace: so remount is what we look at.
      const { output } = await withMounts('cat /proc/self/mountinfo', [
        { destination: '/a', type: 'tmpfs', source: 'top' },
        below,
        { destination: '/a', type: 'none', options: ['remount', 'bind', 'rnosuid', 'noexec', 'rnoatime'] },
      ])
      const flagsOf = (path: string) =>
        output
          .split('\n')
          .find((line) => line.split(' ')[4] === path)
          ?.split(' ')[5]
      expect(flagsOf('/a')).toBe('rw,nosuid,noexec,noatime')
      expect(flagsOf('/a/below')).toBe('rw,nosuid,noatime')
    })

    it('flags and options of a filesystem: sync, lazytime, ro by remount, a tmpfs that is read-only once all is made', async () => {
      const { output } = await withMounts(
        'cat /proc/self/mountinfo; touch /dev/x; touch /t/x; ls /t',
        [
          { destination: '/s', type: 'tmpfs', options: ['sync', 'dirsync', 'lazytime', 'size=1m'] },
          { destination: '/t', type: 'tmpfs', options: ['ro'] },
          { destination: '/t/inner', type: 'tmpfs' },
          { destination: '/r', type: 'tmpfs', options: ['size=1m'] },
          { destination: '/r', type: 'tmpfs', options: ['remount', 'ro', 'size=2m'] },
        ],
        (spec) => void spec.mounts.find(({ destination }) => destination === '/dev')?.options?.push('ro'),
      )
      const superOf = (path: string) =>
        output
          .split('\n')
          .find((line) => line.split(' ')[4] === path)
          ?.split(' - ')[1]
      expect(superOf('/s')).toMatch(/rw,sync,dirsync,lazytime,size=1024k/)
      expect(superOf('/r')).toMatch(/ro,size=2048k/)
      expect(output).toContain('/dev/x: Read-only file system')
      expect(output).toContain('/t/x: Read-only file system')
      expect(output).toMatch(/^inner$/m)
    })

    it('tmpfs: without a mode it has that of the folder below; with tmpcopyup its content, whatever kind it is', async () => {
      const folder = join(on.rootfs, 'seed')
      mkdirSync(join(folder, 'deep', 'er'), { recursive: true })
      writeFileSync(join(folder, 'deep', 'er', 'script'), 'x'.repeat(100_000))
      chownSync(join(folder, 'deep', 'er', 'script'), 11, 12)
      chmodSync(join(folder, 'deep', 'er', 'script'), 0o4711)
      utimesSync(join(folder, 'deep', 'er', 'script'), 1000, 2000)
      symlinkSync('/etc/../../../etc/passwd', join(folder, 'link'))
      chmodSync(folder, 0o711)
      const { output, exitCode } = await withMounts(
        'stat -c "%a %u %g %Y %s" /seed/deep/er/script; readlink /seed/link; stat -c %a /seed /plain; stat -f -c %T /seed; touch /seed/new; stat -c %a /new-one',
        [
          { destination: '/seed', type: 'tmpfs', options: ['tmpcopyup', 'size=1m'] },
          { destination: '/plain', type: 'tmpfs' },
          { destination: '/new-one', type: 'tmpfs' },
        ],
      )
      // Without a folder below a tmpfs has its own default.
      expect(output.split('\n')).toEqual([
        '4711 11 12 2000 100000',
        '/etc/../../../etc/passwd',
        '711',
        '1777',
        'tmpfs',
        '1777',
      ])
      expect(exitCode).toBe(0)
      expect(readdirSync(folder)).not.toContain('new')
    })

    it('tmpcopyup: what the options say of the folder itself stays', async () => {
      const { output } = await withMounts('stat -c "%a %u %g" /seed; ls /seed', [
        { destination: '/seed', type: 'tmpfs', options: ['tmpcopyup', 'mode=705', 'uid=3', 'gid=4'] },
      ])
      expect(output).toMatch(/^705 3 4\n/)
      expect(output).toContain('deep')
    })

    it('tmpcopyup of more than fits is an error, and leaves nothing', async () => {
      mkdirSync(join(on.rootfs, 'big'), { recursive: true })
      writeFileSync(join(on.rootfs, 'big', 'file'), Buffer.alloc(100_000))
      await expect(
        withMounts('true', [{ destination: '/big', type: 'tmpfs', options: ['tmpcopyup', 'size=8k'] }]),
      ).rejects.toThrow(/ENOSPC/)
      expect(await on.runtime.list()).toEqual([])
    })

    it('links: a source that is one is followed; copy-symlink makes it again; dest-nofollow mounts on it', async () => {
      symlinkSync('/elsewhere', join(on.rootfs, 'dest'))
      const { output } = await withMounts(
        'cat /followed; readlink /copied; cat /dest; readlink /src; grep -c " /elsewhere " /proc/self/mountinfo',
        [
          { destination: '/followed', source: join(shared, 'link'), options: ['bind'] },
          { destination: '/copied', source: join(shared, 'link'), options: ['bind', 'copy-symlink'] },
          { destination: '/dest', source: join(shared, 'file'), options: ['bind', 'dest-nofollow'] },
          { destination: '/src', source: join(shared, 'link'), options: ['bind', 'src-nofollow', 'dest-nofollow'] },
        ],
      )
      expect(output).toBe('sharedfile\nsharedfile\n0')
    })

    it('a destination may be relative, a source relative to the bundle; a device may be bound', async () => {
      const id = 'relative'
      const log = join(on.folder, 'relative.log')
      const spec = on.spec(['sh', '-c', 'cat /rel/a/file; head -c 2 /zero | wc -c'], (made) => {
        made.root = { path: 'rootfs' }
        made.mounts.push({ destination: 'rel/a', source: 'shared', options: ['bind'] })
        made.mounts.push({ destination: '/zero', source: '/dev/zero', options: ['bind'] })
      })
      const options = { id, spec, bundle: on.folder, log: { path: log } }
      await on.runtime.create(options)
      await on.runtime.start(id)
      await on.runtime.wait(id)
      await on.runtime.delete(id)
      expect(logText(log)).toBe('shared2')
    })

    it('propagation: every kind of the root', async () => {
      for (const [kind, shown] of Object.entries({
        shared: 'shared:',
        slave: 'master:|^[^:]*$',
        private: '^[^:]*$',
        rprivate: '^[^:]*$',
        unbindable: 'unbindable',
      })) {
        const { output } = await withMounts('cat /proc/self/mountinfo', [], (spec) => {
          spec.linux.rootfsPropagation = kind
        })
        const optional = output
          .split('\n')
          .find((line) => line.split(' ')[4] === '/')
          ?.split(' - ')[0]
          ?.split(' ')
          .slice(6)
          .join(' ')
        expect(optional, kind).toMatch(new RegExp(shown))
      }
    })

    it('/proc as a link of the image is refused', async () => {
      const rootfs = join(on.folder, 'linked')
      mkdirSync(rootfs)
      symlinkSync('/tmp', join(rootfs, 'proc'))
      const refused = on.run(['true'], (spec) => {
        spec.root = { path: rootfs }
      })
      await expect(refused).rejects.toThrow(/openat2\(.*"proc".*O_NOFOLLOW.* failed: (ELOOP|ENOTDIR)/)
    })

    it('a program that is missing is named, though the birth has changed what its tape was recorded from', async () => {
      const missing = on.run(['/bin/none'], (spec) => {
        spec.root = { path: on.rootfs }
        spec.mounts.push({ destination: '/fresh/folder', type: 'tmpfs' })
      })
      await expect(missing).rejects.toMatchObject({
        code: 'EXEC_FAILED',
        message: expect.stringContaining('/bin/none'),
      })
      for (const { id } of await on.runtime.list()) await on.runtime.delete(id, { force: true })
    })

    it('what is wrong is named', async () => {
      const wrong = async (mount: OciMount, reason: RegExp) => {
        await expect(withMounts('true', [mount])).rejects.toThrow(reason)
      }
      await wrong(
        { destination: '/x', source: '/none/such', options: ['bind'] },
        /mounts \/x: source \/none\/such does not exist/,
      )
      await wrong({ destination: '/x' }, /mounts \/x: neither a type of filesystem nor a bind mount/)
      await wrong({ destination: '/x', type: 'nosuchfs' }, /fsopen\("nosuchfs".* failed: ENODEV/)
      await wrong(
        { destination: '/x', type: 'tmpfs', options: ['bogus=1'] },
        /fsconfig\(.*"bogus", "1".* failed: EINVAL .*: tmpfs: Unknown parameter 'bogus'/,
      )
      await wrong({ destination: '/x', type: 'tmpfs', options: ['size=much'] }, /: tmpfs: Bad value for 'size'/)
    })
  })

  describe('id-mapped mounts', () => {
    const ranges = (hostID: number) => [{ containerID: 0, hostID, size: 65_536 }]
    it('by ranges of their own: the owner is another, on both sides', async () => {
      const { output } = await withMounts(
        'stat -c "%u %g" /m/file; echo new > /m/new; stat -c "%u %g" /m/new',
        [
          {
            destination: '/m',
            source: shared,
            options: ['rbind', 'ridmap'],
            uidMappings: ranges(1000),
            gidMappings: ranges(2000),
          },
        ],
        (spec) => {
          if (spec.process) spec.process.user = { uid: 1007, gid: 2008 }
          chmodSync(shared, 0o777)
        },
      )
      expect(output).toBe('1000 2000\n1007 2008')
      expect(statSync(join(shared, 'new'))).toMatchObject({ uid: 7, gid: 8 })
    })

    it('as the container’s user namespace: root’s files are root’s inside', async () => {
      const { output } = await withMounts(
        'stat -c "%u %g" /m/file; cat /plain/file; stat -c "%u" /plain/file',
        [
          { destination: '/m', source: shared, options: ['bind', 'idmap'] },
          { destination: '/plain', source: shared, options: ['bind'] },
        ],
        (spec) => {
          spec.linux.namespaces?.push({ type: 'user' })
          Object.assign(spec.linux, { uidMappings: ranges(100_000), gidMappings: ranges(100_000) })
        },
      )
      expect(output).toBe('0 0\nshared65534')
    })

    it.skipIf(!isAtLeast(6, 13))(
      'an overlay in a user namespace: the image belongs to the container (needs Linux 6.13)',
      async () => {
        const layer = (name: string) => {
          mkdirSync(join(on.folder, name))
          return join(on.folder, name)
        }
        writeFileSync(join(on.rootfs, 'etc', 'motd'), 'm')
        const overlay = { lower: [on.rootfs], upper: layer('iu'), work: layer('iw') }
        const log = join(on.folder, 'io.log')
        const spec = on.spec(
          ['sh', '-c', 'stat -c %u / /bin/busybox; echo x >> /etc/motd; mkdir /made; stat -c %u /made'],
          (made) => {
            made.linux.namespaces?.push({ type: 'user' })
            Object.assign(made.linux, { uidMappings: ranges(100_000), gidMappings: ranges(100_000) })
            made.root = { path: '/unused' }
          },
        )
        await on.runtime.create({ id: 'io', spec, rootfs: { overlay }, log: { path: log } })
        await on.runtime.start('io')
        await on.runtime.wait('io')
        await on.runtime.delete('io')
        expect(logText(log)).toBe('0\n0\n0')
        expect(statSync(join(overlay.upper, 'made')).uid).toBe(100_000)
      },
    )
  })

  it.skipIf(!isAtLeast(6, 5))(
    'an overlay as a mount of config.json, with more layers than one value of fsconfig holds (needs Linux 6.5)',
    async () => {
      const top = join(on.folder, 'volume')
      const layers = Array.from({ length: 5 }, (_, at) => join(top, `${at}:${'x'.repeat(90)}`))
      for (const [at, path] of layers.entries()) {
        mkdirSync(path, { recursive: true })
        writeFileSync(join(path, `f${at}`), '')
      }
      const [upper, work] = [join(top, 'upper'), join(top, 'work')]
      for (const path of [upper, work]) mkdirSync(path)
      const lowerdir = layers.map((path) => path.replaceAll(':', '\\:')).join(':')
      const options = [`lowerdir=${lowerdir}`, `upperdir=${upper}`, `workdir=${work}`]
      const { output } = await withMounts('ls /o; touch /o/new', [
        { destination: '/o', type: 'overlay', source: 'overlay', options },
      ])
      expect(output.split('\n')).toEqual(['f0', 'f1', 'f2', 'f3', 'f4'])
      expect(readdirSync(upper)).toEqual(['new'])
    },
  )

  it.skipIf(!isAtLeast(6, 5))('an overlay of 128 layers with long paths (needs Linux 6.5)', async () => {
    const top = join(on.folder, 'layers')
    const layers = Array.from({ length: 127 }, (_, at) => join(top, `${at}-${'x'.repeat(90)}`))
    for (const [at, path] of layers.entries()) {
      mkdirSync(path, { recursive: true })
      writeFileSync(join(path, `f${at}`), '')
    }
    const long = join(top, 'l'.repeat(200), 'm'.repeat(200))
    mkdirSync(long, { recursive: true })
    const [upper, work] = [join(top, 'upper'), join(top, 'work')]
    for (const path of [upper, work]) mkdirSync(path)
    const log = join(on.folder, 'many.log')
    const spec = on.spec(['sh', '-c', 'ls / | grep -c ^f[0-9]'])
    const overlay = { lower: [...layers, long, on.rootfs], upper, work }
    await on.runtime.create({ id: 'many', spec, rootfs: { overlay }, log: { path: log } })
    await on.runtime.start('many')
    await on.runtime.wait('many')
    await on.runtime.delete('many')
    expect(logText(log)).toBe('127')
  })

  it('devices: one at a path, and not in place of something else', async () => {
    const one = { type: 'c', path: '/dev/one', major: 1, minor: 3 }
    const withDevices = (devices: OciDevice[], script: string) =>
      withMounts(script, [], (spec) => void Object.assign(spec.linux, { devices }))
    const { output } = await withDevices([one, one], 'stat -c "%t:%T %F" /dev/one')
    expect(output).toBe('1:3 character special file')
    await expect(withDevices([one, { ...one, minor: 5 }], 'true')).rejects.toThrow(
      /linux\.devices\[1\]\.path: \/dev\/one is c 1:3/,
    )
    writeFileSync(join(on.rootfs, 'etc', 'issue'), 'a file')
    await expect(withDevices([{ ...one, path: '/etc/issue' }], 'true')).rejects.toThrow(
      /the root has something else there/,
    )
    expect((await withDevices([{ ...one, path: '/made/here' }], 'test -c /made/here')).exitCode).toBe(0)
    // The root has it by now, and it is the same.
    expect((await withDevices([{ ...one, path: '/made/here' }], 'test -c /made/here')).exitCode).toBe(0)
  })

  describe('process', () => {
    it('a working directory that the image does not have is made', async () => {
      const { output, exitCode } = await withMounts('pwd', [], (spec) => {
        if (spec.process) spec.process.cwd = '/not/there/yet'
      })
      expect({ output, exitCode }).toEqual({ output: '/not/there/yet', exitCode: 0 })
    })

    it('scheduler, io priority, personality, umask, groups, a low limit of descriptors', async () => {
      const script =
        'cat /proc/self/stat; ionice; uname -m; umask; id -G; ulimit -n; cat /proc/self/sched | grep policy; grep Umask /proc/self/status'
      const { output } = await withMounts(script, [], (spec) => {
        Object.assign(spec.process ?? {}, {
          scheduler: { policy: 'SCHED_BATCH', nice: 5 },
          ioPriority: { class: 'IOPRIO_CLASS_BE', priority: 6 },
          user: { uid: 1, gid: 2, umask: 0o27, additionalGids: [3, 4] },
          rlimits: [{ type: 'RLIMIT_NOFILE', soft: 10, hard: 12 }],
        })
        spec.linux.personality = { domain: 'LINUX32' }
      })
      const lines = output.split('\n')
      expect(lines[0]?.split(' ')[18]).toBe('5')
      expect(lines[1]).toMatch(/best-effort: prio 6/)
      if (process.arch === 'x64') expect(lines[2]).toBe('i686')
      expect(lines[3]).toBe('0027')
      expect(lines[4]).toBe('2 3 4')
      expect(lines[5]).toBe('10')
      expect(lines[6]).toMatch(/policy +: +3/)
    })

    it('execCPUAffinity: of an exec, not of the first process', async () => {
      await on.runtime.create({
        id: 'aff',
        spec: on.spec(['sleep', '900'], (spec) => {
          Object.assign(spec.process ?? {}, { execCPUAffinity: { initial: '0', final: '0' } })
        }),
      })
      const { pid } = await on.runtime.start('aff')
      const allowed = /Cpus_allowed_list:\s*(.*)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
      const shown = await finish(
        await on.runtime.exec('aff', { args: ['grep', 'Cpus_allowed_list', '/proc/self/status'] }),
      )
      await on.runtime.delete('aff', { force: true })
      expect(shown.stdout).toMatch(/:\s*0$/m)
      const own = /Cpus_allowed_list:\s*(.*)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]
      expect(allowed).toBe(own)
    })

    it('labels that cannot be had, a scheduler that the kernel refuses: errors that name it', async () => {
      const wrong = (more: object) => withMounts('true', [], (spec) => void Object.assign(spec.process ?? {}, more))
      const { apparmor, selinux } = hostFacts().modules
      // With the module there the kernel says whether it has such a profile.
      const noProfile = apparmor ? /write.* failed: ENOENT/ : /process\.apparmorProfile: AppArmor is not active/
      await expect(wrong({ apparmorProfile: 'no-such-profile' })).rejects.toThrow(noProfile)
      if (apparmor) await wrong({ apparmorProfile: 'unconfined' })
      const noLabel = selinux ? /write.* failed/ : /process\.selinuxLabel: SELinux is not active/
      await expect(wrong({ selinuxLabel: 'x' })).rejects.toThrow(noLabel)
      await expect(wrong({ scheduler: { policy: 'SCHED_FIFO', priority: 1000 } })).rejects.toThrow(
        /sched_setattr.* failed|process\.scheduler/,
      )
    })

    it('namespaces: every one joined by path, mount too; not the host’s mount namespace', async () => {
      const args = ['-m', '-p', '-n', '-i', '-u', '-C', '-T', '--fork', '--propagation', 'private', 'sleep', '4712']
      const unshare = spawn('unshare', args, { stdio: 'ignore' })
      const children = () => readFileSync(`/proc/${unshare.pid}/task/${unshare.pid}/children`, 'utf8').trim()
      await expect.poll(children).not.toBe('')
      const holder = Number(children())
      await expect.poll(() => readFileSync(`/proc/${holder}/comm`, 'utf8').trim()).toBe('sleep')
      const files = { mount: 'mnt', pid: 'pid', network: 'net', ipc: 'ipc', uts: 'uts', cgroup: 'cgroup', time: 'time' }
      try {
        await on.runtime.create({
          id: 'joined',
          spec: on.spec(['sleep', '900'], (spec) => {
            spec.hostname = ''
            spec.linux.namespaces = Object.entries(files).map(([type, file]) => ({
              type: type as NamespaceType,
              path: `/proc/${holder}/ns/${file}`,
            }))
          }),
        })
        const { pid } = await on.runtime.start('joined')
        for (const file of Object.values(files)) {
          expect(readlinkSync(`/proc/${pid}/ns/${file}`)).toBe(readlinkSync(`/proc/${holder}/ns/${file}`))
        }
        const shown = await finish(await on.runtime.exec('joined', { args: ['ls', '/'] }))
        expect(shown.stdout).toContain('data')
        await on.runtime.delete('joined', { force: true })
      } finally {
        process.kill(holder, 'SIGKILL')
      }
      const hosts = on.run(['true'], (spec) => {
        spec.linux.namespaces = [{ type: 'mount', path: `/proc/${process.pid}/ns/mnt` }, { type: 'pid' }]
        spec.hostname = ''
      })
      await expect(hosts).rejects.toThrow(/is the host’s own mount namespace/)
    })

    it('namespaces: time with its offsets, a domain name', async () => {
      const { output } = await withMounts('cat /proc/uptime; cat /proc/sys/kernel/domainname', [], (spec) => {
        spec.linux.namespaces?.push({ type: 'time' })
        spec.linux.timeOffsets = { boottime: { secs: 1_000_000 } }
        spec.domainname = 'lake.example'
      })
      expect(Number(output.split(' ')[0])).toBeGreaterThan(1_000_000)
      expect(output).toMatch(/lake\.example$/)
    })
  })
})
