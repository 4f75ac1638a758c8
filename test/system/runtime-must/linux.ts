import { readlinkSync } from 'node:fs'
import { expect } from 'vitest'
import type { NamespaceType } from '../../../runtime/index.ts'
import type { Answer } from '../../fixtures/probe/build.ts'
import { EPERM, type FullSpec, type Must, S_IFBLK, S_IFCHR, S_IFIFO, statusField } from './must.ts'

const kernelNames: Readonly<Record<NamespaceType, string>> = {
  pid: 'pid',
  network: 'net',
  mount: 'mnt',
  ipc: 'ipc',
  uts: 'uts',
  user: 'user',
  cgroup: 'cgroup',
  time: 'time',
}
const host = (type: NamespaceType) => readlinkSync(`/proc/self/ns/${kernelNames[type]}`)
const seenAs = (answer: Answer, type: NamespaceType) => (answer.namespaces as Record<string, string>)[kernelNames[type]]
const without = (spec: FullSpec, type: NamespaceType) =>
  Object.assign(spec.linux, { namespaces: spec.linux.namespaces?.filter((one) => one.type !== type) })
const device = (type: string, path: string, more: object = {}) => ({
  change: (spec: FullSpec) => Object.assign(spec.linux, { devices: [{ type, path, ...more }] }),
})

const namespaceMusts: Must[] = [
  ...(['pid', 'network', 'mount', 'ipc', 'uts', 'cgroup'] as const).map(
    (type): Must => ({
      section: 'config-linux.md#namespaces',
      words: `If path is not specified, the runtime MUST create a new container namespace of type ${type}`,
      expect: [(answer) => expect(seenAs(answer, type)).not.toBe(host(type))],
    }),
  ),
  ...(['pid', 'network', 'ipc', 'uts', 'cgroup'] as const).map(
    (type): Must => ({
      section: 'config-linux.md#namespaces',
      words: `If a namespace type is not specified, the container MUST inherit the runtime namespace of that type: ${type}`,
      change: (spec) => {
        without(spec, type)
        Object.assign(spec, { hostname: type === 'uts' ? '' : spec.hostname })
        // A network namespace of the host’s own does not let sysfs be mounted anew everywhere.
        if (type === 'network') Object.assign(spec, { mounts: spec.mounts.filter((one) => one.type !== 'sysfs') })
      },
      expect: [(answer) => expect(seenAs(answer, type)).toBe(host(type))],
    }),
  ),
  {
    section: 'config-linux.md#namespaces',
    words: 'If a namespace type is not specified, the container MUST inherit the runtime namespace of that type: mount',
    change: (spec) => without(spec, 'mount'),
    expect: [(answer) => expect(seenAs(answer, 'mount')).toBe(host('mount'))],
    runcDiffers: 'here it runs in a mount namespace of its own',
  },
  ...(['network', 'ipc', 'uts'] as const).map(
    (type): Must => ({
      section: 'config-linux.md#namespaces',
      words: `The runtime MUST place the container process in the namespace associated with that path: ${type}`,
      change: (spec) => {
        without(spec, type)
        spec.linux.namespaces?.push({ type, path: `/proc/self/ns/${kernelNames[type]}` })
        Object.assign(spec, { hostname: type === 'uts' ? '' : spec.hostname })
        Object.assign(spec, { mounts: spec.mounts.filter((one) => one.type !== 'sysfs') })
      },
      expect: [(answer) => expect(seenAs(answer, type)).toBe(host(type))],
    }),
  ),
  {
    section: 'config-linux.md#namespaces',
    words: 'This value MUST be an absolute path in the runtime mount namespace',
    change: (spec) => without(spec, 'ipc') && spec.linux.namespaces?.push({ type: 'ipc', path: 'proc/self/ns/ipc' }),
    refused: /linux\.namespaces/,
  },
  {
    section: 'config-linux.md#namespaces',
    words: 'MUST generate an error if path is not associated with a namespace of type type',
    change: (spec) => without(spec, 'ipc') && spec.linux.namespaces?.push({ type: 'ipc', path: '/proc/self/ns/net' }),
    refused: /setns|namespace/,
  },
  {
    section: 'config-linux.md#namespaces',
    words: 'If a namespaces field contains duplicated namespaces with same type, the runtime MUST generate an error',
    change: (spec) => spec.linux.namespaces?.push({ type: 'ipc' }),
    refused: /linux\.namespaces/,
  },
  {
    section: 'config-linux.md#namespaces',
    words: 'pid: processes inside the container will only be able to see other processes inside the same container',
    ask: ['see', '.', 'stat', '/proc/2', 'stat', '/proc/1'],
    expect: [{ pid: 1, ppid: 0 }, { errno: 2 }, { kind: 0o040000 }],
  },
  {
    section: 'config-linux.md#namespaces',
    words: 'network: the container will have its own network stack',
    ask: ['list', '/sys/class/net'],
    expect: [{ entries: 1 }],
  },
]

const defaultDevices: readonly (readonly [path: string, major: number, minor: number])[] = [
  ['/dev/null', 1, 3],
  ['/dev/zero', 1, 5],
  ['/dev/full', 1, 7],
  ['/dev/random', 1, 8],
  ['/dev/urandom', 1, 9],
  ['/dev/tty', 5, 0],
]

const deviceMusts: Must[] = [
  ...defaultDevices.map(
    ([path, major, minor]): Must => ({
      section: 'config-linux.md#default-devices',
      words: `the runtime MUST also supply: ${path}`,
      ask: ['stat', path],
      expect: [{ kind: S_IFCHR, major, minor, mode: 0o666, uid: 0, gid: 0 }],
    }),
  ),
  {
    section: 'config-linux.md#default-devices',
    words: 'the runtime MUST also supply: /dev/ptmx, a bind-mount or symlink of the container’s /dev/pts/ptmx',
    ask: ['link', '/dev/ptmx', 'stat', '/dev/pts/ptmx'],
    expect: [{ target: 'pts/ptmx' }, { kind: S_IFCHR, major: 5, minor: 2 }],
  },
  {
    section: 'config-linux.md#devices',
    words: 'devices lists devices that MUST be available in the container: c',
    ...device('c', '/dev/fuse-like', { major: 10, minor: 229, fileMode: 0o640, uid: 7, gid: 8 }),
    ask: ['stat', '/dev/fuse-like'],
    expect: [{ kind: S_IFCHR, major: 10, minor: 229, mode: 0o640, uid: 7, gid: 8 }],
  },
  {
    section: 'config-linux.md#devices',
    words: 'devices: u is a character device too',
    ...device('u', '/dev/folder/deep', { major: 1, minor: 3 }),
    ask: ['stat', '/dev/folder/deep'],
    expect: [{ kind: S_IFCHR, major: 1, minor: 3 }],
  },
  {
    section: 'config-linux.md#devices',
    words: 'devices: b',
    ...device('b', '/dev/disk0', { major: 7, minor: 300 }),
    ask: ['stat', '/dev/disk0'],
    expect: [{ kind: S_IFBLK, major: 7, minor: 300 }],
  },
  {
    section: 'config-linux.md#devices',
    words: 'major, minor REQUIRED unless type is p',
    ...device('p', '/dev/pipe0'),
    ask: ['stat', '/dev/pipe0'],
    expect: [{ kind: S_IFIFO }],
  },
  {
    section: 'config-linux.md#allowed-device-list',
    words: 'The runtime MUST apply entries in the listed order',
    change: (spec) => {
      device('c', '/dev/mem0', { major: 1, minor: 1, fileMode: 0o666 }).change(spec)
      const rules = [
        { allow: false, access: 'rwm' },
        { allow: true, type: 'c', major: 1, minor: 1, access: 'rw' },
        { allow: false, type: 'c', major: 1, minor: 1, access: 'w' },
      ]
      Object.assign(spec.linux, { resources: { devices: rules } })
    },
    ask: ['write', '/dev/mem0', 'write', '/dev/null'],
    expect: [{ errno: EPERM }, { ok: true }],
  },
  {
    section: 'config-linux.md#devices',
    words: 'type of device: c, b, u or p; anything else is refused',
    ...device('x', '/dev/what', { major: 1, minor: 1 }),
    refused: /linux\.devices/,
  },
]

const kernelMusts: Must[] = [
  {
    section: 'config-linux.md#sysctl',
    words: 'sysctl allows kernel parameters to be modified at runtime for the container',
    change: (spec) =>
      Object.assign(spec.linux, {
        sysctl: { 'net.ipv4.ip_forward': '1', 'kernel.msgmax': '16384', 'net/ipv4/ip_default_ttl': '77' },
      }),
    ask: [
      'read',
      '/proc/sys/net/ipv4/ip_forward',
      'read',
      '/proc/sys/kernel/msgmax',
      'read',
      '/proc/sys/net/ipv4/ip_default_ttl',
    ],
    expect: [{ text: '1\n' }, { text: '16384\n' }, { text: '77\n' }],
  },
  {
    section: 'config-linux.md#sysctl',
    words: 'a parameter of the whole machine is no container’s to modify',
    change: (spec) => Object.assign(spec.linux, { sysctl: { 'vm.swappiness': '1' } }),
    refused: /linux\.sysctl.*vm\.swappiness/,
  },
  {
    section: 'config-linux.md#seccomp',
    words: 'seccomp: the filter is in force, and answers what the profile says',
    change: (spec) =>
      Object.assign(spec.linux, {
        seccomp: {
          defaultAction: 'SCMP_ACT_ALLOW',
          syscalls: [{ names: ['getppid'], action: 'SCMP_ACT_ERRNO', errnoRet: 77 }],
        },
      }),
    ask: ['see', '.', 'call', process.arch === 'x64' ? '110' : '173'],
    expect: [(answer) => expect(statusField(answer, 'Seccomp')).toBe('2'), { result: -1, errno: 77 }],
  },
  {
    section: 'config-linux.md#seccomp',
    words: 'When the action doesn’t support an errno, the runtime MUST print and error and fail',
    change: (spec) =>
      Object.assign(spec.linux, {
        seccomp: {
          defaultAction: 'SCMP_ACT_ALLOW',
          syscalls: [{ names: ['getppid'], action: 'SCMP_ACT_KILL', errnoRet: 7 }],
        },
      }),
    refused: /linux\.seccomp\.syscalls\[0\]\.errnoRet/,
    runcDiffers: 'it takes the profile and forgets the errno',
  },
  {
    section: 'config-linux.md#seccomp',
    words: 'names MUST contain at least one entry',
    change: (spec) =>
      Object.assign(spec.linux, {
        seccomp: { defaultAction: 'SCMP_ACT_ALLOW', syscalls: [{ names: [], action: 'SCMP_ACT_ERRNO' }] },
      }),
    refused: /linux\.seccomp\.syscalls\[0\]\.names/,
    runcDiffers: 'it takes a rule about nothing',
  },
  {
    section: 'config-linux.md#seccomp',
    words: 'listenerMetadata MUST NOT be set if listenerPath is not set',
    change: (spec) =>
      Object.assign(spec.linux, { seccomp: { defaultAction: 'SCMP_ACT_ALLOW', listenerMetadata: 'x' } }),
    refused: /listenerMetadata/,
    runcDiffers: 'it does not look at the metadata unless an agent is called',
  },
  {
    section: 'config-linux.md#cgroups-path',
    words: 'In the case of an absolute path, the runtime MUST take the path to be relative to the cgroups mount point',
    change: (spec) => {
      without(spec, 'cgroup')
      Object.assign(spec.linux, { cgroupsPath: `/${spec.linux.cgroupsPath}` })
    },
    expect: [(answer) => expect(String(answer.cgroup)).toMatch(/(:pids|^0:):\/coracle\/test-/m)],
  },
  {
    section: 'config-linux.md#cgroups-path',
    words: 'the runtime MUST generate an error for values that it considers invalid',
    change: (spec) => Object.assign(spec.linux, { cgroupsPath: 'coracle/../../up' }),
    refused: /cgroupsPath/,
    runcDiffers: 'it cleans the path and goes on',
  },
  {
    section: 'config-linux.md#control-groups',
    words: 'limits are in force: pids',
    change: (spec) => {
      Object.assign(spec.linux, { resources: { ...spec.linux.resources, pids: { limit: 9 } } })
      without(spec, 'cgroup')
      Object.assign(spec.process, { args: ['/bin/sh', '-c', 'for i in 1 2 3 4 5 6 7 8 9 10; do sleep 1 & done; true'] })
    },
    ask: [],
    exitCode: 2,
    expect: [],
  },
]

/** config-linux.md. */
export const linuxMusts: Must[] = [...namespaceMusts, ...deviceMusts, ...kernelMusts]
