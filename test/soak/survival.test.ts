/** Hours of bad luck in minutes: server, agent and launcher are killed at random moments while pods come and go. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Pod } from '../../orchestrator/api/types.ts'
import { Cluster, containerRecords, eventually, preferredKubectl, sleep } from '../e2e/cluster.ts'

const rounds = 30
const podsEach = 10
const longestWaitMs = 1500

const manifest = (names: readonly string[]) =>
  names
    .map((name) => ({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name },
      spec: {
        terminationGracePeriodSeconds: 0,
        containers: [{ name: 'main', image: 'coracle.local/busybox:1', command: ['sleep', '10000'] }],
      },
    }))
    .map((pod) => JSON.stringify(pod))
    .join('\n')

describe.skipIf(preferredKubectl() === undefined)('survival, for long', () => {
  let cluster: Cluster
  beforeAll(async () => {
    cluster = await Cluster.start()
  })
  afterAll(async () => {
    await cluster?.[Symbol.asyncDispose]()
  })
  const pods = async () => (await cluster.json<{ items: Pod[] }>(['get', 'pods'])).items
  const allRunning = (count: number) =>
    eventually(
      `${count} pods Running`,
      async () => (await pods()).filter((pod) => pod.status?.phase === 'Running').length === count,
      { timeoutMs: 60_000, describe: () => cluster.ok(['describe', 'pods']) },
    )

  it(`${rounds} times kill -9 while ${podsEach} pods are made: all run in the end, and nothing is left`, async () => {
    for (let round = 0; round < rounds; round++) {
      const names = Array.from({ length: podsEach }, (_each, index) => `soak-${round}-${index}`)
      const applied = cluster.kubectl(['apply', '-f', '-'], { input: manifest(names) })
      await sleep(Math.random() * longestWaitMs)
      await cluster.stop('SIGKILL')
      await applied
      await cluster.up()
      await cluster.apply(manifest(names))
      await allRunning(podsEach)
      expect(containerRecords(cluster)).toHaveLength(2 * podsEach)
      await cluster.ok(['delete', 'pods', '--all', '--force', '--grace-period=0'], { timeoutMs: 60_000 })
      await eventually('an empty node', async () => containerRecords(cluster).length === 0)
    }
  })
})
