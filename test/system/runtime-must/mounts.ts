import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { EACCES, EROFS, type FullSpec, type Must, mountAt, S_IFLNK } from './must.ts'

/** A folder of the host beside the rootfs, with a file in it. */
function hostFolder(spec: FullSpec): string {
  const folder = join(spec.root.path, '../shared')
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'file'), 'from the host')
  return folder
}

const bind = (destination: string, ...options: string[]) => ({
  change: (spec: FullSpec) =>
    void spec.mounts.push({ destination, type: 'none', source: hostFolder(spec), options: ['bind', ...options] }),
})

const tmpfs = (destination: string, ...options: string[]) => ({
  change: (spec: FullSpec) => void spec.mounts.push({ destination, type: 'tmpfs', source: 'tmpfs', options }),
})

const flagged = (path: string, ...options: string[]) => [
  (answer: Parameters<typeof mountAt>[0]) =>
    expect(mountAt(answer, path)?.options).toEqual(expect.arrayContaining(options)),
]
const unflagged = (path: string, ...options: string[]) => [
  (answer: Parameters<typeof mountAt>[0]) => {
    const seen = mountAt(answer, path)?.options
    expect(seen).toBeDefined()
    for (const option of options) expect(seen).not.toContain(option)
  },
]
const option = (name: string, more: Pick<Must, 'change' | 'expect'> & Partial<Must>): Must => ({
  section: 'config.md#linux-mount-options',
  words: `${name} | MUST`,
  ...more,
})

/** Options of mount(8) that become flags of the mount, and what mountinfo shows. */
const attributes: readonly (readonly [option: string, shown: string])[] = [
  ['ro', 'ro'],
  ['nosuid', 'nosuid'],
  ['nodev', 'nodev'],
  ['noexec', 'noexec'],
  ['noatime', 'noatime'],
  ['nodiratime', 'nodiratime'],
  ['relatime', 'relatime'],
]
/** The opposite, after the option itself: the later one counts. */
const opposites: readonly (readonly [option: string, undone: string])[] = [
  ['rw', 'ro'],
  ['suid', 'nosuid'],
  ['dev', 'nodev'],
  ['exec', 'noexec'],
  ['atime', 'noatime'],
  ['diratime', 'nodiratime'],
]
const propagation: readonly (readonly [option: string, shown: RegExp])[] = [
  ['private', /^$/],
  ['rprivate', /^$/],
  ['slave', /^(master:\d+)?$/],
  ['rslave', /^(master:\d+)?$/],
  ['shared', /shared:\d+/],
  ['rshared', /shared:\d+/],
  ['unbindable', /unbindable/],
  ['runbindable', /unbindable/],
]

/** What asks for what is so anyway, and flags that a tmpfs has never had. */
const harmless = [
  'defaults',
  'async',
  'loud',
  'silent',
  'iversion',
  'noiversion',
  'nolazytime',
  'norelatime',
  'nostrictatime',
  'acl',
  'noacl',
]

/** config.md: mounts. */
export const mountMusts: Must[] = [
  {
    section: 'config.md#mounts',
    words: 'The runtime MUST mount entries in the listed order',
    change: (spec) => {
      spec.mounts.push({ destination: '/data', type: 'tmpfs', source: 'tmpfs' })
      spec.mounts.push({ destination: '/data/inner', type: 'tmpfs', source: 'tmpfs', options: ['size=64k'] })
    },
    ask: ['see', '.', 'write', '/data/inner/x'],
    expect: [(answer) => expect(mountAt(answer, '/data/inner')?.type).toBe('tmpfs'), { ok: true }],
  },
  {
    section: 'config.md#mounts',
    words: 'destination MAY be a relative path, in which case it MUST be interpreted as relative to "/"',
    ...tmpfs('data/relative'),
    expect: [(answer) => expect(mountAt(answer, '/data/relative')?.type).toBe('tmpfs')],
  },
  option('bind', { ...bind('/data'), ask: ['read', '/data/file'], expect: [{ text: 'from the host' }] }),
  option('rbind', {
    change: (spec) => void spec.mounts.push({ destination: '/data', source: hostFolder(spec), options: ['rbind'] }),
    ask: ['read', '/data/file', 'write', '/data/file'],
    expect: [{ text: 'from the host' }, { ok: true }],
  }),
  option('bind of a file', {
    change: (spec) =>
      void spec.mounts.push({
        destination: '/data/f',
        source: join(hostFolder(spec), 'file'),
        options: ['bind', 'ro'],
      }),
    ask: ['read', '/data/f', 'write', '/data/f'],
    expect: [{ text: 'from the host' }, { errno: EROFS }],
  }),
  option('bind,ro', { ...bind('/data', 'ro'), ask: ['write', '/data/x'], expect: [{ errno: EROFS }] }),
  option('bind,noexec', {
    change: (spec) => {
      const source = join(spec.root.path, 'bin')
      spec.mounts.push({ destination: '/data', source, options: ['bind', 'noexec'] })
    },
    // AT_FDCWD, "/…" cannot be given by numbers, so access(2) of the shell tells.
    expect: flagged('/data', 'noexec'),
  }),
  ...attributes.map(([name, shown]) =>
    option(`${name} (tmpfs)`, { ...tmpfs('/data', name), expect: flagged('/data', shown) }),
  ),
  ...attributes.map(([name, shown]) =>
    option(`${name} (bind)`, { ...bind('/data', name), expect: flagged('/data', shown) }),
  ),
  ...opposites.map(([name, undone]) =>
    option(`${name} (after ${undone})`, { ...tmpfs('/data', undone, name), expect: unflagged('/data', undone) }),
  ),
  option('strictatime', { ...tmpfs('/data', 'strictatime'), expect: unflagged('/data', 'relatime', 'noatime') }),
  ...harmless.map((name) =>
    option(name, {
      ...tmpfs('/data', name),
      expect: [(answer) => expect(mountAt(answer, '/data')?.type).toBe('tmpfs')],
      ...(name === 'defaults' ? { runcDiffers: 'the word belongs to fstab: it hands it on to tmpfs' } : {}),
    }),
  ),
  ...propagation.map(([name, shown]) =>
    option(name, {
      change: (spec) =>
        void spec.mounts.push({ destination: '/data', source: hostFolder(spec), options: ['bind', name] }),
      expect: [(answer) => expect(mountAt(answer, '/data')?.fields.join(' ')).toMatch(shown)],
    }),
  ),
  {
    section: 'config.md#mounts',
    words: 'options … data of the filesystem',
    ...tmpfs('/data', 'size=128k', 'mode=0750'),
    runcDiffers: 'it gives a tmpfs the mode of the folder that it hides',
    ask: ['stat', '/data', 'statfs', '/data'],
    expect: [{ mode: 0o750 }, { blocks: 32 }],
  },
  {
    section: 'config.md#mounts',
    words: 'a source that does not exist: the runtime cannot create the environment, so it MUST generate an error',
    change: (spec) => void spec.mounts.push({ destination: '/data', source: '/none/at/all', options: ['bind'] }),
    refused: /\/none\/at\/all/,
  },
  {
    section: 'config-linux.md#default-filesystems',
    words: '/proc proc, /sys sysfs, /dev/pts devpts, /dev/shm tmpfs SHOULD be made available',
    expect: [
      (answer) => {
        const types = ['/proc', '/sys', '/dev/pts', '/dev/shm'].map((path) => mountAt(answer, path)?.type)
        expect(types).toEqual(['proc', 'sysfs', 'devpts', 'tmpfs'])
      },
    ],
  },
  {
    section: 'runtime-linux.md#dev-symbolic-links',
    words: 'runtimes MUST create the following symlinks if the source file exists after processing mounts',
    ask: ['link', '/dev/fd', 'link', '/dev/stdin', 'link', '/dev/stdout', 'link', '/dev/stderr', 'stat', '/dev/fd'],
    expect: [
      { target: '/proc/self/fd' },
      { target: '/proc/self/fd/0' },
      { target: '/proc/self/fd/1' },
      { target: '/proc/self/fd/2' },
      { kind: S_IFLNK },
    ],
  },
  {
    section: 'config-linux.md#masked-paths',
    words: 'maskedPaths will mask over the provided paths inside the container so that they cannot be read',
    change: (spec) => Object.assign(spec.linux, { maskedPaths: ['/proc/meminfo', '/data', '/proc/irq', '/not/there'] }),
    ask: ['read', '/proc/meminfo', 'list', '/data', 'list', '/proc/irq', 'write', '/data/x'],
    expect: [{ text: '' }, { entries: 0 }, { entries: 0 }, { errno: EROFS }],
  },
  {
    section: 'config-linux.md#readonly-paths',
    words: 'readonlyPaths will set the provided paths as readonly inside the container',
    change: (spec) => {
      Object.assign(spec.linux, { readonlyPaths: ['/proc/sys', '/data', '/not/there'] })
      Object.assign(spec, { root: { path: spec.root.path } })
    },
    ask: ['write', '/proc/sys/kernel/hostname', 'write', '/data/x', 'write', '/tmp/must-x'],
    expect: [{ errno: EROFS }, { errno: EROFS }, { ok: true }],
  },
  {
    section: 'config-linux.md#rootfs-mount-propagation',
    words: 'rootfsPropagation sets the rootfs’s mount propagation: private',
    change: (spec) => Object.assign(spec.linux, { rootfsPropagation: 'private' }),
    expect: [(answer) => expect(mountAt(answer, '/')?.fields.join(' ')).toBe('')],
  },
  {
    section: 'config-linux.md#rootfs-mount-propagation',
    words: 'rootfsPropagation: shared',
    runcDiffers: 'it makes its parent shared and leaves the root itself private',
    change: (spec) => Object.assign(spec.linux, { rootfsPropagation: 'shared' }),
    expect: [(answer) => expect(mountAt(answer, '/')?.fields.join(' ')).toMatch(/shared:/)],
  },
  {
    section: 'config-linux.md#rootfs-mount-propagation',
    words: 'rootfsPropagation: what is none of them is refused',
    change: (spec) => Object.assign(spec.linux, { rootfsPropagation: 'sideways' }),
    refused: /rootfsPropagation/,
  },
  {
    section: 'config.md#mounts',
    words: 'the host’s mounts are not to be seen, and its root is gone',
    ask: ['see', '.', 'list', '/proc/1/root/work'],
    expect: [
      (answer) => expect(String(answer.mountinfo)).not.toMatch(/ \/(work|home|boot)[ /]/),
      (answer) => expect([EACCES, 2]).toContain(answer.errno),
    ],
  },
]
