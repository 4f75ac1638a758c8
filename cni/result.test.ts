import { describe, expect, it } from 'vitest'
import { type CniResult, compareVersions, formatResult, parseResult, supportedVersions } from './result.ts'

const result: CniResult = {
  interfaces: [
    { name: 'cni0', mac: '02:00:00:00:00:01', mtu: 1500 },
    { name: 'eth0', mac: '02:00:00:00:00:02', mtu: 1500, sandbox: '/proc/7/ns/net' },
  ],
  ips: [
    { address: '10.1.0.2/24', gateway: '10.1.0.1', interface: 1 },
    { address: 'fd00::2/64', interface: 1 },
  ],
  routes: [{ dst: '0.0.0.0/0', gw: '10.1.0.1', mtu: 1400 }, { dst: '::/0' }],
  dns: { nameservers: ['10.1.0.1'] },
}

describe('formatResult, parseResult', () => {
  it('1.1.0: comes back whole', () => {
    expect(parseResult(formatResult(result, '1.1.0'), '1.1.0')).toEqual(result)
  })

  it('1.0.0: loses what it does not know', () => {
    expect(formatResult(result, '1.0.0').interfaces).toEqual([
      { name: 'cni0', mac: '02:00:00:00:00:01' },
      { name: 'eth0', mac: '02:00:00:00:00:02', sandbox: '/proc/7/ns/net' },
    ])
    expect(formatResult(result, '1.0.0').routes).toEqual([{ dst: '0.0.0.0/0', gw: '10.1.0.1' }, { dst: '::/0' }])
  })

  it('0.4.0: says the family of each address', () => {
    const old = formatResult(result, '0.4.0')
    expect(old.ips).toMatchObject([{ version: '4' }, { version: '6' }])
    expect(parseResult(old, '0.4.0').ips).toEqual(result.ips)
  })

  it('0.2.0: one address of each family with its routes', () => {
    const oldest = formatResult(result, '0.2.0')
    expect(oldest).toEqual({
      cniVersion: '0.2.0',
      ip4: { ip: '10.1.0.2/24', gateway: '10.1.0.1', routes: [{ dst: '0.0.0.0/0', gw: '10.1.0.1' }] },
      ip6: { ip: 'fd00::2/64', routes: [{ dst: '::/0' }] },
      dns: result.dns,
    })
    expect(parseResult(oldest, '0.2.0').ips?.map(({ address }) => address)).toEqual(['10.1.0.2/24', 'fd00::2/64'])
  })

  it.each(supportedVersions)('%s: an empty result stays one', (version) => {
    expect(parseResult(formatResult({}, version), version).ips ?? []).toEqual([])
  })

  it('a version from the future is refused', () => {
    expect(() => parseResult({ cniVersion: '9.0.0' }, '1.0.0')).toThrow(/9\.0\.0/)
    expect(() => formatResult({}, '9.0.0')).toThrow(/9\.0\.0/)
  })

  it.each([7, null, [], { ips: [{}] }, { interfaces: 'eth0' }, { routes: [{ gw: '10.1.0.1' }] }])(
    '%j: is refused',
    (value) => {
      expect(() => parseResult(value, '1.0.0')).toThrow(expect.objectContaining({ code: 'CNI_DECODE' }))
    },
  )
})

describe('compareVersions', () => {
  it('compares numbers, not texts', () => {
    expect(compareVersions('0.10.0', '0.9.0')).toBeGreaterThan(0)
    expect(compareVersions('1.0.0', '1.0.0')).toBe(0)
  })
})
