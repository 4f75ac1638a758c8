/*
 * The runtime for long: mutated bundles, execs, and containers whose launcher and whose client are killed at random moments.
 * `CORACLE_SOAK` scales the numbers: 0.1 is a tenth.
 */
import { execFileSync, fork } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { aFixture, type Fixture, finish, traces } from '../system/runtime-fixture.ts'
import { fuzz } from '../system/runtime-fuzz/fuzz.ts'

const scale = Number(process.env.CORACLE_SOAK ?? '1')
const scaled = (count: number) => Math.ceil(count * scale)
const atOnce = 16

interface Sample {
  done: number
  residentKb: number
  descriptors: number
}

function launcherSample(pid: number, done: number): Sample {
  const residentKb = Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1])
  return { done, residentKb, descriptors: readdirSync(`/proc/${pid}/fd`).length }
}

/** Kilobytes for each thousand, by least squares. */
function slope(samples: readonly Sample[]): number {
  const mean = (pick: (sample: Sample) => number) => samples.reduce((sum, one) => sum + pick(one), 0) / samples.length
  const [x, y] = [mean((one) => one.done), mean((one) => one.residentKb)]
  const over = samples.reduce((sum, one) => sum + (one.done - x) * (one.residentKb - y), 0)
  return (over / samples.reduce((sum, one) => sum + (one.done - x) ** 2, 0)) * 1000
}

/** Memory goes up and down as the collector works: what must not grow is its lowest, from the middle third to the last. */
function growthKb(samples: readonly Sample[]): number {
  const third = Math.floor(samples.length / 3)
  const lowest = (part: readonly Sample[]) => Math.min(...part.map((one) => one.residentKb))
  return lowest(samples.slice(2 * third)) - lowest(samples.slice(third, 2 * third))
}
const mostGrowthKb = 6000

const childrenOf = (pid: number) =>
  execFileSync('ps', ['-eo', 'ppid=,stat=,args='], { encoding: 'utf8' })
    .split('\n')
    .filter((line) => Number(line.trim().split(/\s+/)[0]) === pid)

describe.skipIf(process.getuid?.() !== 0)('runtime, for long (needs root)', () => {
  let on: Fixture
  beforeEach(async () => {
    on = await aFixture('soak')
  })
  afterEach(async () => {
    await on[Symbol.asyncDispose]()
    expect(traces(on.mark)).toEqual([])
    expect(traces(`test-soak-${process.pid}`)).toEqual([])
  })

  it('10,000 mutated bundles: each is born whole, or refused in words that say where', async () => {
    const counts = await fuzz(on, { runs: scaled(10_000), playEvery: 5 })
    console.log('mutated bundles', counts)
    expect(counts.born).toBeGreaterThan(0)
  })

  it('10,000 execs: the launcher holds what it held before', async () => {
    await on.runtime.create({ id: 'host', spec: on.spec(['sleep', '100000']) })
    await on.runtime.start('host')
    const samples: Sample[] = []
    for (let done = 0; done < scaled(10_000); done += 8) {
      await Promise.all(
        Array.from({ length: 8 }, async () => finish(await on.runtime.exec('host', { args: ['/bin/true'] }))),
      )
      if (done % 400 === 0) samples.push(launcherSample(on.launcherPid(), done))
    }
    const settled = samples.slice(Math.floor(samples.length / 4))
    console.log('execs', settled.at(0), settled.at(-1), `${slope(settled).toFixed(0)} kB per 1,000`)
    expect(growthKb(samples)).toBeLessThan(mostGrowthKb)
    expect(settled.at(-1)?.descriptors).toBeLessThanOrEqual((settled[0]?.descriptors ?? 0) + 4)
  })

  it('20,000 containers at 16 in parallel while nobody is killed: memory and descriptors stay', async () => {
    const samples: Sample[] = []
    let done = 0
    const life = async (at: number) => {
      for (; done < scaled(20_000); done++) {
        const id = `c${at}-${done}`
        await on.runtime.create({ id, spec: on.spec(['/bin/true']), log: { path: join(on.folder, `log${at}`) } })
        await on.runtime.start(id)
        expect((await on.runtime.wait(id)).exitCode).toBe(0)
        await on.runtime.delete(id)
        if (done % 200 === 0) samples.push(launcherSample(on.launcherPid(), done))
      }
    }
    await Promise.all(Array.from({ length: atOnce }, (_, at) => life(at)))
    await sleep(1000)
    samples.push(launcherSample(on.launcherPid(), done))
    const settled = samples.slice(Math.floor(samples.length / 4))
    console.log('containers', settled.at(0), settled.at(-1), `${slope(settled).toFixed(0)} kB per 1,000`)
    expect(growthKb(samples)).toBeLessThan(mostGrowthKb)
    expect(settled.at(-1)?.descriptors).toBeLessThanOrEqual((settled[0]?.descriptors ?? 0) + 4)
    expect(childrenOf(on.launcherPid())).toEqual([])
  })

  it('20,000 containers while launcher and client are killed at random: nothing is left, every exit is known', async () => {
    const total = scaled(20_000)
    let done = 0
    const kills = { launcher: 0, client: 0 }
    const complaints: string[] = []
    for (let round = 0; done < total; round++) {
      const client = fork(
        join(import.meta.dirname, 'runtime-client.ts'),
        [on.root, on.rootfs, `coracle/test-soak-${process.pid}`, `r${round}`, String(atOnce)],
        { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] },
      )
      client.on('message', (told) => {
        if (typeof told === 'string') complaints.push(told)
        else done += Number(told)
      })
      await sleep(500 + Math.random() * 2500)
      const victim = round % 2 === 0 ? 'launcher' : 'client'
      if (victim === 'launcher') {
        process.kill(on.launcherPid(), 'SIGKILL')
        kills.launcher++
        await sleep(300 + Math.random() * 700)
      }
      kills.client++
      const gone = once(client, 'exit')
      if (client.exitCode === null && client.kill('SIGKILL')) await gone
      await on.reopen()
      for (const { id } of await on.runtime.list()) await on.runtime.delete(id, { force: true })
      for (const name of readdirSync(on.root)) if (name.startsWith('r')) await on.runtime.delete(name, { force: true })
      expect(readdirSync(on.root).filter((name) => name.startsWith('r'))).toEqual([])
      expect(traces(`test-soak-${process.pid}/r`)).toEqual([])
    }
    await sleep(1000)
    const sample = launcherSample(on.launcherPid(), done)
    console.log('killed', kills, sample)
    expect(complaints).toEqual([])
    expect(childrenOf(on.launcherPid())).toEqual([])
    expect(sample.descriptors).toBeLessThan(60)
  })
})
