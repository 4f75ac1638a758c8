import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { cgroups } from '../../runtime/cgroups/driver.ts'
import { defaultSpec } from '../../runtime/spec/default-spec.ts'
import type { OciHook, OciSpec } from '../../runtime/spec/types.ts'
import { coracleOci } from '../peers/engine/sandbox.ts'
import { patient } from './patience.ts'
import { aFixture, type Fixture } from './runtime-fixture.ts'

const canRun = process.getuid?.() === 0
const hasMemoryNodes = existsSync('/proc/self/numa_maps')

/** What crun's own tests ask of a runtime, and neither the specification nor runc speaks against. */
describe.skipIf(!canRun)('coracle-oci: habits of crun (needs root)', () => {
  let on: Fixture
  let bundle: string
  const group = `coracle/test-crun-${process.pid}`
  const oci = (...args: string[]) => ociWith({}, ...args)
  const ociWith = (env: Record<string, string>, ...args: string[]) =>
    spawnSync(coracleOci, ['--root', join(on.folder, 'oci'), ...args], {
      encoding: 'utf8',
      env: { ...process.env, ...env },
      timeout: patient(20_000),
    })
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
  const runs = (args: string[], change?: (spec: Required<OciSpec>) => void) => {
    configure(args, change)
    return oci('run', '-b', bundle, 'x')
  }
  const output = (args: string[], change?: (spec: Required<OciSpec>) => void) => {
    const { stdout, stderr } = runs(args, change)
    expect(stderr).toBe('')
    return stdout
  }
  const inUserNamespace = (spec: Required<OciSpec>) => {
    spec.linux.namespaces?.push({ type: 'user' })
    // The group of terminals is not mapped.
    for (const mount of spec.mounts) mount.options = mount.options?.filter((option) => option !== 'gid=5') ?? []
  }
  const shell = (script: string): OciHook => ({
    path: '/bin/sh',
    args: ['sh', '-c', script],
    env: ['PATH=/bin:/usr/bin'],
  })

  beforeAll(async () => {
    on = await aFixture('crun')
    bundle = join(on.folder, 'bundle')
    mkdirSync(bundle)
    mkdirSync(join(on.folder, 'oci'))
    // The root of a user namespace cannot make them: they belong to the host's.
    for (const name of ['proc', 'dev', 'sys', 'tmp', 'mnt']) mkdirSync(join(on.rootfs, name), { recursive: true })
  })
  afterEach(() => {
    for (const id of oci('list', '-q').stdout.split('\n').filter(Boolean)) oci('delete', '-f', id)
  })
  afterAll(async () => {
    await cgroups().remove(group)
    await on[Symbol.asyncDispose]()
  })

  describe('hooks', () => {
    it.each(['startContainer', 'poststart'] as const)('%s fails: start leaves nothing, and poststop runs', (kind) => {
      const file = join(on.folder, `poststop-after-${kind}`)
      configure(['sleep', '900'], (spec) => {
        spec.hooks = { [kind]: [shell('exit 3')], poststop: [shell(`cat > ${file}`)] }
      })
      const stdio = { stdio: 'ignore', timeout: patient(20_000) } as const
      expect(spawnSync(coracleOci, ['--root', join(on.folder, 'oci'), 'create', '-b', bundle, 'x'], stdio).status).toBe(
        0,
      )
      const { status, stderr } = oci('start', 'x')
      expect([status, stderr]).toEqual([1, expect.stringContaining(`${kind} hook failed with exit code 3`)])
      expect(oci('state', 'x').stderr).toContain('does not exist')
      expect(JSON.parse(readFileSync(file, 'utf8'))).toMatchObject({ id: 'x', status: 'stopped' })
    })

    it('poststop fails: a warning that is seen, and nothing else', () => {
      const failing = (spec: Required<OciSpec>) => {
        spec.hooks = { poststop: [shell('exit 3'), shell('exit 4')] }
      }
      const { status, stderr } = runs(['true'], failing)
      expect(status).toBe(0)
      expect(stderr).toMatch(/warning: .*poststop hook failed with exit code 3\n.*warning: .*exit code 4\n/)
      configure(['sleep', '900'], failing)
      expect(detached('x').status).toBe(0)
      expect(oci('delete', '-f', 'x').stderr).toContain('exit code 4')
    })

    it('createContainer begins in the bundle and finds everything mounted, where the host has the root', () => {
      const file = join(on.folder, 'where')
      output(['true'], (spec) => {
        spec.hooks = {
          createContainer: [shell(`pwd > ${file}; test -e ${on.rootfs}/proc/self && echo seen >> ${file}`)],
        }
      })
      expect(readFileSync(file, 'utf8')).toBe(`${bundle}\nseen\n`)
    })
  })

  describe('a user namespace', () => {
    it('without mappings: root is root, and nobody else is there', () => {
      const [uids, gids] = ['uid', 'gid'].map((kind) => output(['cat', `/proc/self/${kind}_map`], inUserNamespace))
      for (const map of [uids, gids]) expect(map?.trim().split(/\s+/)).toEqual(['0', '0', '1'])
      const mapped = (spec: Required<OciSpec>) => {
        inUserNamespace(spec)
        Object.assign(spec.linux, { uidMappings: [{ containerID: 0, hostID: 0, size: 1 }] })
      }
      expect(runs(['true'], mapped).stderr).toContain('linux.gidMappings: is empty')
    })

    it('a device that the host does not have is made for it, owned as config.json says', () => {
      const all = [{ containerID: 0, hostID: 100_000, size: 1000 }]
      const device = { path: '/dev/odd', type: 'b' as const, major: 1, minor: 5, fileMode: 0o644, uid: 10, gid: 11 }
      // Whether it can be opened is the driver's to say: nobody forbids it.
      const script =
        "stat -c '%A %u:%g %t:%T' /dev/odd; head -c 1 /dev/odd 2>&1 | grep -c 'ermi'; grep -E ' /dev/(odd|null) ' /proc/self/mountinfo"
      const change = (minor: number) => (spec: Required<OciSpec>) => {
        spec.linux.namespaces?.push({ type: 'user' })
        Object.assign(spec.linux, { uidMappings: all, gidMappings: all, devices: [{ ...device, minor }] })
        spec.linux.resources = { devices: [{ allow: true, access: 'rwm' }] }
      }
      const [file, forbidden, ...mounts] = output(['sh', '-c', script], change(5)).trim().split('\n')
      expect([file, forbidden]).toEqual(['brw-r--r-- 10:11 1:5', '0'])
      expect(mounts.map((line) => line.split(' ')[5])).toEqual([
        expect.stringMatching(/nosuid,noexec/),
        expect.stringMatching(/nosuid,noexec/),
      ])
      expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain(' - tmpfs device ')
      const nobody = (spec: Required<OciSpec>) => {
        change(77)(spec)
        Object.assign(spec.linux.devices?.[0] ?? {}, { uid: 5000 })
      }
      expect(runs(['true'], nobody).stderr).toContain('none can be made for 5000:11')
    })

    it('with the host’s network: /sys is the host’s, read-only as asked', () => {
      const change = (spec: Required<OciSpec>) => {
        inUserNamespace(spec)
        Object.assign(spec.linux, { namespaces: spec.linux.namespaces?.filter(({ type }) => type !== 'network') })
      }
      const [names, mount] = output(['sh', '-c', 'ls /sys/class; grep " /sys " /proc/self/mountinfo'], change).split(
        /\n(?=\d)/,
      )
      expect(names?.split('\n')).toContain('net')
      expect(mount?.split(' ')[5]).toMatch(/^ro,nosuid,nodev,noexec/)
    })
  })

  it('a link is not mounted over what is in /proc', () => {
    const link = join(on.folder, 'link')
    symlinkSync('anything', link)
    const change = (destination: string) => (spec: Required<OciSpec>) =>
      spec.mounts.push({ destination, source: link, options: ['bind', 'src-nofollow', 'dest-nofollow'] })
    expect(runs(['true'], change('/proc/self')).stderr).toContain(
      'mounts /proc/self: a link cannot be mounted in /proc',
    )
    expect(
      output(['readlink', '/tmp/link'], (spec) => {
        spec.mounts.push({ destination: '/tmp', type: 'tmpfs', source: 'tmpfs' })
        change('/tmp/link')(spec)
      }),
    ).toBe('anything\n')
  })

  it('LISTEN_FDS of which no descriptor is open is handed on all the same', () => {
    configure(['sh', '-c', 'echo $LISTEN_FDS $LISTEN_PID; ls /proc/self/fd | wc -l'])
    const { stdout, status } = ociWith({ LISTEN_FDS: '2' }, 'run', '-b', bundle, 'x')
    // 0, 1, 2 and that of ls itself: nothing of the runtime’s.
    expect([status, stdout]).toEqual([0, '2 1\n4\n'])
  })

  it('an id that is none: says why', () => {
    configure(['true'])
    for (const [id, reason] of [
      ['a/b', 'invalid character "/"'],
      ['..', 'invalid character "." at its beginning'],
      ['a b', 'invalid character " "'],
      ['', 'invalid length'],
    ] as const) {
      expect(oci('run', '-b', bundle, id).stderr, id).toContain(`is no container ID: ${reason}`)
    }
  })

  it('--log: the file is there at once, and one that cannot be is an error', () => {
    const log = join(on.folder, 'log')
    expect(oci('--log', log, 'list').status).toBe(0)
    expect(readFileSync(log, 'utf8')).toBe('')
    const { status, stderr } = oci('--log', join(on.folder, 'no/such/folder'), 'list')
    expect([status, stderr]).toEqual([1, expect.stringMatching(/--log \S+ cannot be written: ENOENT/)])
  })

  it('mounts remove takes the file that mounts add has taken', () => {
    const file = join(on.folder, 'mounts.json')
    const mounts = ['/tmp', '/mnt'].map((destination) => ({ destination, type: 'tmpfs', source: 'tmpfs' }))
    writeFileSync(file, JSON.stringify(mounts))
    configure(['sleep', '900'], (spec) => {
      spec.root = { path: on.rootfs }
    })
    expect(detached('x').status).toBe(0)
    expect(oci('mounts', 'add', 'x', file).stderr).toBe('')
    expect(JSON.parse(oci('mounts', 'list', 'x').stdout)).toMatchObject(mounts)
    expect(oci('mounts', 'remove', 'x', file).stderr).toBe('')
    expect(JSON.parse(oci('mounts', 'list', 'x').stdout)).toEqual([])
    expect(oci('mounts', 'remove', 'x', '/never').stderr).toContain('/never in x: nothing has been mounted there')
  })

  it.skipIf(!hasMemoryNodes)('linux.memoryPolicy: of the first process, and of exec', () => {
    const policyOf = (lines: string) => lines.split('\n')[0]?.split(' ')[1]
    const change = (memoryPolicy: object) => (spec: Required<OciSpec>) => {
      Object.assign(spec.linux, { memoryPolicy })
    }
    const bound = { mode: 'MPOL_BIND', nodes: '0', flags: ['MPOL_F_STATIC_NODES'] }
    expect(policyOf(output(['cat', '/proc/self/numa_maps'], change(bound)))).toBe('bind=static:0')
    expect(policyOf(output(['cat', '/proc/self/numa_maps'], change({ mode: 'MPOL_DEFAULT' })))).toBe('default')
    configure(['sleep', '900'], change({ mode: 'MPOL_INTERLEAVE', nodes: '0' }))
    expect(detached('x').status).toBe(0)
    expect(policyOf(oci('exec', 'x', 'cat', '/proc/self/numa_maps').stdout)).toBe('interleave:0')
  })

  it('delete --regex: all that match, and no others; exec of one that is not there says so', () => {
    for (const id of ['one-1', 'one-2', 'other']) {
      configure(['sleep', '900'], (spec) => Object.assign(spec.linux, { cgroupsPath: `/${group}/${id}` }))
      expect(detached(id).status).toBe(0)
    }
    expect(oci('delete', '--regex', '^one-').stderr).toMatch(
      /delete one-1: .* not stopped; delete one-2: .* not stopped/,
    )
    expect(oci('delete', '-f', '--regex', '^one-').stderr).toBe('')
    expect(oci('list', '-q').stdout).toBe('other\n')
    expect(oci('delete', '-f', '--regex', '(').stderr).toContain('--regex (')
    expect(oci('exec', 'one-1', 'true').stderr).toContain('find container one-1: it does not exist')
  })

  it('spec --rootless: what it writes runs, with one id and the host’s network', () => {
    rmSync(join(bundle, 'config.json'))
    expect(oci('spec', '--rootless', '-b', bundle).stderr).toBe('')
    const spec = JSON.parse(readFileSync(join(bundle, 'config.json'), 'utf8')) as OciSpec
    expect(spec.linux?.resources).toBeUndefined()
    Object.assign(spec, { root: { path: on.rootfs, readonly: true } })
    Object.assign(spec.process ?? {}, {
      terminal: false,
      args: ['sh', '-c', 'cat /proc/self/uid_map; readlink /proc/self/ns/net'],
    })
    Object.assign(spec.linux ?? {}, { cgroupsPath: `/${group}` })
    writeFileSync(join(bundle, 'config.json'), JSON.stringify(spec))
    const { stdout, stderr } = oci('run', '-b', bundle, 'x')
    const host = spawnSync('readlink', ['/proc/self/ns/net'], { encoding: 'utf8' }).stdout
    expect([stderr, stdout.replace(/ +/g, ' ')]).toEqual(['', ` 0 0 1\n${host}`])
  })
})
