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

describe('validateSpec', () => {
  it('takes the default', () => expect(verdict(() => {})).toBe('fine'))

  it.each<[string, Parameters<typeof verdict>[0]]>([
    ['SPEC_INVALID ociVersion', (spec) => Object.assign(spec, { ociVersion: '2' })],
    ['SPEC_INVALID root.path', (spec) => Object.assign(spec, { root: {} })],
    ['SPEC_INVALID process', (spec) => Object.assign(spec, { process: undefined })],
    ['SPEC_INVALID process.args', (spec) => Object.assign(spec.process, { args: [] })],
    ['SPEC_INVALID process.cwd', (spec) => Object.assign(spec.process, { cwd: 'tmp' })],
    ['SPEC_INVALID process', (spec) => Object.assign(spec.process, { env: ['A=\0'] })],
    ['SPEC_INVALID process.user', (spec) => Object.assign(spec.process, { user: { uid: -1, gid: 0 } })],
    [
      'SPEC_INVALID process.rlimits',
      (spec) => Object.assign(spec.process, { rlimits: [{ type: 'RLIMIT_X', soft: 1, hard: 1 }] }),
    ],
    [
      'SPEC_INVALID process.rlimits',
      (spec) => Object.assign(spec.process, { rlimits: [{ type: 'RLIMIT_CPU', soft: 2, hard: 1 }] }),
    ],
    ['SPEC_INVALID process.oomScoreAdj', (spec) => Object.assign(spec.process, { oomScoreAdj: 1001 })],
    ['SPEC_INVALID linux.namespaces', (spec) => spec.linux.namespaces?.push({ type: 'pid' })],
    ['SPEC_INVALID linux.namespaces', (spec) => Object.assign(spec.linux.namespaces?.[0] ?? {}, { path: 'x' })],
    [
      'SPEC_UNSUPPORTED linux.namespaces',
      (spec) => Object.assign(spec.linux, { namespaces: [] }) && Object.assign(spec, { hostname: '' }),
    ],
    ['SPEC_INVALID linux.uidMappings', (spec) => spec.linux.namespaces?.push({ type: 'user' })],
    ['SPEC_INVALID hostname', (spec) => Object.assign(spec.linux, { namespaces: [{ type: 'mount' }] })],
    ['SPEC_INVALID mounts', (spec) => Object.assign(spec, { mounts: [{ destination: '' }] })],
    ['SPEC_UNSUPPORTED mounts[0].uidMappings', (spec) => Object.assign(spec.mounts[0] ?? {}, { uidMappings: [{}] })],
    ['SPEC_INVALID linux.sysctl', (spec) => Object.assign(spec.linux, { sysctl: { 'kernel.hostname': 'x' } })],
    ['SPEC_INVALID linux.sysctl', (spec) => Object.assign(spec.linux, { sysctl: { 'net/../../etc/x': 'x' } })],
    ['SPEC_INVALID hooks.poststop[0].path', (spec) => Object.assign(spec, { hooks: { poststop: [{ path: 'x' }] } })],
    [
      'SPEC_INVALID hooks.prestart[1].timeout',
      (spec) => Object.assign(spec, { hooks: { prestart: [{ path: '/x' }, { path: '/x', timeout: 0 }] } }),
    ],
    ['SPEC_UNSUPPORTED process.apparmorProfile', (spec) => Object.assign(spec.process, { apparmorProfile: 'x' })],
    ['SPEC_UNSUPPORTED linux.intelRdt', (spec) => Object.assign(spec.linux, { intelRdt: {} })],
  ])('%s', (expected, change) => {
    expect(verdict((spec) => void change(spec))).toBe(expected)
  })
})
