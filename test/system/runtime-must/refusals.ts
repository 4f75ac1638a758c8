import { expect } from 'vitest'
import { isV2 } from '../group-folders.ts'
import { type FullSpec, type Must, S_IFCHR } from './must.ts'

const lenient = 'it does not look'

/** Values that the spec forbids: "Runtimes MUST generate an error when invalid or unsupported values are encountered." */
function invalid(section: string, words: string, more: Pick<Must, 'refused'> & { change(spec: FullSpec): void }): Must {
  return { section, words, ...more }
}

/** config.md and config-linux.md: what has to be refused, and limits that have to hold. */
export const refusalMusts: Must[] = [
  {
    ...invalid('config.md#specification-version', 'ociVersion MUST be in SemVer v2.0.0 format', {
      change: (spec) => Object.assign(spec, { ociVersion: 'one point two' }),
      refused: /ociVersion/,
    }),
    runcDiffers: lenient,
  },
  invalid('config.md#root', 'A directory MUST exist at the path declared by the field', {
    change: (spec) => Object.assign(spec, { root: { path: '/none/at/all' } }),
    refused: /none\/at\/all|root\.path/,
  }),
  invalid('config.md#process', 'cwd: This value MUST be an absolute path', {
    change: (spec) => Object.assign(spec.process, { cwd: 'tmp' }),
    refused: /process\.cwd/,
  }),
  invalid('config.md#process', 'args: at least one entry is REQUIRED', {
    change: (spec) => Object.assign(spec.process, { args: [] }),
    refused: /process\.args/,
  }),
  invalid('config.md#posix-platform-hooks', 'path MUST be absolute', {
    change: (spec) => Object.assign(spec, { hooks: { createRuntime: [{ path: 'true' }] } }),
    refused: /hooks\.createRuntime/,
  }),
  {
    ...invalid('config.md#posix-platform-hooks', 'If set, timeout MUST be greater than zero', {
      change: (spec) => Object.assign(spec, { hooks: { createRuntime: [{ path: '/bin/true', timeout: 0 }] } }),
      refused: /hooks\.createRuntime.*timeout/,
    }),
  },
  invalid('config.md#annotations', 'Values MUST be strings', {
    change: (spec) => Object.assign(spec, { annotations: { key: 7 } }),
    refused: /annotations/,
  }),
  {
    ...invalid('config.md#annotations', 'Keys MUST NOT be an empty string', {
      change: (spec) => Object.assign(spec, { annotations: { '': 'x' } }),
      refused: /annotations/,
    }),
    runcDiffers: lenient,
  },
  {
    ...invalid('config-linux.md#masked-paths', 'The values MUST be absolute paths in the container namespace', {
      change: (spec) => Object.assign(spec.linux, { maskedPaths: ['proc/kcore'] }),
      refused: /maskedPaths/,
    }),
    runcDiffers: lenient,
  },
  {
    ...invalid('config-linux.md#readonly-paths', 'The values MUST be absolute paths in the container namespace', {
      change: (spec) => Object.assign(spec.linux, { readonlyPaths: ['proc/sys'] }),
      refused: /readonlyPaths/,
    }),
    runcDiffers: lenient,
  },
  {
    ...invalid(
      'config-linux.md#devices',
      'If a file already exists at path that does not match the requested device, the runtime MUST generate an error',
      {
        change: (spec) =>
          Object.assign(spec.linux, { devices: [{ type: 'c', path: '/bin/probe', major: 1, minor: 3 }] }),
        refused: /\/bin\/probe|mknodat|probe/,
      },
    ),
    runcDiffers: 'it leaves the file as it is',
  },
  invalid(
    'config-linux.md#unified',
    'MUST generate an error when the configuration refers to a controller that is not present',
    {
      change: (spec) => Object.assign(spec.linux, { resources: { unified: { 'nocontroller.max': '1' } } }),
      refused: /unified|nocontroller/,
    },
  ),
  invalid('config-linux.md#huge-page-limits', 'pageSize: a size that the machine does not have', {
    change: (spec) => Object.assign(spec.linux, { resources: { hugepageLimits: [{ pageSize: '3MB', limit: 0 }] } }),
    refused: /huge/i,
  }),
  {
    section: 'config.md#process',
    words: 'terminal specifies whether a terminal is attached to the process; /dev/console is set up for it',
    change: (spec) => Object.assign(spec.process, { terminal: true, consoleSize: { width: 81, height: 25 } }),
    runcDiffers: 'its run in the foreground needs a terminal of the caller’s',
    ask: ['see', '.', 'stat', '/dev/console'],
    expect: [{ tty: 1 }, (answer) => expect(answer).toMatchObject({ kind: S_IFCHR, major: 136 })],
  },
  {
    section: 'config-linux.md#memory',
    words: 'limit sets limit of memory usage',
    change: (spec) => Object.assign(spec.linux, { resources: { memory: { limit: 32 * 2 ** 20 } } }),
    ask: ['read', `/sys/fs/cgroup/${isV2 ? 'memory.max' : 'memory/memory.limit_in_bytes'}`],
    expect: [{ text: `${32 * 2 ** 20}\n` }],
  },
  {
    section: 'config-linux.md#cpu',
    words: 'shares specifies a relative share of CPU time; quota and period its ceiling',
    change: (spec) => Object.assign(spec.linux, { resources: { cpu: { shares: 256, quota: 20_000, period: 50_000 } } }),
    ask: isV2
      ? ['read', '/sys/fs/cgroup/cpu.weight', 'read', '/sys/fs/cgroup/cpu.max']
      : ['read', '/sys/fs/cgroup/cpu/cpu.shares', 'read', '/sys/fs/cgroup/cpu/cpu.cfs_quota_us'],
    // A weight has no place in the spec: runc had 10 for 256 shares until 2025, then what we have.
    expect: [
      (answer) => expect(isV2 ? ['35\n', '10\n'] : ['256\n']).toContain(answer.text),
      { text: isV2 ? '20000 50000\n' : '20000\n' },
    ],
  },
]
