import { mkdirSync, readlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { type FullSpec, type Must, mountAt } from './must.ts'

const tooNew = 'the field is newer than it'

const closed = 'it is not root any more when it binds the root, which lies in a folder that only root can enter'

const withUser = (spec: FullSpec, hostID = 100_000) => {
  spec.linux.namespaces?.push({ type: 'user' })
  Object.assign(spec.linux, {
    uidMappings: [{ containerID: 0, hostID, size: 1000 }],
    gidMappings: [{ containerID: 0, hostID, size: 1000 }],
  })
}

const scheduler = (asked: object, seen: object): Must => ({
  section: 'config.md#linux-process',
  words: `scheduler (object, OPTIONAL) specifies the scheduler properties: ${JSON.stringify(asked)}`,
  change: (spec) => Object.assign(spec.process, { scheduler: asked }),
  expect: [(answer) => expect(answer.scheduler).toMatchObject(seen)],
  runcDiffers: tooNew,
})

const mountOption = (name: string, shown: string): Must => ({
  section: 'config.md#linux-mount-options',
  words: `${name} | MUST`,
  change: (spec) => void spec.mounts.push({ destination: '/data', type: 'tmpfs', source: 'tmpfs', options: [name] }),
  expect: [
    (answer) => {
      const mount = mountAt(answer, '/data')
      expect([...(mount?.options ?? []), ...(mount?.superOptions ?? [])].join(' ')).toMatch(shown)
    },
  ],
})

const recursive = (name: string, shown: string): Must => ({
  section: 'config.md#linux-mount-options',
  words: `${name} | SHOULD: recursive, by mount_setattr(2)`,
  change: (spec) => void spec.mounts.push({ destination: '/data', source: '/dev', options: ['rbind', name] }),
  expect: [
    (answer) => {
      expect(mountAt(answer, '/data')?.options).toContain(shown)
      expect(mountAt(answer, '/data/shm')?.options ?? [shown]).toContain(shown)
    },
  ],
})

/** What the spec has had since 1.1, and what needs a user namespace. */
export const newerMusts: Must[] = [
  {
    section: 'config-linux.md#user-namespace-mappings',
    words: 'uidMappings and gidMappings describe the user namespace mappings from the host to the container',
    change: (spec) => withUser(spec),
    runcDiffers: closed,
    expect: [
      (answer) => {
        expect(String(answer.uidMap).trim().split(/\s+/)).toEqual(['0', '100000', '1000'])
        expect(String(answer.gidMap).trim().split(/\s+/)).toEqual(['0', '100000', '1000'])
        expect((answer.namespaces as Record<string, string>).user).not.toBe(readlinkSync('/proc/self/ns/user'))
      },
    ],
  },
  {
    section: 'config.md#posix-platform-user',
    words: 'uid and gid are those in the container namespace: mapped',
    runcDiffers: closed,
    change: (spec) => {
      withUser(spec)
      Object.assign(spec.process, { user: { uid: 12, gid: 13, additionalGids: [14] } })
    },
    expect: [{ uids: [12, 12, 12], gids: [13, 13, 13], groups: [14] }],
  },
  {
    section: 'config.md#posix-platform-user',
    words: 'an id that is not mapped cannot be applied: the runtime MUST generate an error',
    change: (spec) => {
      withUser(spec)
      Object.assign(spec.process, { user: { uid: 5000, gid: 0 } })
    },
    refused: /5000/,
  },
  {
    section: 'config-linux.md#offset-for-time-namespace',
    words: 'timeOffsets sets the offset for Time Namespace',
    change: (spec) => {
      spec.linux.namespaces?.push({ type: 'time' })
      Object.assign(spec.linux, { timeOffsets: { monotonic: { secs: 4242, nanosecs: 17 }, boottime: { secs: 99 } } })
    },
    expect: [
      (answer) => {
        const lines = String(answer.timeOffsets)
          .trim()
          .split('\n')
          .map((line) => line.split(/\s+/))
        expect(lines).toEqual([
          ['monotonic', '4242', '17'],
          ['boottime', '99', '0'],
        ])
      },
    ],
    runcDiffers: 'it does not know time namespaces',
  },
  scheduler({ policy: 'SCHED_BATCH', nice: 5 }, { policy: 3, nice: 5 }),
  scheduler({ policy: 'SCHED_IDLE' }, { policy: 5 }),
  scheduler({ policy: 'SCHED_OTHER', nice: 7 }, { policy: 0, nice: 7 }),
  {
    section: 'config.md#linux-process',
    words: 'ioPriority configures the I/O scheduling class and priority',
    change: (spec) => Object.assign(spec.process, { ioPriority: { class: 'IOPRIO_CLASS_IDLE', priority: 0 } }),
    expect: [{ ioPriority: 3 << 13 }],
    runcDiffers: tooNew,
  },
  {
    section: 'config.md#linux-process',
    words: 'ioPriority: IOPRIO_CLASS_BE, 0 (highest) to 7 (lowest)',
    change: (spec) => Object.assign(spec.process, { ioPriority: { class: 'IOPRIO_CLASS_BE', priority: 6 } }),
    expect: [{ ioPriority: (2 << 13) | 6 }],
    runcDiffers: tooNew,
  },
  {
    section: 'config.md#linux-process',
    words: 'a class that is none of those: the runtime MUST generate an error when invalid values are encountered',
    change: (spec) => Object.assign(spec.process, { ioPriority: { class: 'IOPRIO_CLASS_BEST', priority: 6 } }),
    refused: /ioPriority/,
    runcDiffers: tooNew,
  },
  {
    section: 'config.md#linux-process',
    words: 'execCPUAffinity.final … on which CPUs the process runs is not concerned for the first process',
    change: (spec) => Object.assign(spec.process, { execCPUAffinity: { initial: '0', final: '0' } }),
    expect: [(answer) => expect((answer.cpus as number[]).length).toBeGreaterThan(0)],
  },
  {
    section: 'config-linux.md#personality',
    words: 'personality sets the Linux execution personality: LINUX32',
    change: (spec) => Object.assign(spec.linux, { personality: { domain: 'LINUX32' } }),
    expect: [{ personality: 8 }],
    runcDiffers: 'it does not know the field',
  },
  {
    section: 'config-linux.md#personality',
    words: 'domain: only LINUX and LINUX32',
    change: (spec) => Object.assign(spec.linux, { personality: { domain: 'SOLARIS' } }),
    refused: /personality/,
    runcDiffers: 'it does not know the field',
  },
  ...['intelRdt', 'netDevices'].map(
    (field): Must =>
      ({
        section: 'config.md#valid-values',
        words: `Runtimes MUST generate an error when unsupported values are encountered: ${field}`,
        change: (spec) =>
          Object.assign(spec.linux, {
            [field]: {
              intelRdt: { closID: 'x' },
              netDevices: { eth9: {} },
            }[field],
          }),
        refused: new RegExp(field),
        runcDiffers: field === 'intelRdt' ? 'without resctrl it overlooks it' : tooNew,
      }) as Must,
  ),
  mountOption('sync', 'sync'),
  mountOption('lazytime', 'lazytime'),
  recursive('rro', 'ro'),
  recursive('rnosuid', 'nosuid'),
  recursive('rnoexec', 'noexec'),
  {
    section: 'config.md#mounts',
    words: 'tmpcopyup: the folder’s content is copied into the new tmpfs',
    change: (spec) => {
      const folder = join(spec.root.path, 'data')
      mkdirSync(folder, { recursive: true })
      writeFileSync(join(folder, 'copied'), 'from the image')
      spec.mounts.push({ destination: '/data', type: 'tmpfs', source: 'tmpfs', options: ['tmpcopyup'] })
    },
    ask: ['read', '/data/copied', 'write', '/data/more'],
    expect: [{ text: 'from the image' }, { ok: true }],
  },
  {
    section: 'config.md#mounts',
    words: 'uidMappings of a mount: If specified, it MUST be specified along with gidMappings',
    change: (spec) =>
      void spec.mounts.push({
        destination: '/data',
        source: '/etc',
        options: ['bind'],
        uidMappings: [{ containerID: 0, hostID: 100_000, size: 10 }],
      }),
    refused: /Mappings/,
    runcDiffers: tooNew,
  },
  {
    section: 'config.md#mounts',
    words: 'idmap: the mount MUST have an idmapping applied; mappings from the mount’s own uidMappings',
    change: (spec) => {
      const source = join(spec.root.path, '../idmapped')
      mkdirSync(source, { recursive: true })
      const ids = [{ containerID: 0, hostID: 4000, size: 10 }]
      spec.mounts.push({ destination: '/data', source, options: ['bind', 'idmap'], uidMappings: ids, gidMappings: ids })
    },
    ask: ['stat', '/data'],
    expect: [{ uid: 4000, gid: 4000 }],
    runcDiffers: tooNew,
  },
  {
    section: 'config.md#mounts',
    words: 'idmap without mappings and without a user namespace: otherwise an error MUST be returned',
    change: (spec) => void spec.mounts.push({ destination: '/data', source: '/etc', options: ['bind', 'idmap'] }),
    runcDiffers: tooNew,
    refused: /idmap|[mM]apping/,
  },
]
