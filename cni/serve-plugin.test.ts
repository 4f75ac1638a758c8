import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { servePlugin } from './serve-plugin.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'coracle-cni-serve-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

const aConfig = (more: Record<string, unknown> = {}) =>
  JSON.stringify({
    cniVersion: '1.0.0',
    name: 'pods',
    type: 'bridge',
    ipam: { type: 'host-local', subnet: '10.1.0.0/24', dataDir: folder },
    ...more,
  })

/** host-local needs neither root nor a network namespace. */
async function serve(environment: Record<string, string>, input = aConfig(), type = 'host-local') {
  const { stdout, exitCode } = await servePlugin(type, environment, input)
  return { answer: stdout === '' ? undefined : JSON.parse(stdout), exitCode }
}

const add = { CNI_COMMAND: 'ADD', CNI_CONTAINERID: 'c', CNI_NETNS: '/proc/1/ns/net', CNI_IFNAME: 'eth0' }

describe('servePlugin', () => {
  it('VERSION: says what it knows', async () => {
    const { answer, exitCode } = await serve({ CNI_COMMAND: 'VERSION' }, '{"cniVersion":"1.0.0"}')
    expect([answer.cniVersion, exitCode]).toEqual(['1.0.0', 0])
    expect(answer.supportedVersions).toEqual(expect.arrayContaining(['0.4.0', '1.0.0', '1.1.0']))
  })

  it('ADD, CHECK, DEL: the result in the version of the configuration', async () => {
    expect(await serve(add)).toEqual({
      answer: { cniVersion: '1.0.0', ips: [{ address: '10.1.0.2/24', gateway: '10.1.0.1' }], dns: {} },
      exitCode: 0,
    })
    expect(await serve({ ...add, CNI_COMMAND: 'CHECK' })).toEqual({ answer: undefined, exitCode: 0 })
    expect((await serve({ ...add, CNI_CONTAINERID: 'd' }, aConfig({ cniVersion: '0.2.0' }))).answer.ip4.ip).toBe(
      '10.1.0.3/24',
    )
    expect(await serve({ ...add, CNI_COMMAND: 'DEL', CNI_NETNS: '' })).toEqual({ answer: undefined, exitCode: 0 })
    expect((await serve({ ...add, CNI_COMMAND: 'CHECK' })).answer).toMatchObject({ code: 101 })
  })

  it('GC: keeps what is valid', async () => {
    await serve(add)
    await serve({ ...add, CNI_CONTAINERID: 'd' })
    const valid = { cniVersion: '1.1.0', 'cni.dev/valid-attachments': [{ containerID: 'd', ifname: 'eth0' }] }
    await serve({ CNI_COMMAND: 'GC' }, aConfig(valid))
    expect((await serve({ ...add, CNI_COMMAND: 'CHECK' })).exitCode).toBe(1)
    expect((await serve({ ...add, CNI_COMMAND: 'CHECK', CNI_CONTAINERID: 'd' })).exitCode).toBe(0)
  })

  it('CNI_ARGS: reach the plugin', async () => {
    const { answer } = await serve({ ...add, CNI_ARGS: 'IgnoreUnknown=1;IP=10.1.0.77' })
    expect(answer.ips[0].address).toBe('10.1.0.77/24')
  })

  it.each([
    ['no command', {}, undefined, 4],
    ['an unknown command', { CNI_COMMAND: 'DANCE' }, undefined, 4],
    ['no JSON', add, 'nonsense', 6],
    ['a version from the future', add, '{"cniVersion":"9.0.0","name":"x"}', 1],
    ['no container', { ...add, CNI_CONTAINERID: '' }, undefined, 4],
    ['a path for a container', { ...add, CNI_CONTAINERID: '../x' }, undefined, 4],
    ['a path for a network', add, '{"cniVersion":"1.0.0","name":"../x"}', 7],
    ['no namespace', { ...add, CNI_NETNS: '' }, undefined, 4],
    ['bad arguments', { ...add, CNI_ARGS: 'IP' }, undefined, 4],
    [
      'a key that it does not know',
      add,
      '{"cniVersion":"1.0.0","name":"x","ipam":{"type":"host-local","subnets":[]}}',
      2,
    ],
  ])('%s: an error with the code of the specification', async (_, environment, input, code) => {
    const { answer, exitCode } = await serve(environment, input)
    expect([answer.code, exitCode]).toEqual([code, 1])
    expect(answer.msg).not.toBe('')
  })
})
