import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { aFixture, type Fixture, finish } from '../system/runtime-fixture.ts'
import { commandLineRow } from './command-line.ts'
import { type Bench, type BenchRow, rowOf, type Sample, sampleOf } from './rows.ts'
import { lifeOfTape } from './tape-alone.ts'

const rounds = 12
const batch = 20

/**
 * crun and runc of the distribution, on the same bundle, in turn with ours: what disturbs one disturbs all. The state of all
 * of them is in memory, as /run is on most machines and as each of them expects it.
 */
export const bench: Bench = {
  name: 'runtime',
  async run(): Promise<BenchRow[]> {
    await using inMemory = folderInMemory()
    process.env.TMPDIR = inMemory.path
    await using on = await aFixture('bench')
    const bundle = makeBundle(on)
    const peers = ['crun', 'runc'].filter((peer) => spawnSync(peer, ['--version']).status === 0)
    const execs: number[] = []
    await wholeLives(on, batch)
    const alone = await inTurn(on, peers, bundle)
    const tapes = sampleOf(Array.from({ length: rounds * batch }, () => lifeOfTape(on)))
    await on.runtime.create({ id: 'host', spec: on.spec(['sleep', '600']) })
    await on.runtime.start('host')
    for (let at = 0; at < rounds * batch; at++) execs.push(await oneExec(on))
    await on.runtime.delete('host', { force: true })
    const commandLine = commandLineRow(on, peers, bundle)
    const parallel = await hundred(on)
    const many = await thousand(on, () => inTurn(on, peers, bundle))
    return [
      rowOf({
        name: 'create+start+wait+delete of /bin/true',
        unit: 'ms',
        ...alone,
        goal: 0.3,
        goalIsRatio: true,
      }),
      rowOf({ name: '  the kernel’s part of it', unit: 'ms', ours: tapes, peers: alone.peers }),
      rowOf({ name: 'exec of /bin/true', unit: 'ms', ours: sampleOf(execs), peers: {}, goal: 2 }),
      commandLine,
      rowOf({ name: '100 created and started in parallel', unit: 'ms', ours: parallel.time, peers: {} }),
      rowOf({ name: 'launcher with 100 containers', unit: 'MB', ours: parallel.memory, peers: {}, goal: 60 }),
      rowOf({ name: 'create … delete beside 1,000 that live', unit: 'ms', ...many.lives }),
      rowOf({ name: 'list of 1,000', unit: 'ms', ours: many.list, peers: {} }),
      rowOf({ name: 'launcher with 1,000 containers', unit: 'MB', ours: many.memory, peers: {} }),
    ]
  },
}

function folderInMemory(): AsyncDisposable & { path: string } {
  const path = mkdtempSync('/dev/shm/coracle-bench-')
  return { path, [Symbol.asyncDispose]: async () => rmSync(path, { recursive: true }) }
}

function makeBundle(on: Fixture): string {
  const bundle = join(on.folder, 'bundle')
  mkdirSync(bundle)
  const spec = on.spec(['/bin/true'])
  const linux = { ...spec.linux, namespaces: spec.linux?.namespaces?.filter(({ type }) => type !== 'cgroup') }
  const { cgroupsPath: _, ...rest } = linux
  writeFileSync(join(bundle, 'config.json'), JSON.stringify({ ...spec, ociVersion: '1.0.2', linux: rest }))
  return bundle
}

type InTurn = Pick<BenchRow, 'ours' | 'peers'>

/** Whole lives of ours and of each peer, round by round, so that what disturbs one disturbs all. */
async function inTurn(on: Fixture, peers: readonly string[], bundle: string): Promise<InTurn> {
  const ours: number[] = []
  const theirs: Record<string, number[]> = Object.fromEntries(peers.map((peer) => [peer, []]))
  for (let round = 0; round < rounds; round++) {
    ours.push(await wholeLives(on, batch))
    for (const peer of peers) theirs[peer]?.push(peerLives(peer, { bundle, root: join(on.folder, peer) }, `${round}`))
  }
  return {
    ours: sampleOf(ours),
    peers: Object.fromEntries(peers.map((peer) => [peer, sampleOf(theirs[peer] ?? [])])),
  }
}

/** Milliseconds a container, from create to the end of delete. */
async function wholeLives(on: Fixture, count: number): Promise<number> {
  const specs = Array.from({ length: count }, () => on.spec(['/bin/true']))
  const before = performance.now()
  for (const spec of specs) {
    await on.runtime.create({ id: 'bench', spec })
    await on.runtime.start('bench')
    await on.runtime.wait('bench')
    await on.runtime.delete('bench')
  }
  return (performance.now() - before) / count
}

/**
 * The same by a peer's `run`, in a shell's loop, so that nothing of Node's spawning is counted. crun refuses hybrid
 * cgroups: in a mount namespace of its own the unified hierarchy is taken out of its sight, and it runs without limits,
 * which is to its advantage.
 */
function peerLives(peer: string, { bundle, root }: { bundle: string; root: string }, name: string): number {
  const flags = peer === 'crun' ? '--cgroup-manager=disabled' : ''
  const hide = existsSync('/sys/fs/cgroup/unified') ? 'umount /sys/fs/cgroup/unified' : 'true'
  const run = `${peer} ${flags} --root ${root} run -b ${bundle} bench-${name}-$i || exit 1`
  const clock = '$(date +%s%N)'
  const script = `${hide}; before=${clock}; for i in $(seq ${batch}); do ${run}; done; echo $((${clock} - before))`
  const output = execFileSync('unshare', ['-m', '--propagation', 'private', 'sh', '-c', script], { encoding: 'utf8' })
  return Number(output.trim()) / 1e6 / batch
}

async function oneExec(on: Fixture): Promise<number> {
  const before = performance.now()
  await finish(await on.runtime.exec('host', { args: ['/bin/true'] }))
  return performance.now() - before
}

/** Whole lives beside a thousand that live, and how long it takes to list them all. */
async function thousand(
  on: Fixture,
  compare: () => Promise<InTurn>,
): Promise<{ lives: InTurn; list: Sample; memory: Sample }> {
  const ids = Array.from({ length: 1000 }, (_, at) => `thousand${at}`)
  for (const id of ids) {
    await on.runtime.create({ id, spec: on.spec(['sleep', '600']), log: { path: join(on.folder, `${id}.log`) } })
    await on.runtime.start(id)
  }
  const lives = await compare()
  const before = performance.now()
  await on.runtime.list()
  const list = performance.now() - before
  const memory = await launcherMegabytes(on)
  for (const id of ids) await on.runtime.delete(id, { force: true })
  return { lives, list: sampleOf([list]), memory: sampleOf([memory]) }
}

/** Resident memory once what the burst has left is collected. */
async function launcherMegabytes(on: Fixture): Promise<number> {
  await sleep(1000)
  const status = readFileSync(`/proc/${on.launcherPid()}/status`, 'utf8')
  return Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]) / 1024
}

async function hundred(on: Fixture): Promise<{ time: Sample; memory: Sample }> {
  const ids = Array.from({ length: 100 }, (_, at) => `hundred${at}`)
  const before = performance.now()
  await Promise.all(
    ids.map(async (id) => {
      await on.runtime.create({ id, spec: on.spec(['sleep', '600']), log: { path: join(on.folder, `${id}.log`) } })
      await on.runtime.start(id)
    }),
  )
  const time = performance.now() - before
  const memory = await launcherMegabytes(on)
  await Promise.all(ids.map((id) => on.runtime.delete(id, { force: true })))
  return { time: sampleOf([time]), memory: sampleOf([memory]) }
}
