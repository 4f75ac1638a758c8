import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { aRegistry, type Registry } from '../system/images/registry.ts'
import { type Packing, systemFiles, writeLayout } from './images-corpus.ts'
import { type Bench, type BenchRow, rowOf, sampleOf } from './rows.ts'

/** Never synchronously: the registry's output must be read meanwhile, or it stands still. */
const execute = promisify(execFile)
const rounds = 5
const corpusBytes = 300e6

interface Case {
  name: string
  layers: number
  packing: Packing
}

const cases: readonly Case[] = [
  { name: 'one layer, gzip', layers: 1, packing: 'gzip' },
  { name: '20 layers, gzip', layers: 20, packing: 'gzip' },
  { name: 'one layer, zstd', layers: 1, packing: 'zstd' },
]

const from = (image: string) => `skopeo copy -q --src-tls-verify=false docker://${image}`

/**
 * Both verify the blob and its contents and keep the result. Debian's umoci does not know zstd: there it is skopeo that
 * unpacks, into the storage of podman; in a mount namespace, for the mounts that it makes.
 */
const peers: Readonly<Record<Packing, { name: string; script: (image: string) => string }>> = {
  gzip: {
    name: 'skopeo+umoci',
    script: (image) => `${from(image)} oci:peer:bench && umoci unpack --image peer:bench root`,
  },
  zstd: {
    name: 'skopeo, containers-storage',
    script: (image) =>
      `unshare -m --propagation private ${from(image)} "containers-storage:[overlay@$PWD/storage+$PWD/run]peer:bench"`,
  },
}

interface Measured {
  milliseconds: number
  cpuMilliseconds: number
  megabytes: number
}

/**
 * Pull and unpack from a registry on loopback, beside other programs that do the same, and beside the bare unpacking of the
 * same bytes; in each folder that $CORACLE_BENCH_DIR names, with colons between them, such as one in memory and one on a disk.
 */
export const bench: Bench = {
  name: 'images',
  async run(): Promise<BenchRow[]> {
    const files = systemFiles(corpusBytes)
    const rows: BenchRow[] = []
    for (const place of (process.env.CORACLE_BENCH_DIR ?? tmpdir()).split(':')) {
      const folder = mkdtempSync(join(place, 'coracle-bench-images-'))
      const registry = await aRegistry({ data: join(folder, 'registry') })
      try {
        for (const one of cases) rows.push(...(await compare(one, { place, folder, registry, files })))
      } finally {
        await registry.close()
        rmSync(folder, { recursive: true, force: true })
      }
    }
    return rows
  },
}

async function compare(
  { name, layers, packing }: Case,
  o: { place: string; folder: string; registry: Registry; files: ReturnType<typeof systemFiles> },
): Promise<BenchRow[]> {
  const { folder, registry, files } = o
  const peer = peers[packing]
  const layout = join(folder, 'layout')
  const total = writeLayout(layout, files, { layers, packing })
  const image = `${registry.host}/bench/${packing}-${layers}:bench`
  await execute('skopeo', ['copy', '-q', '--dest-tls-verify=false', `oci:${layout}:bench`, `docker://${image}`])
  const [ours, again, theirs, bare]: [Measured[], Measured[], Measured[], Measured[]] = [[], [], [], []]
  const work = join(folder, 'work')
  const contenders = [
    async (root: string) => {
      ours.push(await pullWithOurs(root, image))
      again.push(await pullWithOurs(root, image))
    },
    async (root: string) => void theirs.push(await timed(peer.script(image), root)),
    async (root: string) => void bare.push(await timed(unpackOnly(layout, packing), root)),
  ]
  for (let round = 0; round < rounds; round++) {
    // Each is first and last in turn, and nothing is removed in between: a disk goes on with that for seconds.
    const order = round % 2 === 0 ? contenders : contenders.toReversed()
    for (const [at, contender] of order.entries()) await contender(join(work, `${round}-${at}`))
  }
  rmSync(work, { recursive: true })
  rmSync(layout, { recursive: true })
  await execute('sync')
  const of = (list: readonly Measured[], key: keyof Measured) => sampleOf(list.map((one) => one[key]))
  const label = `${name} (${Math.round(total / 1e6)} MB) in ${o.place}`
  return [
    rowOf({
      name: `pull and unpack, ${label}`,
      unit: 'ms',
      ours: of(ours, 'milliseconds'),
      peers: { [peer.name]: of(theirs, 'milliseconds') },
      goal: 0.4,
      goalIsRatio: true,
    }),
    rowOf({
      name: '  beside unpacking alone',
      unit: 'ms',
      ours: of(ours, 'milliseconds'),
      peers: { [`${packing} -dc | tar -x`]: of(bare, 'milliseconds') },
      goal: 1.5,
      goalIsRatio: true,
    }),
    rowOf({
      name: '  processor time',
      unit: 'ms',
      ours: of(ours, 'cpuMilliseconds'),
      peers: { [peer.name]: of(theirs, 'cpuMilliseconds') },
    }),
    rowOf({ name: '  peak memory', unit: 'MB', ours: of(ours, 'megabytes'), peers: {}, goal: 200 }),
    rowOf({ name: '  the same again', unit: 'ms', ours: of(again, 'milliseconds'), peers: {}, goal: 50 }),
  ]
}

async function pullWithOurs(root: string, image: string): Promise<Measured> {
  const script = join(import.meta.dirname, 'images-pull.ts')
  const flags = ['--disable-warning=ExperimentalWarning', script, root, image]
  // As bin/coracle starts it: what Node has compiled once it need not compile again.
  const env = { ...process.env, NODE_COMPILE_CACHE: join(import.meta.dirname, '../../node_modules/.cache/coracle') }
  return JSON.parse((await execute(process.execPath, flags, { env })).stdout) as Measured
}

/** A shell's commands in a folder that is made for them; wall-clock and processor time as bash tells them. */
async function timed(script: string, work: string): Promise<Measured> {
  mkdirSync(work, { recursive: true })
  const clock = `TIMEFORMAT='%R %U %S'; time { (${script}) >/dev/null 2>err; }`
  const { stdout } = await execute('bash', ['-c', `{ ${clock}; } 2>&1 || { cat err; exit 1; }`], { cwd: work })
  const [wall = 0, user = 0, system = 0] = stdout.trim().split(/\s+/).map(Number)
  return { milliseconds: wall * 1000, cpuMilliseconds: (user + system) * 1000, megabytes: 0 }
}

function unpackOnly(layout: string, packing: Packing): string {
  const list = `jq -r '.manifests[0].digest[7:]' ${layout}/index.json`
  const layers = `jq -r '.layers[].digest[7:]' ${layout}/blobs/sha256/$(${list})`
  return `mkdir root; for layer in $(${layers}); do ${packing} -dc < ${layout}/blobs/sha256/$layer | tar -x -C root; done`
}
