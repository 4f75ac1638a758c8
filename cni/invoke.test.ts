import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { silentLog } from '../runtime/base/log.ts'
import { openNetwork } from './index.ts'
import type { Plugin, PluginCall } from './plugin.ts'
import type { CniResult } from './result.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'coracle-cni-invoke-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

const attachment = { containerId: 'c1', netns: '/proc/7/ns/net', ifname: 'eth0' }
const addressOf = (type: string): CniResult => ({ ips: [{ address: type === 'one' ? '10.0.0.1/24' : '10.0.0.2/24' }] })

/** Plugins that write down how they are called; `failing` fails on ADD. */
function aNetwork(types: string[], o: { failing?: string; cniVersion?: string } = {}) {
  const calls: { verb: string; type: string; call: PluginCall }[] = []
  const note = (verb: string, type: string) => async (call: PluginCall) => {
    calls.push({ verb, type, call })
  }
  const aPlugin = (type: string): Plugin => ({
    async add(call) {
      calls.push({ verb: 'ADD', type, call })
      if (type === o.failing) throw new Error(`${type} does not want to`)
      return addressOf(type)
    },
    del: note('DEL', type),
    check: note('CHECK', type),
    gc: note('GC', type),
    status: note('STATUS', type),
  })
  const plugins = types.map((type) => ({ type, capabilities: { portMappings: type === 'two' } }))
  const open = () =>
    openNetwork({
      conflist: { cniVersion: o.cniVersion ?? '1.1.0', name: 'net', plugins },
      stateDir: folder,
      pluginDirs: [folder],
      log: silentLog,
      builtins: new Map(types.filter((type) => type !== 'program').map((type) => [type, aPlugin(type)])),
    })
  return { open, calls, order: () => calls.map(({ verb, type }) => `${verb} ${type}`) }
}

describe('add', () => {
  it('runs in order and hands on each result; the last one is the answer and is kept', async () => {
    const { open, calls, order } = aNetwork(['one', 'two'])
    expect(await (await open()).add(attachment)).toEqual(addressOf('two'))
    expect(order()).toEqual(['ADD one', 'ADD two'])
    expect(calls.map(({ call }) => call.config.prevResult)).toEqual([undefined, addressOf('one')])
    const [file = ''] = readdirSync(join(folder, 'results'))
    expect(file).toBe('net-c1-eth0')
    expect(JSON.parse(readFileSync(join(folder, 'results', file), 'utf8'))).toMatchObject({
      kind: 'cniCacheV1',
      containerId: 'c1',
      ifName: 'eth0',
      networkName: 'net',
      result: { cniVersion: '1.1.0', ips: [{ address: '10.0.0.2/24' }] },
    })
  })

  it('a failure: deletes the whole chain and tells the first error', async () => {
    const { open, order } = aNetwork(['one', 'two', 'three'], { failing: 'two' })
    await expect((await open()).add(attachment)).rejects.toThrow('two does not want to')
    expect(order()).toEqual(['ADD one', 'ADD two', 'DEL three', 'DEL two', 'DEL one'])
    expect(readdirSync(join(folder, 'results'))).toEqual([])
  })

  it('capabilities: go to the plugins that declare them, at DEL too', async () => {
    const { open, calls } = aNetwork(['one', 'two'])
    const network = await open()
    await network.add({ ...attachment, capabilities: { portMappings: [{ hostPort: 80 }] } })
    await network.del(attachment)
    const asked = calls.map(({ verb, type, call }) => [verb, type, call.config.runtimeConfig])
    const ports = { portMappings: [{ hostPort: 80 }] }
    expect(asked).toEqual([
      ['ADD', 'one', undefined],
      ['ADD', 'two', ports],
      ['DEL', 'two', ports],
      ['DEL', 'one', undefined],
    ])
    expect(calls[0]?.call.config.capabilities).toBeUndefined()
  })
})

describe('del', () => {
  it('runs in reverse with the result of ADD, after a restart too', async () => {
    const { open, calls } = aNetwork(['one', 'two'])
    await (await open()).add(attachment)
    await (await open()).del({ ...attachment, netns: '' })
    expect(calls.slice(2).map(({ verb, type, call }) => [verb, type, call.config.prevResult])).toEqual([
      ['DEL', 'two', addressOf('two')],
      ['DEL', 'one', addressOf('two')],
    ])
  })

  it('goes on without a result that a power failure cut short', async () => {
    const { open, order } = aNetwork(['one'])
    const network = await open()
    writeFileSync(join(folder, 'results', 'net-c1-eth0'), '{"kind":')
    await network.del(attachment)
    expect(order()).toEqual(['DEL one'])
    expect(readdirSync(join(folder, 'results'))).toEqual([])
  })
})

describe('check', () => {
  it('runs in order with the result of ADD; what was never added fails', async () => {
    const { open, calls } = aNetwork(['one', 'two'])
    const network = await open()
    await expect(network.check(attachment)).rejects.toMatchObject({ code: 'CNI_CHECK_FAILED' })
    await network.add(attachment)
    await network.check(attachment)
    expect(calls.slice(2).map(({ type, call }) => [type, call.config.prevResult])).toEqual([
      ['one', addressOf('two')],
      ['two', addressOf('two')],
    ])
  })
})

describe('gc', () => {
  it('deletes what is kept and not valid, then asks every plugin', async () => {
    const { open, calls, order } = aNetwork(['one'])
    const network = await open()
    await network.add(attachment)
    await network.add({ ...attachment, containerId: 'c2' })
    await network.gc([{ containerId: 'c2', ifname: 'eth0' }])
    expect(order().slice(2)).toEqual(['DEL one', 'GC one'])
    expect(calls.at(-2)?.call.containerId).toBe('c1')
    expect(calls.at(-1)?.call.config['cni.dev/valid-attachments']).toEqual([{ containerID: 'c2', ifname: 'eth0' }])
  })

  it('before 1.1.0: the plugins know no such verb', async () => {
    const { open, order } = aNetwork(['one'], { cniVersion: '1.0.0' })
    await (await open()).gc([])
    expect(order()).toEqual([])
  })
})

describe('programs', () => {
  const aProgram = (script: string, versions = '["1.0.0","1.1.0"]') => {
    const answer = `[ $CNI_COMMAND = VERSION ] && echo '{"cniVersion":"1.1.0","supportedVersions":${versions}}' && exit 0`
    writeFileSync(join(folder, 'program'), `#!/bin/sh\n${answer}\n${script}\n`, { mode: 0o755 })
  }

  it('get environment and configuration as CNI says, and answer on standard output', async () => {
    aProgram(
      `env | grep ^CNI_ | sort > ${folder}/env; cat > ${folder}/stdin; echo '{"cniVersion":"1.1.0","ips":[{"address":"10.0.0.9/24"}]}'`,
    )
    const network = await aNetwork(['one', 'program']).open()
    expect((await network.add({ ...attachment, args: { K8S_POD_NAME: 'web' } })).ips).toEqual([
      { address: '10.0.0.9/24' },
    ])
    expect(readFileSync(join(folder, 'env'), 'utf8').trim().split('\n')).toEqual([
      'CNI_ARGS=K8S_POD_NAME=web',
      'CNI_COMMAND=ADD',
      'CNI_CONTAINERID=c1',
      'CNI_IFNAME=eth0',
      'CNI_NETNS=/proc/7/ns/net',
      `CNI_PATH=${folder}`,
    ])
    expect(JSON.parse(readFileSync(join(folder, 'stdin'), 'utf8'))).toEqual({
      type: 'program',
      name: 'net',
      cniVersion: '1.1.0',
      prevResult: { cniVersion: '1.1.0', ips: [{ address: '10.0.0.1/24' }], dns: {} },
    })
  })

  it('an error: keeps its code and words', async () => {
    aProgram(`echo '{"cniVersion":"1.1.0","code":11,"msg":"later","details":"busy"}'; exit 1`)
    const network = await aNetwork(['program']).open()
    await expect(network.add(attachment)).rejects.toMatchObject({
      code: 'CNI_TRY_AGAIN',
      message: 'run CNI plugin program: later (busy)',
      retryable: true,
    })
  })

  it('a crash: tells what it wrote', async () => {
    aProgram('echo oh dear >&2; exit 7')
    const network = await aNetwork(['program']).open()
    await expect(network.add(attachment)).rejects.toThrow(/exit 7: oh dear/)
  })

  it('another version of CNI: is known when the network is opened', async () => {
    aProgram('', '["0.4.0","1.0.0"]')
    await expect(aNetwork(['program']).open()).rejects.toMatchObject({
      code: 'CNI_INCOMPATIBLE_VERSION',
      hint: expect.stringContaining('0.4.0, 1.0.0'),
    })
    await aNetwork(['program'], { cniVersion: '1.0.0' }).open()
  })

  it('no such program: is known when the network is opened', async () => {
    await expect(aNetwork(['program']).open()).rejects.toMatchObject({ code: 'CNI_PLUGIN_MISSING' })
  })
})
