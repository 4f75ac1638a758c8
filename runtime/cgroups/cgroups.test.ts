import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { setIo, weightOfBlkio } from './block-io.ts'
import { findLayout } from './layout.ts'
import { refuseUnsupported } from './refuse.ts'
import { v2Driver } from './v2.ts'
import { setUnified, weightOfShares } from './v2-limits.ts'

describe('findLayout', () => {
  const v1 =
    'cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\ncgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,cpu,cpuacct 0 0\n'
  const v2 = 'cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n'
  it('v1 and hybrid: controllers where they are mounted, also together', () => {
    const layout = findLayout(`${v1}cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n`)
    expect(layout.version === 1 && Object.fromEntries(layout.mounts)).toEqual({
      memory: '/sys/fs/cgroup/memory',
      cpu: '/sys/fs/cgroup/cpu,cpuacct',
      cpuacct: '/sys/fs/cgroup/cpu,cpuacct',
      unified: '/sys/fs/cgroup/unified',
    })
  })
  it('not where a container sees its own group', () => {
    const seen = '/var/lib/c/rootfs/sys/fs/cgroup'
    const layout = findLayout(`${v1}${v1.replaceAll('/sys/fs/cgroup', seen)}`)
    expect(layout.version === 1 && layout.mounts.get('memory')).toBe('/sys/fs/cgroup/memory')
    expect(findLayout(`${v2}cgroup2 ${seen} cgroup2 ro 0 0\n`)).toEqual({ version: 2, mount: '/sys/fs/cgroup' })
  })
  it('v2', () => expect(findLayout(v2)).toEqual({ version: 2, mount: '/sys/fs/cgroup' }))
  it('none: refused', () => expect(() => findLayout('')).toThrow(/no cgroup hierarchy/))
})

describe('refuseUnsupported', () => {
  it('names the limit that would be ignored', () => {
    expect(() => refuseUnsupported({ network: { classID: 5 } }, 2)).toThrow('linux.resources.network.classID')
    expect(() => refuseUnsupported({ network: { classID: 5 } }, 1)).not.toThrow()
    expect(() => refuseUnsupported({ memory: { useHierarchy: false } }, 1)).toThrow('memory.useHierarchy')
  })
})

describe('v2Driver', () => {
  let mount: string
  const files = 'memory.max memory.low memory.swap.max cpu.weight cpu.max pids.max cgroup.freeze'.split(' ')
  beforeEach(() => {
    mount = mkdtempSync(join(tmpdir(), 'coracle-v2-'))
    for (const folder of ['', 'pod', 'pod/c']) {
      mkdirSync(join(mount, folder), { recursive: true })
      writeFileSync(join(mount, folder, 'cgroup.controllers'), 'cpu memory pids')
      for (const file of ['cgroup.subtree_control', ...files]) writeFileSync(join(mount, folder, file), '')
    }
  })
  afterEach(() => rmSync(mount, { recursive: true }))

  it('passes controllers down and writes v2’s own units', () => {
    const driver = v2Driver(mount)
    const warnings = driver.create('pod/c', {
      memory: { limit: 100, swap: 150, reservation: 50 },
      cpu: { shares: 1024, quota: 5000, period: 10000 },
      pids: { limit: -1 },
    })
    const at = (file: string) => readFileSync(join(mount, 'pod/c', file), 'utf8')
    expect(files.slice(0, 6).map(at)).toEqual(['100', '50', '50', '100', '5000 10000', 'max'])
    for (const folder of ['', 'pod']) {
      expect(readFileSync(join(mount, folder, 'cgroup.subtree_control'), 'utf8')).toBe('+cpu +memory +pids')
    }
    expect(warnings).toEqual([])
    expect(driver.membership('pod/c')).toMatchObject({ into: `${mount}/pod/c`, join: [] })
  })

  it('unified: raw files, line by line, but none that leads elsewhere or is no limit', () => {
    const driver = v2Driver(mount)
    driver.create('pod/c', { unified: { 'memory.low': '77' } })
    expect(readFileSync(join(mount, 'pod/c/memory.low'), 'utf8')).toBe('77')
    expect(() => setUnified(join(mount, 'pod/c'), { '../memory.low': '1' })).toThrow('is not the name of a file')
    expect(() => setUnified(join(mount, 'pod/c'), { 'cgroup.procs': '1' })).toThrow('is no limit')
    expect(() => setUnified(join(mount, 'pod/c'), { 'memory.lov': '1' })).toThrow('ENOENT')
    expect(() => setUnified(join(mount, 'pod/c'), { memory: '1' })).toThrow('not the form CONTROLLER.VALUE `memory`')
    const other = join(mount, 'without-foo')
    mkdirSync(other)
    writeFileSync(join(other, 'cgroup.controllers'), 'cpu memory\n')
    expect(() => setUnified(other, { 'foo.bar': '1' })).toThrow(
      'the requested cgroup controller `foo` is not available',
    )
    expect(() => setUnified(other, { 'memory.lov': '1' })).toThrow('ENOENT')
  })

  it('block devices: weights in v2’s scale, throttles, a throttle taken away', () => {
    const at = join(mount, 'pod/c')
    writeFileSync(join(at, 'io.weight'), '')
    writeFileSync(join(at, 'io.max'), '')
    setIo(at, { weight: 1000, throttleReadBpsDevice: [{ major: 8, minor: 0, rate: 1048576 }] })
    expect(readFileSync(join(at, 'io.weight'), 'utf8')).toBe('default 10000')
    expect(readFileSync(join(at, 'io.max'), 'utf8')).toBe('8:0 rbps=1048576')
    setIo(at, { throttleReadBpsDevice: [{ major: 8, minor: 0, rate: 0 }] })
    expect(readFileSync(join(at, 'io.max'), 'utf8')).toMatch(/^8:0 rbps=max/)
    expect(() => setIo(at, { leafWeight: 10 })).toThrow('leafWeight')
  })

  it('checkBeforeUpdate: a limit below what is in use is refused', () => {
    writeFileSync(join(mount, 'pod/c/memory.current'), '4096')
    const set = (limit: number) => v2Driver(mount).update('pod/c', { memory: { limit, checkBeforeUpdate: true } })
    expect(() => set(4095)).toThrow('with 4096 bytes in use')
    expect(() => set(4096)).not.toThrow()
  })

  it('weights: the ends and the middle', () => {
    expect([2, 1024, 262144].map(weightOfShares)).toEqual([1, 100, 10000])
    expect([10, 505, 1000].map(weightOfBlkio)).toEqual([1, 5000, 10000])
  })
})
