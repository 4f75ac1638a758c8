/** From POST to Running as a client sees it, and what a hundred pods cost while they do nothing. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Cluster, projectRoot, sleep } from '../e2e/cluster.ts'
import { type Bench, type BenchRow, rowOf, sampleOf } from './rows.ts'

const idleSeconds = 10
const ticksPerSecond = 100

export const bench: Bench = { name: 'pods', run }

async function run(): Promise<BenchRow[]> {
  await using cluster = await Cluster.start()
  const driver = join(projectRoot, 'test/bench/pods-driver.ts')
  const { stdout, stderr } = await cluster.inside(process.execPath, [driver, cluster.kubeconfig], {
    timeoutMs: 240_000,
  })
  if (stdout === '') throw new Error(stderr)
  const { one, many } = JSON.parse(stdout) as { one: number[]; many: number[] }
  await sleep(3000)
  const idle = await idlePercent(readFileSync(join(cluster.dataDir, 'lock'), 'utf8').trim())
  return [
    rowOf({ name: 'POST to Running, one pod', unit: 'ms', ours: sampleOf(one), peers: {}, goal: 60 }),
    rowOf({ name: 'POST to Running, 100 pods', unit: 'ms', ours: sampleOf(many), peers: {}, goal: 5000 }),
    rowOf({
      name: 'CPU of server and agent with 100 idle pods',
      unit: '%',
      ours: sampleOf([idle]),
      peers: {},
      goal: 1,
    }),
  ]
}

/** proc_pid_stat(5): user and system time, in clock ticks. */
function cpuTicks(pid: string): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
  return Number(fields[11]) + Number(fields[12])
}

async function idlePercent(pid: string): Promise<number> {
  const before = cpuTicks(pid)
  await sleep(idleSeconds * 1000)
  return ((cpuTicks(pid) - before) / ticksPerSecond / idleSeconds) * 100
}
