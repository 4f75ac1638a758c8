import { existsSync, readFileSync, statSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { inspectGroup } from '../../runtime/cgroups/inspect.ts'
import type { OciSpec, RuntimeEvent } from '../../runtime/index.ts'
import type { OciDeviceRule } from '../../runtime/spec/types.ts'
import { aFixture, type Fixture, finish, traces } from './runtime-fixture.ts'

const isV2 = existsSync('/sys/fs/cgroup/cgroup.controllers')
const isRoot = process.getuid?.() === 0

describe.skipIf(!isRoot)('cgroups (needs root)', () => {
  let on: Fixture
  beforeAll(async () => {
    on = await aFixture('cg')
  })
  afterAll(async () => {
    await on[Symbol.asyncDispose]()
    expect(traces(`test-cg-${process.pid}`)).toEqual([])
    expect(traces(on.mark)).toEqual([])
  })

  /** May make nodes, in a /tmp on which nodes work. */
  const withDevices = (devices: OciDeviceRule[]) => (spec: Required<OciSpec>) => {
    const all = ['CAP_MKNOD', 'CAP_SYSLOG']
    Object.assign(spec.process, { capabilities: { bounding: all, permitted: all, effective: all } })
    spec.mounts.push({ destination: '/tmp', type: 'tmpfs', source: 'tmpfs', options: ['mode=1777'] })
    spec.linux.resources = { devices }
  }
  const kmsg = { type: 'c', major: 1, minor: 11 }
  const make = 'busybox mknod /tmp/kmsg c 1 11'
  const read = '(dd if=/tmp/kmsg of=/dev/null count=0 2>/dev/null && echo read || echo no read)'
  const write = '(: > /tmp/kmsg) 2>/dev/null && echo write || echo no write'

  it('devices: a denied one can be made and not opened; the default ones work', async () => {
    const check = `${make} && ${read}; ${write}; echo x > /dev/null && head -c 1 /dev/zero | wc -c`
    const { output } = await on.run(['sh', '-c', check], withDevices([{ allow: false, access: 'rwm' }]))
    expect(output.split('\n')).toEqual(['no read', 'no write', '1'])
  })

  it('devices: allowed for reading alone', async () => {
    const rules = [
      { allow: false, access: 'rwm' },
      { allow: true, ...kmsg, access: 'r' },
    ]
    const { output } = await on.run(['sh', '-c', `${make}; ${read}; ${write}`], withDevices(rules))
    expect(output.split('\n')).toEqual(['read', 'no write'])
  })

  it('devices: without a rule for all, only what is denied is denied, making too', async () => {
    const check = `${make} 2>&1; busybox mknod /tmp/other c 1 5 && head -c 1 /tmp/other | wc -c`
    const { output } = await on.run(['sh', '-c', check], withDevices([{ allow: false, ...kmsg, access: 'm' }]))
    expect(output.split('\n')).toEqual(['mknod: /tmp/kmsg: Operation not permitted', '1'])
  })

  it('devices: changed while it runs, and back', async () => {
    const denied = [{ allow: false, access: 'rwm' }]
    const id = 'devices'
    await on.runtime.create({ id, spec: on.spec(['sh', '-c', `${make}; sleep 60`], withDevices(denied)) })
    await on.runtime.start(id)
    const tried = async () =>
      (await finish(await on.runtime.exec(id, { args: ['sh', '-c', `test -e /tmp/kmsg || sleep 1; ${read}`] }))).stdout
    expect(await tried()).toBe('no read\n')
    await on.runtime.update(id, { devices: [...denied, { allow: true, ...kmsg, access: 'rw' }] })
    expect(await tried()).toBe('read\n')
    await on.runtime.update(id, { devices: denied })
    expect(await tried()).toBe('no read\n')
    await on.runtime.update(id, { pids: { limit: 50 } })
    expect(await tried()).toBe('no read\n')
    await on.runtime.delete(id, { force: true })
  })

  /** A child of the container's shell that takes memory until it is killed; the shell lives on. */
  const hungry = 'busybox tail -c 64m /dev/zero'

  it('oom: told as it happens, with victim, limit and peak, while the container lives on', async () => {
    const stop = new AbortController()
    const events: RuntimeEvent[] = []
    const reading = (async () => {
      for await (const event of on.runtime.events(stop.signal)) events.push(event)
    })()
    const limit = 16 * 1024 * 1024
    const spec = on.spec(['sh', '-c', `${hungry}; sleep 60`], (made) => {
      made.linux.resources = { memory: { limit, swap: limit } }
    })
    await on.runtime.create({ id: 'oom', spec })
    await on.runtime.start('oom')
    const oom = await until(() => events.find((event) => event.type === 'oom'))
    expect((await on.runtime.state('oom')).status).toBe('running')
    expect(oom).toMatchObject({ id: 'oom', kills: 1, limitBytes: limit, limitedBy: spec.linux?.cgroupsPath })
    if (oom.peakBytes !== undefined) expect(oom.peakBytes).toBeGreaterThan(limit / 2)
    if (existsSync('/dev/kmsg')) expect(oom.victim?.name).toMatch(/busybox|tail/)
    await on.runtime.delete('oom', { force: true })
    await until(() => events.find((event) => event.type === 'exited'))
    expect(events.filter(({ type }) => type === 'oom')).toHaveLength(1)
    stop.abort()
    await reading
  })

  it('oom: the first process itself is the victim', async () => {
    const limit = 8 * 1024 * 1024
    await on.runtime.create({
      id: 'victim',
      spec: on.spec(hungry.split(' '), (made) => {
        made.linux.resources = { memory: { limit, swap: limit } }
      }),
    })
    await on.runtime.start('victim')
    expect(await on.runtime.wait('victim')).toMatchObject({ exitCode: 137, signal: 9, oomKilled: true })
    await on.runtime.delete('victim')
  })

  it('memory: a container lives with 512 KiB', async () => {
    const { exitCode, output } = await on.run(['busybox', 'echo', 'small'], (made) => {
      made.linux.resources = { memory: { limit: 512 * 1024 } }
    })
    expect({ exitCode, output }).toEqual({ exitCode: 0, output: 'small' })
  })

  it('limits: set, changed while it runs, and refused without harm', async () => {
    const id = 'limits'
    const spec = on.spec(['sleep', '60'], (made) => {
      made.linux.resources = { cpu: { shares: 512, quota: 50000, period: 100000, burst: 10000 }, pids: { limit: 20 } }
    })
    const path = spec.linux?.cgroupsPath ?? ''
    const value = (controller: string, v1: string, v2: string) =>
      readFileSync(isV2 ? `/sys/fs/cgroup/${path}/${v2}` : `/sys/fs/cgroup/${controller}/${path}/${v1}`, 'utf8').trim()
    await on.runtime.create({ id, spec })
    await on.runtime.start(id)
    expect(value('cpu', 'cpu.cfs_burst_us', 'cpu.max.burst')).toBe('10000')
    // Both below what they were: in the other order the kernel would refuse the quota.
    await on.runtime.update(id, { cpu: { quota: 5000, burst: 1000 } })
    expect(value('cpu', 'cpu.cfs_quota_us', 'cpu.max').split(' ')[0]).toBe('5000')
    await on.runtime.update(id, { cpu: { idle: 1 } })
    expect(value('cpu', 'cpu.idle', 'cpu.idle')).toBe('1')
    await on.runtime.update(id, { cpu: { idle: 0, shares: 2048, cpus: '0' } })
    expect(value('cpuset', 'cpuset.cpus', 'cpuset.cpus')).toBe('0')
    const { stdout } = await finish(
      await on.runtime.exec(id, { args: ['grep', 'Cpus_allowed_list', '/proc/1/status'] }),
    )
    expect(stdout).toMatch(/\t0$/m)
    const refused = on.runtime.update(id, { memory: { limit: 4096, checkBeforeUpdate: true } })
    await expect(refused).rejects.toMatchObject({ code: 'CGROUP_FAILED' })
    const noDevice = on.runtime.update(id, { blockIO: { throttleReadBpsDevice: [{ major: 4000, minor: 1, rate: 1 }] } })
    await expect(noDevice).rejects.toMatchObject({ code: 'CGROUP_FAILED' })
    await expect(on.runtime.update(id, { hugepageLimits: [{ pageSize: '3MB', limit: 0 }] })).rejects.toThrow('3MB')
    expect((await on.runtime.state(id)).status).toBe('running')
    await on.runtime.delete(id, { force: true })
  })

  it('huge pages and block devices: their groups are made, and joined by what runs already', async () => {
    const disk = diskOf('/')
    const id = 'more'
    const spec = on.spec(['sleep', '60'])
    await on.runtime.create({ id, spec })
    const { pid } = await on.runtime.start(id)
    await on.runtime.update(id, { hugepageLimits: [{ pageSize: '2MB', limit: 4194304 }] })
    if (disk) await on.runtime.update(id, { blockIO: { throttleWriteBpsDevice: [{ ...disk, rate: 1048576 }] } })
    const path = spec.linux?.cgroupsPath ?? ''
    const groups = readFileSync(`/proc/${pid}/cgroup`, 'utf8').split('\n')
    const folder = isV2 ? '/sys/fs/cgroup' : '/sys/fs/cgroup/unified'
    if (isV2 || !existsSync('/sys/fs/cgroup/hugetlb')) {
      expect(readFileSync(`${folder}/${path}/hugetlb.2MB.max`, 'utf8').trim()).toBe('4194304')
      expect(groups).toContain(`0::/${path}`)
    }
    if (disk) {
      const file = isV2 ? `${folder}/${path}/io.max` : `/sys/fs/cgroup/blkio/${path}/blkio.throttle.write_bps_device`
      expect(readFileSync(file, 'utf8')).toMatch(new RegExp(`^${disk.major}:${disk.minor} .*1048576`))
    }
    await on.runtime.delete(id, { force: true })
  })

  it.each([
    ['', {}],
    [', in a user namespace', { type: 'user' as const }],
  ])('a limit of huge pages: the process and those of exec are in that group from the beginning%s', async (_, user) => {
    const id = 'huge'
    const spec = on.spec(['sleep', '60'], ({ linux }) => {
      linux.resources = { hugepageLimits: [{ pageSize: '2MB', limit: 4194304 }] }
      // In a namespace of its own it would see itself at the root.
      const others = linux.namespaces?.filter(({ type }) => type !== 'cgroup') ?? []
      linux.namespaces = 'type' in user ? [...others, user] : others
      if (!('type' in user)) return
      const ids = [{ containerID: 0, hostID: 100_000, size: 65_536 }]
      Object.assign(linux, { uidMappings: ids, gidMappings: ids })
    })
    const path = spec.linux?.cgroupsPath ?? ''
    const folder = isV2 ? '/sys/fs/cgroup' : '/sys/fs/cgroup/unified'
    await on.runtime.create({ id, spec })
    const { pid } = await on.runtime.start(id)
    const running = await on.runtime.exec(id, { args: ['cat', '/proc/self/cgroup'] })
    const groups = (await finish(running)).stdout.trim().split('\n')
    if (existsSync(`${folder}/${path}`)) expect(groups).toContain(`0::/${path}`)
    expect(readFileSync(`/proc/${pid}/cgroup`, 'utf8').split('\n')).toEqual(expect.arrayContaining(groups))
    expect(groups.some((line) => line.endsWith(`:/${path}`))).toBe(true)
    await on.runtime.delete(id, { force: true })
  })

  it('inspectGroup: limits, use and processes of a tree, the same on v1 and v2', async () => {
    const spec = on.spec(['sleep', '60'], (made) => {
      made.linux.resources = {
        memory: { limit: 64 * 1024 * 1024 },
        cpu: { quota: 50000, period: 100000, shares: 512, cpus: '0' },
        pids: { limit: 20 },
      }
    })
    const path = spec.linux?.cgroupsPath ?? ''
    await on.runtime.create({ id: 'looked', spec })
    const { pid } = await on.runtime.start('looked')
    const tree = inspectGroup(path.slice(0, path.lastIndexOf('/')))
    const group = tree?.groups.find((child) => child.path === path)
    expect(group?.limits).toMatchObject({ memoryBytes: 64 * 1024 * 1024, cpus: 0.5, cpuset: '0', pids: 20 })
    expect(group?.limits.cpuWeight).toBeGreaterThan(40)
    expect(group?.limits.cpuWeight).toBeLessThan(70)
    expect(group?.processes).toEqual([{ pid, command: 'sleep 60' }])
    expect(group?.usage.pids).toBe(1)
    expect(group?.usage.memoryUsageBytes).toBeGreaterThan(0)
    if (isV2 && existsSync(`/sys/fs/cgroup/${path}/cpu.pressure`))
      expect(group?.pressure?.cpu.some).toBeGreaterThanOrEqual(0)
    await on.runtime.delete('looked', { force: true })
    expect(inspectGroup(path)).toBeUndefined()
  })
})

async function until<T>(look: () => T | undefined): Promise<T> {
  for (let tries = 0; tries < 500; tries++) {
    const found = look()
    if (found !== undefined) return found
    await sleep(20)
  }
  throw new Error('it did not happen within ten seconds')
}

/** The disk that a folder is on, as a whole: throttles take no partition. */
function diskOf(path: string): { major: number; minor: number } | undefined {
  const number = statSync(path).dev
  const [major, minor] = [(number >> 8) & 0xfff, number & 0xff]
  const isDisk =
    existsSync(`/sys/dev/block/${major}:${minor}`) && !existsSync(`/sys/dev/block/${major}:${minor}/partition`)
  return isDisk ? { major, minor } : undefined
}
