/*
 * linux.resources, field by field: what the files of the container's own group say, on v1 and on v2. What this kernel does not have
 * is refused by the name of the field, and no container is left.
 */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { messageOf } from '../../runtime/base/errors.ts'
import type { LinuxResources } from '../../runtime/spec/types.ts'
import { aFixture, type Fixture, traces } from './runtime-fixture.ts'

const isV2 = existsSync('/sys/fs/cgroup/cgroup.controllers')
/** Else weights are those of blk-iocost, in the scale of v2. */
const hasBfq = existsSync('/sys/module/bfq')
const MiB = 2 ** 20

/** Controller (its folder on v1), file, and what is in it. */
type Seen = readonly [controller: string, file: string, text: string | RegExp]
/** `refused`: the field is not there in this version of cgroups, by what the kernel's documents say. */
/** `warned`: the container runs, and the warning names the field. */
type Unseen = 'refused' | 'warned'
type Row = readonly [field: string, resources: LinuxResources, v1: Seen | Unseen, v2: Seen | Unseen]

const same = (controller: string, file: string, text: string | RegExp): readonly [Seen, Seen] => [
  [controller, file, text],
  [controller, file, text],
]
const disk = { major: 7, minor: 0 }

const rows: readonly Row[] = [
  [
    'memory.limit',
    { memory: { limit: 64 * MiB } },
    ['memory', 'memory.limit_in_bytes', '67108864'],
    ['memory', 'memory.max', '67108864'],
  ],
  [
    'memory.limit, none',
    { memory: { limit: -1 } },
    ['memory', 'memory.limit_in_bytes', /^9223372036854\d+$/],
    ['memory', 'memory.max', 'max'],
  ],
  [
    'memory.reservation',
    { memory: { reservation: 32 * MiB } },
    ['memory', 'memory.soft_limit_in_bytes', '33554432'],
    ['memory', 'memory.low', '33554432'],
  ],
  [
    'memory.swap',
    { memory: { limit: 64 * MiB, swap: 96 * MiB } },
    ['memory', 'memory.memsw.limit_in_bytes', '100663296'],
    ['memory', 'memory.swap.max', '33554432'],
  ],
  ['memory.kernel', { memory: { kernel: 64 * MiB } }, ['memory', 'memory.kmem.limit_in_bytes', '67108864'], 'warned'],
  [
    'memory.kernelTCP',
    { memory: { kernelTCP: 16 * MiB } },
    ['memory', 'memory.kmem.tcp.limit_in_bytes', '16777216'],
    'warned',
  ],
  ['memory.swappiness', { memory: { swappiness: 7 } }, ['memory', 'memory.swappiness', '7'], 'refused'],
  [
    'memory.disableOOMKiller',
    { memory: { disableOOMKiller: true } },
    ['memory', 'memory.oom_control', /^oom_kill_disable 1$/m],
    'refused',
  ],
  ['memory.useHierarchy, false', { memory: { useHierarchy: false } }, 'refused', 'refused'],
  ['cpu.shares', { cpu: { shares: 512 } }, ['cpu', 'cpu.shares', '512'], ['cpu', 'cpu.weight', '59']],
  [
    'cpu.quota and cpu.period',
    { cpu: { quota: 20_000, period: 50_000 } },
    ['cpu', 'cpu.cfs_quota_us', '20000'],
    ['cpu', 'cpu.max', '20000 50000'],
  ],
  [
    'cpu.period alone',
    { cpu: { period: 50_000 } },
    ['cpu', 'cpu.cfs_period_us', '50000'],
    ['cpu', 'cpu.max', 'max 50000'],
  ],
  [
    'cpu.burst',
    { cpu: { quota: 20_000, burst: 5000 } },
    ['cpu', 'cpu.cfs_burst_us', '5000'],
    ['cpu', 'cpu.max.burst', '5000'],
  ],
  ['cpu.idle', { cpu: { idle: 1 } }, ...same('cpu', 'cpu.idle', '1')],
  ['cpu.cpus', { cpu: { cpus: '0' } }, ...same('cpuset', 'cpuset.cpus', '0')],
  ['cpu.mems', { cpu: { mems: '0' } }, ...same('cpuset', 'cpuset.mems', '0')],
  ['cpu.realtimePeriod', { cpu: { realtimePeriod: 500_000 } }, ['cpu', 'cpu.rt_period_us', '500000'], 'refused'],
  ['cpu.realtimeRuntime', { cpu: { realtimeRuntime: 1000 } }, ['cpu', 'cpu.rt_runtime_us', '1000'], 'refused'],
  ['pids.limit', { pids: { limit: 23 } }, ...same('pids', 'pids.max', '23')],
  ['pids.limit, one', { pids: { limit: 1 } }, ...same('pids', 'pids.max', '1')],
  ['pids.limit, 0 is one', { pids: { limit: 0 } }, ...same('pids', 'pids.max', '1')],
  ['pids.limit, none', { pids: { limit: -1 } }, ...same('pids', 'pids.max', 'max')],
  [
    'blockIO.weight',
    { blockIO: { weight: 300 } },
    ['blkio', 'blkio.bfq.weight', '300'],
    hasBfq ? ['io', 'io.bfq.weight', 'default 300'] : ['io', 'io.weight', 'default 2930'],
  ],
  ['blockIO.leafWeight', { blockIO: { leafWeight: 300 } }, ['blkio', 'blkio.leaf_weight', '300'], 'refused'],
  [
    'blockIO.weightDevice',
    { blockIO: { weightDevice: [{ ...disk, weight: 300 }] } },
    ['blkio', 'blkio.bfq.weight_device', /^7:0 300$/m],
    hasBfq ? ['io', 'io.bfq.weight', /^7:0 300$/m] : ['io', 'io.weight', /^7:0 2930$/m],
  ],
  ...(
    [
      ['throttleReadBpsDevice', 'read_bps_device', 'rbps'],
      ['throttleWriteBpsDevice', 'write_bps_device', 'wbps'],
      ['throttleReadIOPSDevice', 'read_iops_device', 'riops'],
      ['throttleWriteIOPSDevice', 'write_iops_device', 'wiops'],
    ] as const
  ).map(
    ([field, v1, v2]): Row => [
      `blockIO.${field}`,
      { blockIO: { [field]: [{ ...disk, rate: 4096 }] } },
      ['blkio', `blkio.throttle.${v1}`, '7:0 4096'],
      ['io', 'io.max', new RegExp(`^7:0 .*${v2}=4096`)],
    ],
  ),
  [
    'hugepageLimits',
    { hugepageLimits: [{ pageSize: '2MB', limit: 4 * MiB }] },
    ['unified', 'hugetlb.2MB.max', '4194304'],
    ['hugetlb', 'hugetlb.2MB.max', '4194304'],
  ],
  [
    'hugepageLimits, what is reserved',
    { hugepageLimits: [{ pageSize: '2MB', limit: 4 * MiB }] },
    ['unified', 'hugetlb.2MB.rsvd.max', '4194304'],
    ['hugetlb', 'hugetlb.2MB.rsvd.max', '4194304'],
  ],
  ['network.classID', { network: { classID: 0x10001 } }, ['net_cls', 'net_cls.classid', '65537'], 'refused'],
  [
    'network.priorities',
    { network: { priorities: [{ name: 'lo', priority: 3 }] } },
    ['net_prio', 'net_prio.ifpriomap', /^lo 3$/m],
    'refused',
  ],
  [
    'rdma',
    { rdma: { none0: { hcaHandles: 3, hcaObjects: 4 } } },
    ['rdma', 'rdma.max', /^none0 /],
    ['rdma', 'rdma.max', /^none0 /],
  ],
  [
    'unified',
    { unified: { 'hugetlb.2MB.max': '2097152' } },
    ['unified', 'hugetlb.2MB.max', '2097152'],
    ['hugetlb', 'hugetlb.2MB.max', '2097152'],
  ],
  [
    'unified, of a controller',
    { unified: { 'memory.high': '33554432' } },
    'refused',
    ['memory', 'memory.high', '33554432'],
  ],
]

describe.skipIf(process.getuid?.() !== 0)(`linux.resources on cgroup ${isV2 ? 'v2' : 'v1'} (needs root)`, () => {
  let on: Fixture
  beforeAll(async () => {
    on = await aFixture('fields')
  })
  afterAll(async () => {
    await on[Symbol.asyncDispose]()
    expect(traces(on.mark)).toEqual([])
    expect(traces(`test-fields-${process.pid}`)).toEqual([])
  })

  it.each(rows)('%s', async (field, resources, v1, v2) => {
    const wanted = isV2 ? v2 : v1
    const spec = on.spec(['true'], (made) => {
      made.linux.resources = resources
    })
    const fileAt = ([controller, name]: Seen, group: string) =>
      join('/sys/fs/cgroup', isV2 ? '' : controller, group, name)
    const refusal = await on.runtime
      .create({ id: 'f', spec })
      .then(() => on.runtime.start('f'))
      .then(() => undefined, messageOf)
    try {
      const [name = ''] = field.split(/[ ,]/)
      const isWarned = on.warnings.splice(0).some((warning) => warning.includes(`${name} is not enforced`))
      if (isWarned) {
        if (wanted !== 'warned') expect(lackOf(wanted as Seen)).not.toBe('')
        expect(refusal).toBeUndefined()
        return
      }
      expect(wanted).not.toBe('warned')
      if (typeof wanted !== 'string' && refusal === undefined) {
        const text = readFileSync(fileAt(wanted, spec.linux?.cgroupsPath ?? ''), 'utf8').trim()
        if (typeof wanted[2] === 'string') expect(text).toBe(wanted[2])
        else expect(text).toMatch(wanted[2])
        return
      }
      // By the field, or by the file that the kernel does not take it in.
      const words = [name, name.split('.')[0] ?? '', ...(typeof wanted === 'string' ? [] : [wanted[1]])]
      expect(words.some((word) => refusal?.includes(word))).toBe(true)
      if (typeof wanted !== 'string') expect(lackOf(wanted)).not.toBe('')
      expect(existsSync(join(on.root, 'f'))).toBe(false)
    } finally {
      await on.runtime.delete('f', { force: true })
    }
  })

  /** Why a row may be refused on this machine, though its version of cgroups has the field. */
  function lackOf([controller, file]: Seen): string {
    const isMounted = isV2
      ? readFileSync('/sys/fs/cgroup/cgroup.controllers', 'utf8').split(/\s/).includes(controller)
      : existsSync(`/sys/fs/cgroup/${controller}`)
    if (!isMounted) return 'no such controller'
    if (/rt_runtime/.test(file)) return 'the groups above give none'
    if (/kmem\.limit/.test(file)) return 'since Linux 6.1 it has no effect'
    if (/rdma|weight_device/.test(file)) return 'no such device'
    if (/weight/.test(file)) return 'a scheduler of block devices that is not compiled in'
    return ''
  }
})
