/** The stores alone: durable writes of 2 kB, the embedded store and etcd in turn on the same disk. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openEmbeddedStore } from '../../orchestrator/store/embedded/embedded-store.ts'
import { openEtcdStore } from '../../orchestrator/store/etcd/etcd-store.ts'
import type { Store } from '../../orchestrator/store/store.ts'
import { systemClock as clock } from '../../runtime/base/clock.ts'
import { Etcd, hasEtcd } from '../fixtures/etcd.ts'
import { type BenchRow, rowOf, sampleOf } from './rows.ts'

const rounds = 7
const secondsEach = 1.5
const writerCounts = [1, 16, 64, 256]
const value = JSON.stringify({ text: 'x'.repeat(2000) })

/** Writes a second, 50th and 99th percentile in ms: of each round one. */
interface Figures {
  rate: number[]
  p50: number[]
  p99: number[]
}

export async function storeRows(): Promise<BenchRow[]> {
  const folder = mkdtempSync(join(process.env.CORACLE_BENCH_DIR ?? tmpdir(), 'coracle-bench-'))
  await using etcd = hasEtcd ? await Etcd.start() : undefined
  const stores: Record<string, Store> = { ours: await openEmbeddedStore(join(folder, 'store.db')) }
  if (etcd) stores.etcd = await openEtcdStore({ endpoints: etcd.endpoints, prefix: '/registry/', clock })
  try {
    const rows: BenchRow[] = []
    for (const writers of writerCounts) rows.push(...rowsOf(writers, await inTurn(stores, writers)))
    return rows
  } finally {
    for (const store of Object.values(stores)) await store.close()
    rmSync(folder, { recursive: true })
  }
}

/** Round by round one after the other, so that what disturbs one disturbs all. */
async function inTurn(stores: Readonly<Record<string, Store>>, writers: number): Promise<Record<string, Figures>> {
  const figures: Record<string, Figures> = {}
  for (const name of Object.keys(stores)) figures[name] = { rate: [], p50: [], p99: [] }
  for (let round = -1; round < rounds; round++) {
    for (const [name, store] of Object.entries(stores)) {
      const spent = await write(store, { writers, prefix: `/registry/bench/${writers}/${round}/` })
      // The first round warms up.
      if (round < 0) continue
      const sorted = spent.milliseconds.sort((left, right) => left - right)
      figures[name]?.rate.push(sorted.length / spent.seconds)
      figures[name]?.p50.push(sorted[Math.floor(sorted.length * 0.5)] ?? 0)
      figures[name]?.p99.push(sorted[Math.floor(sorted.length * 0.99)] ?? 0)
    }
  }
  return figures
}

async function write(
  store: Store,
  { writers, prefix }: { writers: number; prefix: string },
): Promise<{ seconds: number; milliseconds: number[] }> {
  const begun = performance.now()
  const end = begun + secondsEach * 1000
  const milliseconds: number[] = []
  const one = async (writer: number) => {
    for (let at = 0; performance.now() < end; at++) {
      const before = performance.now()
      await store.create(`${prefix}${writer}-${at}`, value)
      milliseconds.push(performance.now() - before)
    }
  }
  await Promise.all(Array.from({ length: writers }, (_, writer) => one(writer)))
  return { seconds: (performance.now() - begun) / 1000, milliseconds }
}

function rowsOf(writers: number, { ours, ...peers }: Record<string, Figures>): BenchRow[] {
  const row = (figure: keyof Figures, what: string, more: Partial<BenchRow>) =>
    rowOf({
      name: `store: ${what}, ${writers} writers`,
      unit: 'ms',
      ours: sampleOf(ours?.[figure] ?? []),
      peers: Object.fromEntries(Object.entries(peers).map(([name, theirs]) => [name, sampleOf(theirs[figure])])),
      ...more,
    })
  const goal = writers === 64 ? { goal: 8, goalIsRatio: true } : {}
  return [
    row('rate', 'durable writes', { unit: '1/s', moreIsBetter: true, ...goal }),
    row('p50', 'p50 of a write', {}),
    row('p99', 'p99 of a write', {}),
  ]
}
