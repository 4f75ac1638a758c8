import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { findLayout } from './layout.ts'
import { refuseUnsupported } from './refuse.ts'
import { v2Driver, weightOfShares } from './v2.ts'

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
    })
  })
  it('v2', () => expect(findLayout(v2)).toEqual({ version: 2, mount: '/sys/fs/cgroup' }))
  it('none: refused', () => expect(() => findLayout('')).toThrow(/no cgroup hierarchy/))
})

describe('refuseUnsupported', () => {
  it('names the limit that would be ignored', () => {
    expect(() => refuseUnsupported({ blockIO: { weight: 5 } }, 1)).toThrow('linux.resources.blockIO')
    expect(() => refuseUnsupported({ unified: { 'memory.high': '1' } }, 1)).toThrow('linux.resources.unified')
    expect(() => refuseUnsupported({ unified: { 'memory.high': '1' } }, 2)).not.toThrow()
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

  it('weights: the ends and the middle', () => {
    expect([2, 1024, 262144].map(weightOfShares)).toEqual([1, 100, 10000])
  })
})
