import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Etcd, hasEtcd } from '../fixtures/etcd.ts'
import { ClusterNetwork } from './store/network.ts'

const isRoot = process.getuid?.() === 0

describe.skipIf(!hasEtcd || !isRoot)('three members of etcd in a network that breaks', () => {
  let network: ClusterNetwork
  let etcd: Etcd
  beforeAll(async () => {
    network = new ClusterNetwork(3)
    etcd = await Etcd.start({ hosts: network.hosts })
  })
  afterAll(async () => {
    await etcd?.[Symbol.asyncDispose]()
    network?.[Symbol.dispose]()
  })

  /** Runs `breakIt` while 16 writers write and another store watches. */
  const during = async (breakIt: () => Promise<void>) => {
    const program = join(import.meta.dirname, 'store/partition.ts')
    const [command = '', ...args] = [...network.enter(), process.execPath, program, ...etcd.endpoints]
    const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] })
    let output = ''
    child.stdout.on('data', (bytes) => {
      output += bytes
    })
    while (!output.includes('ready')) await sleep(20)
    await sleep(1000)
    await breakIt()
    await sleep(1000)
    child.stdin.end()
    await once(child, 'exit')
    return JSON.parse(output.replace('ready', '')) as {
      faults: string[]
      writes: number
      longestPause: number
      check: string[]
    }
  }
  const expectSound = async (breakIt: () => Promise<void>) => {
    const { faults, writes, longestPause, check } = await during(breakIt)
    expect({ faults, check }).toEqual({ faults: [], check: [] })
    expect(writes).toBeGreaterThan(50)
    expect(longestPause).toBeLessThan(15_000)
  }

  it('the leader is cut off from the others, and its clients still reach it', async () => {
    await expectSound(async () => {
      const leader = await etcd.leader()
      network.set(leader, 2, 'down')
      await sleep(8000)
      network.set(leader, 2, 'up')
      await sleep(3000)
    })
  })

  it('each member in turn is cut off from everybody', { timeout: 90_000 }, async () => {
    await expectSound(async () => {
      for (const at of [0, 1, 2]) {
        for (const way of [1, 2] as const) network.set(at, way, 'down')
        await sleep(8000)
        for (const way of [1, 2] as const) network.set(at, way, 'up')
        await sleep(2000)
      }
    })
  })

  it('no member reaches another for a while', async () => {
    await expectSound(async () => {
      for (const at of [0, 1, 2]) network.set(at, 2, 'down')
      await sleep(4000)
      for (const at of [0, 1, 2]) network.set(at, 2, 'up')
      await sleep(5000)
    })
  })
})
