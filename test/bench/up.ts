/** Time to Ready, to the first pod Running, and what each process costs at rest. */
import { readdirSync, readFileSync } from 'node:fs'
import { Cluster, eventually, sleep } from '../e2e/cluster.ts'
import { type Bench, type BenchRow, rowOf, sampleOf } from './rows.ts'

const rounds = 5
const pod = (name: string) => `
apiVersion: v1
kind: Pod
metadata: { name: ${name} }
spec:
  terminationGracePeriodSeconds: 0
  containers: [{ name: main, image: coracle.local/busybox:1, command: [sleep, '1000'] }]
`

export const bench: Bench = { name: 'up', run }

async function run(): Promise<BenchRow[]> {
  const first: number[] = []
  const again: number[] = []
  const running: number[] = []
  const memory: Record<string, number[]> = {}
  const started = performance.now()
  await using cluster = await Cluster.start()
  first.push(performance.now() - started)
  for (let round = 0; round < rounds; round++) {
    await cluster.stop('SIGINT')
    const begun = performance.now()
    await cluster.up()
    again.push(performance.now() - begun)
    const applied = performance.now()
    await cluster.apply(pod(`bench-${round}`))
    await cluster.ok(['wait', '--for=jsonpath={.status.phase}=Running', `pod/bench-${round}`, '--timeout=30s'])
    running.push(performance.now() - applied)
    await sleep(3000)
    for (const [name, bytes] of Object.entries(residentMemory(cluster))) {
      memory[name] = [...(memory[name] ?? []), bytes / 1e6]
    }
    await cluster.ok(['delete', 'pod', `bench-${round}`, '--now'])
  }
  await eventually('the last pod to go', async () => (await cluster.ok(['get', 'pods', '-o', 'name'])) === '')
  return [
    rowOf({ name: 'first up to Ready (builds the images)', unit: 'ms', ours: sampleOf(first), peers: {} }),
    rowOf({ name: 'up to Ready', unit: 'ms', ours: sampleOf(again), peers: {}, goal: 1500 }),
    rowOf({ name: 'kubectl apply to Running, with kubectl wait', unit: 'ms', ours: sampleOf(running), peers: {} }),
    ...Object.entries(memory).map(([name, values]) =>
      rowOf({
        name: `resident memory: ${name}`,
        unit: 'MB',
        ours: sampleOf(values),
        peers: {},
        ...(name === 'all' ? { goal: 250 } : {}),
      }),
    ),
  ]
}

/** VmRSS in bytes of each of the node's own processes. */
function residentMemory(cluster: Cluster): Record<string, number> {
  const found: Record<string, number> = {}
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    const name = roleOf(pid, cluster)
    if (name) found[name] = (found[name] ?? 0) + residentBytes(pid)
  }
  return { ...found, all: Object.values(found).reduce((sum, bytes) => sum + bytes, 0) }
}

function roleOf(pid: string, cluster: Cluster): string | undefined {
  try {
    const line = readFileSync(`/proc/${pid}/cmdline`, 'utf8')
    if (!line.includes(cluster.dataDir)) return undefined
    return line.includes('launcher') ? 'launcher' : 'server and agent'
  } catch {
    return undefined
  }
}

function residentBytes(pid: string): number {
  const kilobytes = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  return Number(kilobytes ?? 0) * 1024
}
