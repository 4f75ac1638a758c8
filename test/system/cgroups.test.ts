import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { OciSpec } from '../../runtime/index.ts'
import type { OciDeviceRule } from '../../runtime/spec/types.ts'
import { aFixture, type Fixture, finish, traces } from './runtime-fixture.ts'

const isRoot = process.getuid?.() === 0

describe.skipIf(!isRoot)('cgroups (needs root)', () => {
  let on: Fixture
  beforeAll(async () => {
    on = await aFixture('cg')
  })
  afterAll(async () => {
    await on[Symbol.asyncDispose]()
    expect(traces('test-cg-')).toEqual([])
    expect(traces('cg-')).toEqual([])
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
})
