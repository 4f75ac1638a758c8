/** The whole API server over HTTPS, on the embedded store and on etcd in turn; lists, and one event to many watchers. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Etcd, hasEtcd } from '../fixtures/etcd.ts'
import { type Access, HttpConnection } from './http-connection.ts'
import { type BenchRow, rowOf, sampleOf } from './rows.ts'

const rounds = 5
const secondsEach = 2
const clientCounts = [1, 16, 64, 100, 256]
const listedPods = 10_000
const watchers = 1000
const collection = '/api/v1/namespaces/default/pods'

/** All but its name is the same: whoever makes thousands a second does not write it anew each time. */
const [beforeName = '', afterName = ''] = JSON.stringify({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: '<name>', labels: { app: 'bench', tier: 'load' } },
  spec: {
    // Nobody is to schedule it: what is measured is the server.
    schedulerName: 'nobody',
    containers: [
      {
        name: 'main',
        image: 'bench.local/x:1',
        ports: [{ containerPort: 80 }],
        env: [{ name: 'A', value: 'b' }],
        resources: { requests: { cpu: '100m', memory: '64Mi' }, limits: { memory: '128Mi' } },
      },
    ],
  },
}).split('<name>')

const aPod = (name: string) => beforeName + name + afterName

interface Server {
  readonly access: Access
  readonly process: ChildProcess
  close(): Promise<void>
}

async function startServer(folder: string, endpoints: readonly string[]): Promise<Server> {
  const program = join(import.meta.dirname, 'api-server-process.ts')
  const child = fork(program, [folder, ...endpoints], { execArgv: ['--disable-warning=ExperimentalWarning'] })
  const [access] = (await once(child, 'message')) as [Access]
  const close = async () => {
    const gone = once(child, 'exit')
    child.send('close')
    await gone
  }
  return { access, process: child, close }
}

export async function serverRows(): Promise<BenchRow[]> {
  const folder = mkdtempSync(join(process.env.CORACLE_BENCH_DIR ?? tmpdir(), 'coracle-bench-'))
  await using etcd = hasEtcd ? await Etcd.start() : undefined
  const servers: Record<string, Server> = { ours: await startServer(join(folder, 'embedded'), []) }
  if (etcd) servers['on etcd'] = await startServer(join(folder, 'etcd'), etcd.endpoints)
  try {
    const rows: BenchRow[] = []
    for (const clients of clientCounts) rows.push(...rowsOf(clients, await inTurn(servers, clients)))
    const { ours } = servers
    if (ours) rows.push(...(await readRows(ours)))
    return rows
  } finally {
    for (const server of Object.values(servers)) await server.close()
    rmSync(folder, { recursive: true })
  }
}

interface Figures {
  rate: number[]
  p50: number[]
  p99: number[]
}

async function inTurn(servers: Readonly<Record<string, Server>>, clients: number): Promise<Record<string, Figures>> {
  const figures: Record<string, Figures> = {}
  const connections: Record<string, HttpConnection[]> = {}
  for (const [name, { access }] of Object.entries(servers)) {
    figures[name] = { rate: [], p50: [], p99: [] }
    connections[name] = await Promise.all(Array.from({ length: clients }, () => HttpConnection.open(access)))
  }
  for (let round = -1; round < rounds; round++) {
    for (const name of Object.keys(servers)) {
      const spent = await create(connections[name] ?? [], `c${clients}-${round + 1}`)
      // The first round warms up.
      if (round < 0) continue
      const sorted = spent.milliseconds.sort((left, right) => left - right)
      figures[name]?.rate.push(sorted.length / spent.seconds)
      figures[name]?.p50.push(sorted[Math.floor(sorted.length * 0.5)] ?? 0)
      figures[name]?.p99.push(sorted[Math.floor(sorted.length * 0.99)] ?? 0)
    }
  }
  for (const each of Object.values(connections).flat()) each.close()
  await removeAll(servers)
  return figures
}

/** Each client makes pods one after the other. */
async function create(clients: readonly HttpConnection[], prefix: string) {
  const begun = performance.now()
  const end = begun + secondsEach * 1000
  const milliseconds: number[] = []
  await Promise.all(
    clients.map(async (client, which) => {
      for (let at = 0; performance.now() < end; at++) {
        const before = performance.now()
        const { status } = await client.request('POST', collection, aPod(`${prefix}-${which}-${at}`))
        if (status !== 201) throw new Error(`a create was answered with ${status}`)
        milliseconds.push(performance.now() - before)
      }
    }),
  )
  return { seconds: (performance.now() - begun) / 1000, milliseconds }
}

async function removeAll(servers: Readonly<Record<string, Server>>): Promise<void> {
  for (const { access } of Object.values(servers)) {
    const connection = await HttpConnection.open(access)
    await connection.request('DELETE', collection)
    connection.close()
  }
}

function rowsOf(clients: number, { ours, ...peers }: Record<string, Figures>): BenchRow[] {
  const row = (figure: keyof Figures, what: string, more: Partial<BenchRow>) =>
    rowOf({
      name: `API server: ${what}, ${clients} clients`,
      unit: 'ms',
      ours: sampleOf(ours?.[figure] ?? []),
      peers: Object.fromEntries(Object.entries(peers).map(([name, theirs]) => [name, sampleOf(theirs[figure])])),
      ...more,
    })
  const rate = { unit: '1/s', moreIsBetter: true }
  const rows = [
    row('rate', 'durable creates', { ...rate, ...(clients === 64 ? { goal: 5000 } : {}) }),
    row('p50', 'p50 of a create', {}),
    row('p99', 'p99 of a create', clients === 100 ? { goal: 20 } : {}),
  ]
  if (clients !== 64) return rows
  return [...rows, row('rate', 'durable creates beside etcd', { ...rate, goal: 2, goalIsRatio: true })]
}

/** A list of many pods, and how long an event takes to the last of many watchers. */
async function readRows({ access }: Server): Promise<BenchRow[]> {
  const client = await HttpConnection.open(access)
  const makers = await Promise.all(Array.from({ length: 64 }, () => HttpConnection.open(access)))
  await Promise.all(
    makers.map(async (maker, which) => {
      for (let at = which; at < listedPods; at += makers.length)
        await maker.request('POST', collection, aPod(`l-${at}`))
      maker.close()
    }),
  )
  const lists: number[] = []
  for (let at = 0; at < 9; at++) {
    const begun = performance.now()
    const { status } = await client.request('GET', '/api/v1/pods')
    if (status !== 200) throw new Error(`a list was answered with ${status}`)
    lists.push(performance.now() - begun)
  }
  await client.request('DELETE', collection)
  const fanOuts = await fanOut(access, client)
  client.close()
  return [
    rowOf({ name: `API server: list of ${listedPods} pods`, unit: 'ms', ours: sampleOf(lists), peers: {}, goal: 150 }),
    rowOf({
      name: `API server: one event to ${watchers} watchers`,
      unit: 'ms',
      ours: sampleOf(fanOuts),
      peers: {},
      goal: 50,
    }),
  ]
}

async function fanOut(access: Access, client: HttpConnection): Promise<number[]> {
  const all: HttpConnection[] = []
  for (let at = 0; at < watchers; at += 50) {
    all.push(...(await Promise.all(Array.from({ length: 50 }, () => HttpConnection.open(access)))))
  }
  let seen = 0
  let wanted = ''
  let done = () => {}
  for (const watcher of all) {
    watcher.onData = (bytes) => {
      if (wanted === '' || bytes.indexOf(wanted) < 0) return
      if (++seen === all.length) done()
    }
    watcher.send('GET', '/api/v1/pods?watch=true&timeoutSeconds=600')
  }
  await new Promise((resolve) => setTimeout(resolve, 2000))
  const times: number[] = []
  for (let at = -3; at < 25; at++) {
    seen = 0
    wanted = `"name":"fan${at}"`
    const begun = performance.now()
    const arrived = new Promise<void>((resolve) => {
      done = resolve
    })
    await client.request('POST', collection, aPod(`fan${at}`))
    await arrived
    // The first rounds warm up.
    if (at >= 0) times.push(performance.now() - begun)
  }
  for (const watcher of all) watcher.close()
  return times
}
