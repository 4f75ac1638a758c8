import { describe, expect, it } from 'vitest'
import type { CgroupNode } from '../runtime/cgroups/inspect.ts'
import { treeText } from './cgroups.ts'

function aGroup(path: string, change: Partial<CgroupNode> = {}): CgroupNode {
  const usage = {
    cpuUsageNanoseconds: 1_500_000_000,
    cpuThrottledPeriods: 0,
    memoryUsageBytes: 1536 * 1024,
    memoryWorkingSetBytes: 0,
    memoryRssBytes: 0,
    pids: 1,
    oomKills: 0,
  }
  return { path, limits: {}, usage, io: { readBytes: 0, writeBytes: 0 }, processes: [], groups: [], ...change }
}

describe('treeText', () => {
  const pod = aGroup('coracle/n/pod', {
    limits: { memoryBytes: 64 * 1024 ** 2, cpus: 0.5, cpuWeight: 50, pids: 20 },
    processes: [{ pid: 17, command: 'sleep 60' }],
  })

  it('limits and use by row, processes below, empty columns left out', () => {
    expect(treeText(aGroup('coracle/n', { groups: [pod] }))).toBe(
      [
        'GROUP      CPU s  OF                  MEMORY  LIMIT  PIDS',
        'coracle/n  1.50                       1.5M           1',
        '  pod      1.50   0.5 cpu, weight 50  1.5M    64M    1/20',
        '    17 sleep 60',
      ].join('\n'),
    )
  })

  it('pressure and kills where there are any', () => {
    const pressure = { cpu: { some: 12.34, full: 0 }, memory: { some: 0, full: 0 }, io: { some: 1, full: 1 } }
    const usage = { ...pod.usage, oomKills: 2 }
    const text = treeText({ ...pod, pressure, usage })
    expect(text).toContain('12.3 %/0.0 %/1.0 %')
    expect(text).toMatch(/ 2\n/)
  })

  it('two looks: processor use as a rate, and none for what is new', () => {
    const before = new Map([['coracle/n', 1_000_000_000]])
    const text = treeText(aGroup('coracle/n', { groups: [pod] }), { before, seconds: 2 })
    expect(text.split('\n')[1]).toMatch(/^coracle\/n +25\.0 /)
    expect(text.split('\n')[2]).toMatch(/^ {2}pod +0\.5 cpu/)
  })
})
