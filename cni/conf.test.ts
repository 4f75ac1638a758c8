import { describe, expect, it } from 'vitest'
import { parseConfigList } from './conf.ts'

const aList = (more: Record<string, unknown> = {}) => ({
  cniVersion: '1.1.0',
  name: 'pods',
  plugins: [{ type: 'bridge', ipam: { type: 'host-local' } }],
  ...more,
})

describe('parseConfigList', () => {
  it('gives every plugin name and version, and keeps its own keys', () => {
    expect(parseConfigList(aList({ plugins: [{ type: 'bridge', isGateway: true }] })).plugins).toEqual([
      { type: 'bridge', isGateway: true, name: 'pods', cniVersion: '1.1.0' },
    ])
  })

  it('cniVersions: the newest that is known', () => {
    expect(parseConfigList(aList({ cniVersion: '0.4.0', cniVersions: ['0.4.0', '1.0.0', '7.0.0'] })).cniVersion).toBe(
      '1.0.0',
    )
    expect(() => parseConfigList(aList({ cniVersion: '7.0.0' }))).toThrow(/7\.0\.0/)
  })

  it.each([
    [undefined],
    [aList({ name: '../x' })],
    [aList({ name: '' })],
    [aList({ plugins: [] })],
    [aList({ plugins: [{}] })],
    [aList({ plugins: [{ type: '../../bin/sh' }] })],
    [aList({ plugins: [{ type: 'bridge', ipam: 'host-local' }] })],
    [aList({ plugins: [{ type: 'bridge', runtimeConfig: {} }] })],
    [aList({ plugins: [{ type: 'bridge', 'cni.dev/valid-attachments': [] }] })],
    [aList({ disableCheck: 'maybe' })],
  ])('%j: is refused', (value) => {
    expect(() => parseConfigList(value)).toThrow(expect.objectContaining({ code: 'CNI_INVALID_CONFIG' }))
  })
})
