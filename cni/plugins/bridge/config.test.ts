import { describe, expect, it } from 'vitest'
import type { PluginCall } from '../../plugin.ts'
import { hostEndName, parseBridge } from './config.ts'

const aConfig = (more: Record<string, unknown> = {}) => ({
  config: { type: 'bridge', name: 'pods', cniVersion: '1.1.0', ...more },
})

describe('parseBridge', () => {
  it('defaults: those of the reference plugin', () => {
    expect(parseBridge(aConfig())).toMatchObject({ bridge: 'cni0', isGateway: false, ipMasq: false, mtu: undefined })
  })

  it('isDefaultGateway: makes it a gateway', () => {
    expect(parseBridge(aConfig({ isDefaultGateway: true })).isGateway).toBe(true)
  })

  it.each([
    { vlan: 7 },
    { promiscMode: true },
    { macspoofchk: true },
    { hairpin: true },
    { ipMasqBackend: 'iptables' },
  ])('%j: is refused as not supported', (more) => {
    expect(() => parseBridge(aConfig(more))).toThrow(expect.objectContaining({ code: 'CNI_UNSUPPORTED_FIELD' }))
  })

  it.each([{ vlan: 0 }, { promiscMode: false }, { macspoofchk: false }])('%j: asks for nothing', (more) => {
    expect(() => parseBridge(aConfig(more))).not.toThrow()
  })

  it.each([
    { bridge: 'a/b' },
    { bridge: 'a-name-that-is-too-long' },
    { mtu: 20 },
    { mtu: '1500' },
    { ipMasq: 'yes' },
    { masqueradeExcept: ['10.0.0.0'] },
    { runtimeConfig: { mac: 'nonsense' } },
  ])('%j: is refused', (more) => {
    expect(() => parseBridge(aConfig(more))).toThrow(expect.objectContaining({ code: 'CNI_INVALID_CONFIG' }))
  })
})

describe('hostEndName', () => {
  const aCall = (containerId: string): PluginCall => ({
    ...aConfig(),
    containerId,
    netns: '',
    ifname: 'eth0',
    args: {},
    delegate: async () => ({}),
  })

  it('is a device name, the same each time, another for each container', () => {
    expect(hostEndName(aCall('a'))).toMatch(/^veth[0-9a-f]{8}$/)
    expect(hostEndName(aCall('a'))).toBe(hostEndName(aCall('a')))
    expect(hostEndName(aCall('a'))).not.toBe(hostEndName(aCall('b')))
  })
})
