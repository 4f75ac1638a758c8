import { describe, expect, it } from 'vitest'
import type { HostFacts } from '../linux/host.ts'
import { defaultSpec } from '../spec/default-spec.ts'
import type { OciSpec } from '../spec/types.ts'
import { listing } from '../tape/listing.ts'
import { recordExec } from './exec.ts'
import { recordContainerHook } from './hook.ts'
import { type BirthPlan, recordBirth } from './order.ts'
import { recordSandbox } from './sandbox.ts'

const aHost = (change: Partial<HostFacts> = {}): HostFacts => ({
  permitted: 0x1ffffffffffn,
  lastCapability: 40,
  oomScoreAdj: 0,
  hardLimits: new Array(16).fill(1024),
  modules: { apparmor: false, selinux: false },
  kindOf: (path) => (/(acpi|asound|scsi|firmware|powercap)$/.test(path) ? 'folder' : 'file'),
  ...change,
})

function aPlan(change: (spec: Required<OciSpec>) => void = () => {}, more: Partial<BirthPlan> = {}): BirthPlan {
  const spec = defaultSpec() as Required<OciSpec>
  if (spec.process) spec.process.terminal = false
  change(spec)
  return {
    spec,
    root: { path: '/bundle/rootfs' },
    cgroup: { join: ['/sys/fs/cgroup/memory/c/tasks'], views: [{ name: 'memory', folder: '/sys/fs/cgroup/memory/c' }] },
    emptyFolder: '/run/coracle/.empty',
    stdio: 'pipes',
    host: aHost(),
    architecture: 'x64',
    ...more,
  }
}

const golden = (name: string) => `../../test/golden/tapes/${name}.txt`
const text = (plan: BirthPlan) => listing(recordBirth(plan).tape)
const names = (plan: BirthPlan) => recordBirth(plan).tape.entries.map(({ name }) => name)

describe('recordBirth', () => {
  it('the default config.json, step by step', async () => {
    await expect(text(aPlan())).toMatchFileSnapshot(golden('default'))
  })

  it('overlay root, joined namespaces, a user, limits, sysctls, a terminal', async () => {
    const plan = aPlan(
      (spec) => {
        Object.assign(spec.process, { terminal: true, consoleSize: { width: 80, height: 25 }, noNewPrivileges: false })
        Object.assign(spec.process, { user: { uid: 1000, gid: 1000, additionalGids: [5] }, oomScoreAdj: 500 })
        spec.linux.sysctl = { 'net.ipv4.ip_forward': '1' }
        spec.linux.seccomp = { defaultAction: 'SCMP_ACT_ALLOW' }
        spec.linux.namespaces = [{ type: 'mount' }, { type: 'pid' }, { type: 'network', path: '/proc/7/ns/net' }]
        spec.mounts.push({ destination: '/data/in', source: '/tmp', options: ['rbind', 'rro', 'rslave'] })
      },
      { root: { path: '/run/c/rootfs', overlay: { lower: ['/l1', '/l:2'], upper: '/u', work: '/w' } } },
    )
    await expect(text(plan)).toMatchFileSnapshot(golden('overlay-user-terminal'))
  })

  it('a user namespace: everything of the host is taken before it is joined', async () => {
    const ids = [{ containerID: 0, hostID: 100_000, size: 65_536 }]
    const plan = aPlan(
      (spec) => {
        spec.linux.namespaces?.push({ type: 'user' })
        Object.assign(spec.linux, { uidMappings: ids, gidMappings: ids, maskedPaths: ['/proc/kcore', '/sys/firmware'] })
        spec.mounts.push({ destination: '/data', source: '/tmp', options: ['rbind', 'ro'] })
      },
      { root: { path: '/run/c/rootfs', overlay: { lower: ['/l1', '/l2'], upper: '/u', work: '/w' } } },
    )
    const birth = recordBirth(plan)
    expect(birth.userNamespaces).toEqual([{ descriptor: 7, uidMap: '0 100000 65536\n', gidMap: '0 100000 65536\n' }])
    await expect(listing(birth.tape)).toMatchFileSnapshot(golden('user-namespace'))
  })

  it('mounts: id-mapped, copied up, remounted, linked', async () => {
    const ids = [{ containerID: 0, hostID: 1000, size: 10 }]
    const plan = aPlan((spec) => {
      Object.assign(spec.linux, { maskedPaths: [], readonlyPaths: [] })
      spec.mounts = [
        { destination: '/mapped', source: '/tmp', options: ['rbind', 'ridmap'], uidMappings: ids, gidMappings: ids },
        { destination: '/copied', type: 'tmpfs', options: ['tmpcopyup', 'mode=700', 'ro'] },
        {
          destination: '/copied',
          options: ['remount', 'noatime', 'rnoexec', 'lazytime', 'size=1m', 'shared', 'rslave'],
        },
        { destination: '/disk', type: 'ext4', source: '/dev/vdz', options: ['ro', 'sync'] },
      ]
    })
    const birth = recordBirth(plan)
    expect(birth.gates).toEqual([{ name: 'copy-up', at: expect.any(Number) }])
    expect(birth.userNamespaces).toEqual([{ descriptor: 7, uidMap: '0 1000 10\n', gidMap: '0 1000 10\n' }])
    await expect(listing(birth.tape)).toMatchFileSnapshot(golden('mounts'))
  })

  it('hooks: one gate more, after the mounts and before the root is hidden, sealed and entered', () => {
    const birth = recordBirth(aPlan((spec) => Object.assign(spec, { hooks: { createRuntime: [{ path: '/hook' }] } })))
    const all = listing(birth.tape).split('\n')
    const line = (text: string) => all.findIndex((entry) => entry.includes(text))
    expect(birth.gates).toEqual([{ name: 'create-hooks', at: expect.any(Number) }])
    expect(birth.tape.entries[birth.gates[0]?.at ?? -1]?.name).toBe('write')
    const order = [
      '# mount cgroup on',
      '# devices and links',
      '{create-hooks, 0}',
      '# read-only:',
      'pivot_root(',
      '{created, 0}',
    ]
    expect(order.map(line)).toEqual(order.map(line).toSorted((a, b) => a - b))
    expect(line('{create-hooks')).toBeGreaterThan(0)
    expect(
      recordBirth(aPlan((spec) => Object.assign(spec, { hooks: { poststop: [{ path: '/hook' }] } }))).gates,
    ).toEqual([])
  })

  it('cgroup2: its own options are taken, others refused', () => {
    const views = [{ name: '', folder: '/sys/fs/cgroup/c' }]
    const plan = (option: string) =>
      aPlan((spec) => spec.mounts.find(({ type }) => type === 'cgroup')?.options?.push(option), {
        cgroup: { join: [], views },
      })
    expect(text(plan('nsdelegate'))).toBe(text(plan('ro')))
    expect(() => recordBirth(plan('nonsense'))).toThrow('Invalid argument: nonsense is no option of cgroup2')
  })

  it('seccomp: before capabilities without no_new_privs, after the gate with it', () => {
    const seccomp = { defaultAction: 'SCMP_ACT_ALLOW' as const }
    const order = (noNewPrivileges: boolean) => {
      const all = names(
        aPlan((spec) => {
          Object.assign(spec.process, { noNewPrivileges })
          spec.linux.seccomp = seccomp
        }),
      )
      return all.lastIndexOf('seccomp') - all.lastIndexOf('capset')
    }
    expect(order(false)).toBeLessThan(0)
    expect(order(true)).toBeGreaterThan(0)
  })

  it('limits: without CAP_SYS_RESOURCE they are lowered and said', () => {
    const plan = aPlan(
      (spec) => {
        Object.assign(spec.process, { oomScoreAdj: -5, rlimits: [{ type: 'RLIMIT_NOFILE', soft: 4096, hard: 9999 }] })
      },
      { host: aHost({ permitted: 0x1ffffffffffn & ~(1n << 24n) }) },
    )
    const { tape, warnings } = recordBirth(plan)
    expect(warnings.join()).toMatch(/oomScoreAdj -5 not set.*RLIMIT_NOFILE hard limit 9999 lowered to 1024/)
    expect(listing(tape)).toContain('prlimit64(0, RLIMIT_NOFILE, {soft=1024, hard=1024}, NULL)')
  })

  it('refuses what cannot be recorded', () => {
    const options = (list: string[]) =>
      aPlan((spec) => spec.mounts.push({ destination: '/x', type: 'tmpfs', options: list }))
    expect(() => recordBirth(options(['idmap']))).toThrow(/only a bind mount can be id-mapped/)
    expect(() => recordBirth(aPlan((spec) => spec.mounts.push({ destination: '/x', type: 'bind' })))).toThrow(/source/)
    const device = aPlan((spec) => Object.assign(spec.linux, { devices: [{ type: 'z', path: '/dev/z' }] }))
    expect(() => recordBirth(device)).toThrow(/none of c, u, b, p/)
  })

  it('an overlay of more layers than mount(2) takes; a long path goes by descriptor', () => {
    const lower = Array.from({ length: 100 }, (_, at) => `/a/very/long/path/to/some/layer/that/fills/the/page/${at}`)
    const overlay = { lower: [...lower, `/${'l'.repeat(300)}`], upper: '/u', work: '/w' }
    const all = text(aPlan(() => {}, { root: { path: '/r', overlay } }))
    expect(all.match(/FSCONFIG_SET_STRING, "lowerdir\+"/g)).toHaveLength(100)
    expect(all.match(/FSCONFIG_SET_FD, "lowerdir\+"/g)).toHaveLength(1)
    expect(all).not.toContain('mount("overlay"')
  })

  it('every tape can be encoded for both architectures', () => {
    const { tape } = recordBirth(aPlan())
    expect(tape.encode('x64').length).toBe(tape.encode('arm64').length)
  })
})

describe('recordExec and recordSandbox', () => {
  const cgroup = { join: ['/sys/fs/cgroup/memory/c/tasks'] }
  it('exec joins by pidfd', async () => {
    const { spec } = aPlan()
    const process = { cwd: '/', args: ['/bin/true'], terminal: true }
    const { tape } = recordExec({ spec, process, cgroup, stdio: 'pipes', host: aHost(), architecture: 'x64' })
    await expect(listing(tape)).toMatchFileSnapshot(golden('exec-terminal'))
  })

  it('a hook inside a half-born container joins all its namespaces by pidfd', async () => {
    const { spec } = aPlan((changed) => changed.linux.namespaces?.push({ type: 'user' }))
    const { tape } = recordContainerHook({ path: '/hook', args: ['hook', 'now'] }, spec, {
      cwd: '/bundle',
      host: aHost(),
    })
    await expect(listing(tape)).toMatchFileSnapshot(golden('container-hook'))
  })

  it('the sandbox sleeps without any privilege', async () => {
    const { tape } = recordSandbox({
      hostname: 'pod',
      sysctls: {},
      hostNetwork: false,
      hostPid: false,
      hostIpc: false,
      cgroup,
      emptyFolder: '/run/coracle/.empty',
      host: aHost(),
    })
    await expect(listing(tape)).toMatchFileSnapshot(golden('sandbox'))
  })
})
