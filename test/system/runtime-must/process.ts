import { readFileSync } from 'node:fs'
import { expect } from 'vitest'
import { EROFS, type Must, statusField } from './must.ts'

const ownScore = readFileSync('/proc/self/oom_score_adj', 'utf8')
const noCapabilities = { bounding: [], effective: [], permitted: [], inheritable: [], ambient: [] }
const bit = (...numbers: number[]) => numbers.reduce((all, number) => all | (1n << BigInt(number)), 0n)
const sets = (expected: Record<string, bigint>) => (answer: Parameters<typeof statusField>[0]) => {
  const seen = Object.keys(expected).map((name) => [name, BigInt(`0x${statusField(answer, name)}`)])
  expect(Object.fromEntries(seen)).toEqual(expected)
}

/** config.md: root, process, user, hostname. */
export const processMusts: Must[] = [
  {
    section: 'config.md#root',
    words: 'If true then the root filesystem MUST be read-only inside the container',
    change: (spec) => Object.assign(spec.root, { readonly: true }),
    ask: ['write', '/etc/x', 'write', '/x'],
    expect: [{ errno: EROFS }, { errno: EROFS }],
  },
  {
    section: 'config.md#root',
    words: 'defaults to false',
    change: (spec) => Object.assign(spec, { root: { path: spec.root.path } }),
    ask: ['write', '/tmp/must-writes'],
    expect: [{ ok: true }],
  },
  {
    section: 'config.md#process',
    words: 'Runtimes MUST ignore consoleSize if terminal is false or unset',
    change: (spec) => Object.assign(spec.process, { consoleSize: { width: 4, height: 4 } }),
    expect: [{ tty: 0 }],
  },
  {
    section: 'config.md#process',
    words: 'cwd is the working directory that will be set for the executable',
    change: (spec) => Object.assign(spec.process, { cwd: '/tmp' }),
    expect: [{ cwd: '/tmp' }],
  },
  {
    section: 'config.md#process',
    words: 'args … is used with the same semantics as execvp’s file',
    change: (spec) => Object.assign(spec.process, { args: ['probe', 'see', '.'], env: ['PATH=/none:/bin'] }),
    ask: [],
    expect: [{ argv: ['probe', 'see', '.'] }],
  },
  {
    section: 'config.md#process',
    words: 'env with the same semantics as IEEE Std 1003.1-2008’s environ',
    change: (spec) => Object.assign(spec.process, { env: ['A=b c', 'EMPTY=', 'UTF8=ä'] }),
    expect: [(answer) => expect(answer.env).toEqual(expect.arrayContaining(['A=b c', 'EMPTY=', 'UTF8=Ã¤']))],
  },
  {
    section: 'config.md#process',
    words: 'For each entry in rlimits, a getrlimit(3) on type MUST succeed; rlim_cur and rlim_max MUST match',
    change: (spec) =>
      Object.assign(spec.process, {
        rlimits: [
          { type: 'RLIMIT_NOFILE', soft: 100, hard: 200 },
          { type: 'RLIMIT_CORE', soft: 0, hard: 0 },
          { type: 'RLIMIT_AS', soft: 2 ** 33, hard: 2 ** 34 },
          { type: 'RLIMIT_CPU', soft: 3600, hard: 7200 },
        ],
      }),
    expect: [
      ({ rlimits }) => {
        const seen = rlimits as string[][]
        expect([seen[7], seen[4], seen[9], seen[0]]).toEqual([
          ['100', '200'],
          ['0', '0'],
          [String(2 ** 33), String(2 ** 34)],
          ['3600', '7200'],
        ])
      },
    ],
  },
  {
    section: 'config.md#process',
    words: 'The runtime MUST generate an error for any values which cannot be mapped to a relevant kernel interface',
    change: (spec) => Object.assign(spec.process, { rlimits: [{ type: 'RLIMIT_TEST', soft: 1, hard: 1 }] }),
    refused: /process\.rlimits/,
  },
  {
    section: 'config.md#process',
    words: 'If rlimits contains duplicated entries with same type, the runtime MUST generate an error',
    change: (spec) => {
      const limit = { type: 'RLIMIT_NOFILE', soft: 10, hard: 10 }
      Object.assign(spec.process, { rlimits: [limit, limit] })
    },
    runcDiffers: 'the later entry counts',
    refused: /process\.rlimits/,
  },
  {
    section: 'config.md#linux-process',
    words: 'If oomScoreAdj is set, the runtime MUST set oom_score_adj to the given value',
    change: (spec) => Object.assign(spec.process, { oomScoreAdj: 711 }),
    expect: [{ oomScoreAdj: '711\n' }],
  },
  {
    section: 'config.md#linux-process',
    words: 'If oomScoreAdj is not set, the runtime MUST NOT change the value of oom_score_adj',
    expect: [{ oomScoreAdj: ownScore }],
  },
  {
    section: 'config.md#linux-process',
    words:
      'capabilities: effective, bounding, inheritable, permitted, ambient are arrays of … capabilities kept for the process',
    change: (spec) =>
      Object.assign(spec.process, {
        capabilities: {
          bounding: ['CAP_CHOWN', 'CAP_KILL', 'CAP_SYS_CHROOT'],
          permitted: ['CAP_CHOWN', 'CAP_KILL'],
          effective: ['CAP_KILL'],
          inheritable: ['CAP_KILL'],
          ambient: ['CAP_KILL'],
        },
        user: { uid: 1000, gid: 1000 },
      }),
    // execve by one who is not root: permitted and effective become what is ambient.
    expect: [sets({ CapBnd: bit(0, 5, 18), CapPrm: bit(5), CapEff: bit(5), CapInh: bit(5), CapAmb: bit(5) })],
  },
  {
    section: 'config.md#linux-process',
    words: 'Any value which cannot be mapped … or cannot be granted otherwise MUST be logged as a warning',
    change: (spec) => Object.assign(spec.process, { capabilities: { ...noCapabilities, bounding: ['CAP_FUTURE'] } }),
    expect: [sets({ CapBnd: 0n, CapEff: 0n })],
  },
  {
    section: 'config.md#linux-process',
    words: 'no capabilities at all leave none',
    change: (spec) => Object.assign(spec.process, { capabilities: noCapabilities }),
    expect: [sets({ CapBnd: 0n, CapPrm: 0n, CapEff: 0n, CapInh: 0n, CapAmb: 0n })],
  },
  ...[true, false].map(
    (asked): Must => ({
      section: 'config.md#linux-process',
      words: `setting noNewPrivileges to ${asked} ${asked ? 'prevents the process from gaining' : 'lets the process gain'} additional privileges`,
      change: (spec) => Object.assign(spec.process, { noNewPrivileges: asked }),
      expect: [(answer) => expect(statusField(answer, 'NoNewPrivs')).toBe(asked ? '1' : '0')],
    }),
  ),
  {
    section: 'config.md#posix-platform-user',
    words: 'uid, gid and additionalGids specify the ids in the container namespace',
    change: (spec) => Object.assign(spec.process, { user: { uid: 33, gid: 44, additionalGids: [5, 66] } }),
    expect: [{ uids: [33, 33, 33], gids: [44, 44, 44], groups: [5, 66] }],
  },
  {
    section: 'config.md#posix-platform-user',
    words:
      'umask specifies the umask of the user. If unspecified, the umask should not be changed from the calling process’',
    change: (spec) => Object.assign(spec.process, { user: { uid: 0, gid: 0, umask: 0o137 } }),
    expect: [{ umask: 0o137 }],
  },
  {
    section: 'config.md#hostname',
    words: 'hostname specifies the container’s hostname as seen by processes running inside the container',
    change: (spec) => Object.assign(spec, { hostname: 'a-name.of.its-own' }),
    expect: [{ hostname: 'a-name.of.its-own' }],
  },
  {
    section: 'config.md#domainname',
    words: 'domainname specifies the container’s domainname as seen by processes running inside the container',
    change: (spec) => Object.assign(spec, { domainname: 'example.invalid' }),
    expect: [{ domainname: 'example.invalid' }],
    runcDiffers: 'the field is newer than it',
  },
  {
    section: 'config.md#extensibility',
    words: 'Runtimes MAY log unknown properties but MUST otherwise ignore them',
    change: (spec) => Object.assign(spec, { unknown: { a: [1] } }) && Object.assign(spec.process, { later: 'x' }),
    expect: [{ cwd: '/' }],
  },
  {
    section: 'config.md#annotations',
    words: 'Runtimes MUST handle unknown annotation keys like any other unknown property',
    change: (spec) => Object.assign(spec, { annotations: { 'com.example.x': 'y' } }),
    expect: [{ cwd: '/' }],
  },
  {
    section: 'runtime.md#lifecycle',
    words: 'the exit code of the program is what the caller hears',
    change: (spec) => Object.assign(spec.process, { args: ['/bin/sh', '-c', 'exit 42'] }),
    ask: [],
    exitCode: 42,
    expect: [],
  },
  {
    section: 'principles: nothing of the runtime is inherited',
    words: 'the process has no descriptors but 0, 1 and 2',
    expect: [{ descriptors: [0, 1, 2] }],
  },
]
