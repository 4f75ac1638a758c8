import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { parseAddress } from '../../address.ts'
import type { PluginCall } from '../../plugin.ts'
import { allocate } from './allocate.ts'
import { parseHostLocal } from './ranges.ts'
import { withStore } from './store.ts'

let directory: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'coracle-host-local-'))
})
afterEach(() => rmSync(directory, { recursive: true }))

function aCall(ipam: Record<string, unknown>, more: Record<string, unknown> = {}): PluginCall {
  const config = { type: 'bridge', name: 'pods', cniVersion: '1.1.0', ipam: { type: 'host-local', ...ipam }, ...more }
  return { containerId: 'c', netns: '', ifname: 'eth0', args: {}, config, delegate: async () => ({}) }
}

function take(containerId: string, ipam: Record<string, unknown>, more: Record<string, unknown> = {}) {
  const config = parseHostLocal(aCall(ipam, more))
  return withStore(directory, (store) => allocate(store, { containerId, ifname: 'eth0' }, config))
}

const release = (containerId: string) => withStore(directory, (store) => store.release({ containerId, ifname: 'eth0' }))
const given = async (...args: Parameters<typeof take>) => (await take(...args)).map(({ address }) => address)

describe('allocate', () => {
  it('goes on after the last one, skips the gateway, comes round', async () => {
    const ipam = { subnet: '10.1.0.0/29' }
    expect(await given('a', ipam)).toEqual(['10.1.0.2/29'])
    expect(await given('b', ipam)).toEqual(['10.1.0.3/29'])
    await release('a')
    for (const [id, last] of [
      ['c', 4],
      ['d', 5],
      ['e', 6],
      ['f', 2],
    ] as const) {
      expect(await given(id, ipam)).toEqual([`10.1.0.${last}/29`])
    }
    await expect(take('g', ipam)).rejects.toMatchObject({ code: 'CNI_ADDRESSES_EXHAUSTED' })
  })

  it('files: as the reference plugin writes them', async () => {
    await take('a', { subnet: '10.1.0.0/24' })
    expect(readdirSync(directory).sort()).toEqual(['10.1.0.2', 'last_reserved_ip.0', 'lock'])
    expect(readFileSync(join(directory, '10.1.0.2'), 'utf8')).toBe('a\r\neth0')
    expect(readFileSync(join(directory, 'last_reserved_ip.0'), 'utf8')).toBe('10.1.0.2')
  })

  it('two sets: one of each, or nothing', async () => {
    const ranges = [[{ subnet: '10.1.0.0/24' }], [{ subnet: 'fd00::/126', rangeStart: 'fd00::2', rangeEnd: 'fd00::2' }]]
    expect(await given('a', { ranges })).toEqual(['10.1.0.2/24', 'fd00::2/126'])
    await expect(take('b', { ranges })).rejects.toThrow(/fd00::\/126/)
    expect(readdirSync(directory).filter((name) => name.startsWith('10.'))).toEqual(['10.1.0.2'])
  })

  it('a set of two ranges: the second when the first is full', async () => {
    const ranges = [[{ subnet: '10.1.0.0/30' }, { subnet: '10.2.0.0/30' }]]
    expect(await given('a', { ranges })).toEqual(['10.1.0.2/30'])
    expect(await given('b', { ranges })).toEqual(['10.2.0.2/30'])
  })

  it('a requested address: is given, or refused when taken, foreign or the gateway', async () => {
    const ask = (ip: string) => ({ runtimeConfig: { ips: [ip] } })
    const ipam = { subnet: '10.1.0.0/24' }
    expect(await given('a', ipam, ask('10.1.0.77'))).toEqual(['10.1.0.77/24'])
    await expect(take('b', ipam, ask('10.1.0.77'))).rejects.toThrow(/taken/)
    await expect(take('b', ipam, ask('10.2.0.1'))).rejects.toThrow(/no range/)
    await expect(take('b', ipam, ask('10.1.0.1'))).rejects.toThrow(/gateway/)
  })

  it('a second time for one interface: is refused', async () => {
    await take('a', { subnet: '10.1.0.0/24' })
    await expect(take('a', { subnet: '10.1.0.0/24' })).rejects.toThrow(/10\.1\.0\.2/)
  })

  it('crash: a half-written left-over does not block anybody', async () => {
    writeFileSync(join(directory, '.reserving'), 'x')
    expect(await given('a', { subnet: '10.1.0.0/24' })).toEqual(['10.1.0.2/24'])
  })
})

describe('withStore', () => {
  it('keepOnly: frees the addresses of all others, and files without an owner', async () => {
    await take('a', { subnet: '10.1.0.0/24' })
    await take('b', { subnet: '10.1.0.0/24' })
    writeFileSync(join(directory, '10.1.0.9'), '')
    await withStore(directory, (store) => store.keepOnly([{ containerId: 'b', ifname: 'eth0' }]))
    expect(readdirSync(directory).filter((name) => name.startsWith('10.'))).toEqual(['10.1.0.3'])
  })

  it('lastReserved: an unreadable file counts as none', async () => {
    writeFileSync(join(directory, 'last_reserved_ip.0'), 'rubbish')
    expect(await withStore(directory, (store) => store.lastReserved(0))).toBeUndefined()
    await withStore(directory, (store) => store.setLastReserved(0, parseAddress('10.1.0.7')))
    expect(await given('a', { subnet: '10.1.0.0/24' })).toEqual(['10.1.0.8/24'])
  })
})

describe('parseHostLocal', () => {
  it.each([
    {},
    { subnet: '10.1.0.1/24' },
    { subnet: '10.1.0.0/31' },
    { subnet: 'ten' },
    { subnet: '10.1.0.0/24', rangeStart: '10.2.0.1' },
    { subnet: '10.1.0.0/24', rangeStart: '10.1.0.9', rangeEnd: '10.1.0.3' },
    { ranges: [[{ subnet: '10.1.0.0/24' }, { subnet: 'fd00::/64' }]] },
    { ranges: [[{ subnet: '10.1.0.0/24' }], [{ subnet: '10.1.0.0/16' }]] },
    { ranges: [[]] },
    { subnet: '10.1.0.0/24', routes: [{ dst: 'there' }] },
  ])('%j: is refused', (ipam) => {
    expect(() => parseHostLocal(aCall(ipam))).toThrow(expect.objectContaining({ code: 'CNI_INVALID_CONFIG' }))
  })

  it('an unknown key: is refused', () => {
    expect(() => parseHostLocal(aCall({ subnet: '10.1.0.0/24', subnets: [] }))).toThrow(/subnets/)
  })
})
