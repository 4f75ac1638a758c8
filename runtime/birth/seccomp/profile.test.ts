import { describe, expect, it } from 'vitest'
import type { OciSeccomp } from '../../spec/types.ts'
import { checkProfile } from './profile.ts'

const base: OciSeccomp = { defaultAction: 'SCMP_ACT_ERRNO', syscalls: [{ names: ['read'], action: 'SCMP_ACT_ALLOW' }] }

function field(change: (profile: Record<string, unknown> & OciSeccomp) => unknown): unknown {
  const profile = structuredClone(base) as Record<string, unknown> & OciSeccomp
  change(profile)
  try {
    checkProfile(profile)
    return 'fine'
  } catch (error) {
    return (error as { facts: { field: string } }).facts.field
  }
}
const rule = (more: object) => (profile: OciSeccomp) =>
  profile.syscalls?.push({ names: ['mkdir'], action: 'SCMP_ACT_ALLOW', ...more })
const argument = (more: object) => rule({ args: [{ index: 0, value: 1, op: 'SCMP_CMP_EQ', ...more }] })

describe('checkProfile', () => {
  it.each<[string, Parameters<typeof field>[0]]>([
    ['fine', () => {}],
    ['linux.seccomp.defaultAction', (profile) => Object.assign(profile, { defaultAction: 'SCMP_ACT_NOTIFY' })],
    ['linux.seccomp.defaultAction', (profile) => Object.assign(profile, { defaultAction: 'toString' })],
    ['linux.seccomp.defaultErrnoRet', (profile) => Object.assign(profile, { defaultErrnoRet: -1 })],
    [
      'linux.seccomp.defaultErrnoRet',
      (profile) => Object.assign(profile, { defaultAction: 'SCMP_ACT_KILL', defaultErrnoRet: 1 }),
    ],
    ['linux.seccomp.architectures', (profile) => Object.assign(profile, { architectures: ['SCMP_ARCH_PDP11'] })],
    ['linux.seccomp.architectures', (profile) => Object.assign(profile, { architectures: 'SCMP_ARCH_X86' })],
    ['linux.seccomp.flags', (profile) => Object.assign(profile, { flags: ['SECCOMP_FILTER_FLAG_NEW_LISTENER'] })],
    ['linux.seccomp.listenerMetadata', (profile) => Object.assign(profile, { listenerMetadata: 'x' })],
    ['linux.seccomp.listenerPath', rule({ action: 'SCMP_ACT_NOTIFY' })],
    [
      'linux.seccomp.syscalls',
      (profile) =>
        rule({ action: 'SCMP_ACT_NOTIFY', names: ['write'] })(Object.assign(profile, { listenerPath: '/x' })),
    ],
    ['linux.seccomp.syscalls[1].names', rule({ names: [] })],
    ['linux.seccomp.syscalls[1].names', rule({ names: [''] })],
    ['linux.seccomp.syscalls[1].names', rule({ names: undefined })],
    ['linux.seccomp.syscalls[1].action', rule({ action: 'SCMP_ACT_MAYBE' })],
    ['linux.seccomp.syscalls[1].errnoRet', rule({ errnoRet: 1 })],
    ['linux.seccomp.syscalls[1].errnoRet', rule({ action: 'SCMP_ACT_ERRNO', errnoRet: 65536 })],
    ['linux.seccomp.syscalls[1].args[0].index', argument({ index: 6 })],
    ['linux.seccomp.syscalls[1].args[0].op', argument({ op: 'SCMP_CMP_LIKE' })],
    ['linux.seccomp.syscalls[1].args[0].value', argument({ value: 2 ** 60 })],
    ['linux.seccomp.syscalls[1].args[0].value', argument({ value: -1 })],
    ['linux.seccomp.syscalls[1].args[0].value', argument({ value: 1n << 64n })],
    ['linux.seccomp.syscalls[1].args[0].valueTwo', argument({ valueTwo: 1.5 })],
    ['fine', argument({ value: (1n << 64n) - 1n })],
  ])('%s', (expected, change) => expect(field(change)).toBe(expected))

  it('flags: the listener’s with NOTIFY, and with TSYNC what lets both be', () => {
    const notify: OciSeccomp = {
      ...base,
      listenerPath: '/x',
      syscalls: [{ names: ['mkdir'], action: 'SCMP_ACT_NOTIFY' }],
    }
    expect(checkProfile(notify)).toMatchObject({ notifies: true, flags: 8 })
    expect(checkProfile({ ...notify, flags: ['SECCOMP_FILTER_FLAG_TSYNC'] }).flags).toBe(8 | 1 | 16)
    expect(
      checkProfile({ ...base, flags: ['SECCOMP_FILTER_FLAG_LOG', 'SECCOMP_FILTER_FLAG_SPEC_ALLOW'] }),
    ).toMatchObject({ notifies: false, flags: 6 })
  })
})
