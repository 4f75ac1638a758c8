import { chownSync, mkdirSync, readlinkSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { OciLinux, OciSpec } from '../../runtime/index.ts'
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
      await on.runtime.create({ id: 'ux', spec: on.spec(['sleep', '60'], inUserNamespace) })
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

    it('an overlay of layers', async () => {
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
})
