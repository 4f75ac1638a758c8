import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { defaultSpec } from './default-spec.ts'
import type { OciSpec } from './types.ts'
import { validateSpec } from './validate.ts'

function verdict(change: (spec: Required<OciSpec> & { process: NonNullable<OciSpec['process']> }) => void): string {
  const spec = structuredClone(defaultSpec()) as Required<OciSpec>
  change(spec)
  try {
    validateSpec(spec)
    return 'fine'
  } catch (error) {
    const { code, facts } = error as { code: string; facts: { field: string } }
    return `${code} ${facts.field}`
  }
}

type Case = [expected: string, change: Parameters<typeof verdict>[0]]

const map = [{ containerID: 0, hostID: 100_000, size: 65_536 }]
const idMap = { uidMappings: map, gidMappings: map }
const limit = (type: string, soft: number, hard: number) => ({ type, soft, hard })

describe('validateSpec', () => {
  it('takes the default', () => expect(verdict(() => {})).toBe('fine'))

  it.each<Case>([
    ['SPEC_INVALID ociVersion', (spec) => Object.assign(spec, { ociVersion: '2' })],
    ['SPEC_INVALID ociVersion', (spec) => Object.assign(spec, { ociVersion: 1 })],
    ['SPEC_INVALID root.path', (spec) => Object.assign(spec, { root: {} })],
    ['SPEC_INVALID process', (spec) => Object.assign(spec, { process: undefined })],
    ['SPEC_INVALID process.args', (spec) => Object.assign(spec.process, { args: [] })],
    ['SPEC_INVALID process.args[1]', (spec) => Object.assign(spec.process, { args: ['a', 1] })],
    ['SPEC_INVALID process.args[0]', (spec) => Object.assign(spec.process, { args: ['x'.repeat(200_000)] })],
    ['SPEC_INVALID process.cwd', (spec) => Object.assign(spec.process, { cwd: 'tmp' })],
    ['SPEC_INVALID process.env[0]', (spec) => Object.assign(spec.process, { env: ['A=\0'] })],
    ['SPEC_INVALID process.user.uid', (spec) => Object.assign(spec.process, { user: { uid: -1, gid: 0 } })],
    [
      'SPEC_INVALID process.rlimits[0].type',
      (spec) => Object.assign(spec.process, { rlimits: [limit('RLIMIT_X', 1, 1)] }),
    ],
    [
      'SPEC_INVALID process.rlimits[0]',
      (spec) => Object.assign(spec.process, { rlimits: [limit('RLIMIT_CPU', 2, 1)] }),
    ],
    ['SPEC_INVALID process.oomScoreAdj', (spec) => Object.assign(spec.process, { oomScoreAdj: 1001 })],
    ['SPEC_INVALID process.scheduler.policy', (spec) => Object.assign(spec.process, { scheduler: { policy: 'X' } })],
    [
      'SPEC_INVALID process.ioPriority.priority',
      (spec) => Object.assign(spec.process, { ioPriority: { class: 'IOPRIO_CLASS_BE', priority: 8 } }),
    ],
    ['SPEC_INVALID linux.namespaces[6]', (spec) => spec.linux.namespaces?.push({ type: 'pid' })],
    ['SPEC_INVALID linux.namespaces[0].path', (spec) => Object.assign(spec.linux.namespaces?.[0] ?? {}, { path: 'x' })],
    [
      'SPEC_INVALID linux.namespaces[0].type',
      (spec) => Object.assign(spec.linux.namespaces?.[0] ?? {}, { type: 'moon' }),
    ],
    [
      'SPEC_UNSUPPORTED linux.namespaces',
      (spec) =>
        Object.assign(spec.linux, { namespaces: [{ type: 'user' }], ...idMap }) &&
        Object.assign(spec, { hostname: '' }),
    ],
    [
      'SPEC_UNSUPPORTED linux.rootfsPropagation',
      (spec) => Object.assign(spec, { hostname: '', linux: { namespaces: [], rootfsPropagation: 'private' } }),
    ],
    [
      'SPEC_UNSUPPORTED hooks.startContainer',
      (spec) => Object.assign(spec, { hostname: '', linux: {}, hooks: { startContainer: [{ path: '/bin/true' }] } }),
    ],
    [
      'SPEC_INVALID linux.gidMappings',
      (spec) => {
        spec.linux.namespaces?.push({ type: 'user' })
        Object.assign(spec.linux, { uidMappings: map })
      },
    ],
    [
      'SPEC_INVALID linux.uidMappings[0].size',
      (spec) => Object.assign(spec.linux, { uidMappings: [{ containerID: 0, hostID: 0 }] }),
    ],
    ['SPEC_INVALID hostname', (spec) => Object.assign(spec.linux, { namespaces: [{ type: 'mount' }] })],
    ['SPEC_INVALID hostname', (spec) => Object.assign(spec, { hostname: 'h'.repeat(65) })],
    ['SPEC_INVALID mounts[0].destination', (spec) => Object.assign(spec, { mounts: [{ destination: '' }] })],
    ['SPEC_INVALID mounts[0].destination', (spec) => Object.assign(spec, { mounts: [{ destination: '/./' }] })],
    [
      'SPEC_INVALID mounts[0].options[0]',
      (spec) => Object.assign(spec, { mounts: [{ destination: '/a', options: [{}] }] }),
    ],
    ['SPEC_INVALID mounts', (spec) => Object.assign(spec, { mounts: {} })],
    [
      'SPEC_INVALID linux.devices[0].path',
      (spec) => Object.assign(spec.linux, { devices: [{ type: 'c', path: '/dev/..' }] }),
    ],
    ['SPEC_INVALID linux.sysctl', (spec) => Object.assign(spec.linux, { sysctl: { 'kernel.hostname': 'x' } })],
    [
      'SPEC_INVALID linux.sysctl',
      (spec) =>
        Object.assign(spec.linux, { sysctl: { 'kernel.domainname': 'x' } }) && Object.assign(spec, { domainname: 'y' }),
    ],
    ['SPEC_INVALID linux.sysctl', (spec) => Object.assign(spec.linux, { sysctl: { 'net/../../etc/x': 'x' } })],
    ['SPEC_INVALID linux.timeOffsets.realtime', (spec) => Object.assign(spec.linux, { timeOffsets: { realtime: {} } })],
    [
      'SPEC_INVALID linux.resources.memory.limit',
      (spec) => Object.assign(spec.linux, { resources: { memory: { limit: 1.5 } } }),
    ],
    ['SPEC_INVALID linux.rootfsPropagation', (spec) => Object.assign(spec.linux, { rootfsPropagation: 'up' })],
    ['SPEC_INVALID hooks.poststop[0].path', (spec) => Object.assign(spec, { hooks: { poststop: [{ path: 'x' }] } })],
    [
      'SPEC_INVALID hooks.prestart[1].timeout',
      (spec) => Object.assign(spec, { hooks: { prestart: [{ path: '/x' }, { path: '/x', timeout: 0 }] } }),
    ],
    ['SPEC_INVALID annotations.a', (spec) => Object.assign(spec, { annotations: { a: 1 } })],
    ['SPEC_UNSUPPORTED linux.intelRdt', (spec) => Object.assign(spec.linux, { intelRdt: {} })],
    ...[
      {},
      { mode: 'BIND', nodes: '0' },
      { mode: 'MPOL_BIND' },
      { mode: 'MPOL_DEFAULT', nodes: '0-7' },
      { mode: 'MPOL_BIND', nodes: '0', flags: ['MPOL_F_STATIC_NODES', 'MPOL_F_RELATIVE_NODES'] },
      { mode: 'MPOL_BIND', nodes: '0', flags: ['static'] },
    ].map(
      (memoryPolicy): Case => [
        'SPEC_INVALID linux.memoryPolicy',
        (spec) => Object.assign(spec.linux, { memoryPolicy }),
      ],
    ),
    ...['bad', '1024', '3-1', '0-9876543210'].map(
      (nodes): Case => [
        'SPEC_INVALID linux.memoryPolicy.nodes',
        (spec) => Object.assign(spec.linux, { memoryPolicy: { mode: 'MPOL_BIND', nodes } }),
      ],
    ),
    ...[
      { deadline: 20_000_000 },
      { runtime: 10_000_000 },
      { runtime: 0, deadline: 20_000_000 },
      { runtime: 30_000_000, deadline: 20_000_000 },
      { runtime: 10_000_000, deadline: 30_000_000, period: 20_000_000 },
      { runtime: 1023, deadline: 20_000_000 },
      { runtime: 2 ** 63, deadline: 2 ** 63 },
    ].map(
      (times): Case => [
        'SPEC_INVALID process.scheduler',
        (spec) => Object.assign(spec.process, { scheduler: { policy: 'SCHED_DEADLINE', ...times } }),
      ],
    ),
    ['SPEC_UNSUPPORTED linux.netDevices', (spec) => Object.assign(spec.linux, { netDevices: { eth0: {} } })],
  ])('%s', (expected, change) => {
    expect(verdict((spec) => void change(spec))).toBe(expected)
  })

  it('what Go leaves out is 0 or empty: an id that is missing, the path of a namespace that is to be made', () => {
    const plain = defaultSpec()
    const [first, ...others] = plain.linux?.namespaces ?? []
    const spec = validateSpec({
      ...plain,
      process: { ...plain.process, user: { uid: 5 } },
      linux: { ...plain.linux, namespaces: [{ ...first, path: '' }, ...others] },
    })
    expect(spec.process?.user).toEqual({ uid: 5, gid: 0 })
    expect(spec.linux?.namespaces).toEqual(plain.linux?.namespaces)
  })

  it('a user namespace without ids has root alone; a device’s path has no slash behind it; two words for one domain agree', () => {
    const plain = defaultSpec()
    const user = { type: 'user', path: '' }
    const linux = {
      ...plain.linux,
      namespaces: [...(plain.linux?.namespaces ?? []), user],
      devices: [{ path: '/mnt/', type: 'b', major: 10, minor: 229 }],
      sysctl: { 'kernel.domainname': 'here' },
    }
    const spec = validateSpec({ ...plain, domainname: 'here', linux })
    const root = [{ containerID: 0, hostID: 0, size: 1 }]
    expect(spec.linux).toMatchObject({ uidMappings: root, gidMappings: root, devices: [{ path: '/mnt' }] })
    expect(() => validateSpec({ ...plain, domainname: 'there', linux })).toThrow(
      'linux.sysctl: kernel.domainname is "here", and domainname says "there"',
    )
    const joined = {
      ...linux,
      namespaces: [{ type: 'mount' }, { type: 'uts' }, { type: 'user', path: '/proc/1/ns/user' }],
    }
    expect(validateSpec({ ...plain, linux: joined }).linux?.uidMappings).toBeUndefined()
  })

  it('nulls stand for absent fields; what nobody knows is ignored; nothing else is changed', () => {
    const plain = defaultSpec()
    expect(validateSpec(plain)).toBe(plain)
    const odd = { ...plain, hostname: null, constructor: 7, unknown: [null], process: { ...plain.process, env: null } }
    const { env: _, ...process } = plain.process ?? {}
    const { hostname: __, ...rest } = plain
    expect(validateSpec(odd)).toEqual({ ...rest, constructor: 7, unknown: [null], process })
  })

  it('whatever JSON holds, the answer is a spec or an error that names a field', () => {
    fc.assert(
      fc.property(fc.json(), fc.nat(), (text, at) => {
        const spec = structuredClone(defaultSpec()) as unknown as Record<string, unknown>
        const places: [Record<string, unknown>, string][] = []
        const walk = (node: unknown) => {
          if (typeof node !== 'object' || node === null) return
          for (const key of Object.keys(node)) {
            places.push([node as Record<string, unknown>, key])
            walk((node as Record<string, unknown>)[key])
          }
        }
        walk(spec)
        const [parent, key] = places[at % places.length] ?? [spec, 'root']
        parent[key] = JSON.parse(text)
        try {
          validateSpec(spec)
        } catch (error) {
          expect(error).toMatchObject({ code: expect.stringMatching(/^SPEC_/), facts: { field: expect.any(String) } })
        }
      }),
      { numRuns: 2000 },
    )
  })
})
