/** Nothing is lost: kill -9 of server and agent, while pods run and while they are being made. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Pod } from '../../orchestrator/api/types.ts'
import { Cluster, containerRecords, eventually, preferredKubectl, sleep } from './cluster.ts'

const counter = `
apiVersion: v1
kind: Pod
metadata: { name: counter }
spec:
  terminationGracePeriodSeconds: 1
  containers:
    - name: main
      image: coracle.local/busybox:1
      command: [sh, -c, 'i=0; while :; do i=$((i+1)); echo tick $i; sleep 0.1; done']
`

describe.skipIf(preferredKubectl() === undefined)('survival', () => {
  let cluster: Cluster
  beforeAll(async () => {
    cluster = await Cluster.start()
  })
  afterAll(async () => {
    await cluster?.[Symbol.asyncDispose]()
  })
  const get = (name: string) => cluster.json<Pod>(['get', 'pod', name])
  const pidOf = (pod: Pod) => {
    const id = pod.status?.containerStatuses?.[0]?.containerID?.replace('coracle://', '') ?? ''
    const record = readFileSync(join(cluster.dataDir, 'runtime', id, 'state.json'), 'utf8')
    return (JSON.parse(record) as { pid: number }).pid
  }
  const ticks = async () => {
    const lines = (await cluster.ok(['logs', 'counter'])).trim().split('\n')
    return lines.map((line) => Number(line.replace('tick ', '')))
  }

  it('kill -9 while a pod runs: the same process, its log without a gap, no restart', async () => {
    await cluster.apply(counter)
    await eventually('Running', async () => (await get('counter')).status?.phase === 'Running')
    const before = await get('counter')
    const pid = pidOf(before)
    await cluster.stop('SIGKILL')
    await sleep(1500)
    expect(readFileSync(`/proc/${pid}/cmdline`, 'utf8')).toContain('tick')
    await cluster.up()
    const after = await eventually('Running again', async () => {
      const pod = await get('counter')
      return pod.status?.containerStatuses?.[0]?.state?.running ? pod : undefined
    })
    expect(pidOf(after)).toBe(pid)
    expect(after.metadata?.uid).toBe(before.metadata?.uid)
    expect(after.status?.containerStatuses?.[0]?.restartCount).toBe(0)
    expect(after.status?.containerStatuses?.[0]?.containerID).toBe(before.status?.containerStatuses?.[0]?.containerID)
    expect(after.status?.podIP).toBe(before.status?.podIP)
    const seen = await ticks()
    expect(seen).toEqual(seen.map((_tick, index) => index + 1))
    expect(seen.length).toBeGreaterThan(20)
  })

  it('Ctrl-C: the pods go on running, the next up takes them over and can stop them', async () => {
    const pid = pidOf(await get('counter'))
    await cluster.stop('SIGINT')
    expect(readFileSync(`/proc/${pid}/cmdline`, 'utf8')).toContain('tick')
    await cluster.up()
    expect(pidOf(await get('counter'))).toBe(pid)
    await cluster.ok(['delete', 'pod', 'counter'])
    expect(() => readFileSync(`/proc/${pid}/cmdline`)).toThrow()
  })

  it.each([150, 400, 900])('kill -9 %i ms into creating 20 pods: all 20 run, none twice', async (milliseconds) => {
    const names = Array.from({ length: 20 }, (_each, index) => `many-${milliseconds}-${index}`)
    const manifest = names.map((name) => counter.replace('name: counter', `name: ${name}`)).join('---')
    const applied = cluster.kubectl(['apply', '-f', '-'], { input: manifest })
    await eventually('the first pod', async () => (await cluster.kubectl(['get', 'pods'])).stdout.includes('many'))
    await sleep(milliseconds)
    await cluster.stop('SIGKILL')
    await applied
    await cluster.up()
    await cluster.apply(manifest)
    const pods = await eventually(
      '20 pods Running',
      async () => {
        const { items } = await cluster.json<{ items: Pod[] }>(['get', 'pods'])
        return items.filter((pod) => pod.status?.phase === 'Running').length === 20 ? items : undefined
      },
      { timeoutMs: 60_000, describe: () => cluster.ok(['get', 'pods']) },
    )
    expect(new Set(pods.map((pod) => pod.status?.podIP)).size).toBe(20)
    expect(pods.map((pod) => pod.status?.containerStatuses?.[0]?.restartCount)).toEqual(pods.map(() => 0))
    // One sandbox and one container a pod, and nothing else.
    const records = containerRecords(cluster)
    expect(records.length).toBe(40)
    await cluster.ok(['delete', 'pods', '--all', '--now'], { timeoutMs: 90_000 })
    await eventually('an empty node', async () => {
      const left = containerRecords(cluster)
      return left.length === 0
    })
  })
})
