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
const rounds = 3
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

const fetch = (image: string) => `skopeo copy -q --src-tls-verify=false docker://${image} oci:peer:bench`

/** Debian's umoci does not know zstd: there tar takes its place, which checks nothing. */
const peers: Readonly<Record<Packing, { name: string; script: (image: string) => string }>> = {
  gzip: { name: 'skopeo+umoci', script: (image) => `${fetch(image)} && umoci unpack --image peer:bench root` },
  zstd: { name: 'skopeo+tar', script: (image) => `${fetch(image)} && ${unpackOnly('peer', 'zstd')}` },
}

interface Measured {
  milliseconds: number
  cpuMilliseconds: number
  megabytes: number
}

/** Pull and unpack from a registry on loopback, beside skopeo with umoci, and beside the bare unpacking of the same bytes. */
export const bench: Bench = {
  name: 'images',
  async run(): Promise<BenchRow[]> {
    const folder = mkdtempSync(join(tmpdir(), 'coracle-bench-images-'))
    const registry = await aRegistry()
    try {
      const files = systemFiles(corpusBytes)
      const rows: BenchRow[] = []
      for (const one of cases) rows.push(...(await compare(one, { folder, registry, files })))
      return rows
    } finally {
      await registry.close()
      rmSync(folder, { recursive: true, force: true })
    }
  },
}

async function compare(
  { name, layers, packing }: Case,
  { folder, registry, files }: { folder: string; registry: Registry; files: ReturnType<typeof systemFiles> },
): Promise<BenchRow[]> {
  const peer = peers[packing]
  const layout = join(folder, 'layout')
  const total = writeLayout(layout, files, { layers, packing })
  const image = `${registry.host}/bench/${packing}-${layers}:bench`
  await execute('skopeo', ['copy', '-q', '--dest-tls-verify=false', `oci:${layout}:bench`, `docker://${image}`])
  const [ours, again, theirs, bare]: [Measured[], Measured[], Measured[], Measured[]] = [[], [], [], []]
  for (let round = 0; round < rounds; round++) {
    const root = join(folder, 'store')
    ours.push(await pullWithOurs(root, image))
    again.push(await pullWithOurs(root, image))
    rmSync(root, { recursive: true })
    theirs.push(await timed(peer.script(image), folder))
    bare.push(await timed(unpackOnly(layout, packing), folder))
  }
  rmSync(layout, { recursive: true })
  const of = (list: readonly Measured[], key: keyof Measured) => sampleOf(list.map((one) => one[key]))
  const label = `${name} (${Math.round(total / 1e6)} MB)`
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

/** A shell's commands in a folder that is new each time; wall-clock and processor time as bash tells them. */
async function timed(script: string, folder: string): Promise<Measured> {
  const work = join(folder, 'work')
  mkdirSync(work)
  const clock = `TIMEFORMAT='%R %U %S'; time { (${script}) >/dev/null 2>err; }`
  const { stdout } = await execute('bash', ['-c', `{ ${clock}; } 2>&1 || { cat err; exit 1; }`], { cwd: work })
  rmSync(work, { recursive: true })
  const [wall = 0, user = 0, system = 0] = stdout.trim().split(/\s+/).map(Number)
  return { milliseconds: wall * 1000, cpuMilliseconds: (user + system) * 1000, megabytes: 0 }
}

function unpackOnly(layout: string, packing: Packing): string {
  const list = `jq -r '.manifests[0].digest[7:]' ${layout}/index.json`
  const layers = `jq -r '.layers[].digest[7:]' ${layout}/blobs/sha256/$(${list})`
  return `mkdir root; for layer in $(${layers}); do ${packing} -dc < ${layout}/blobs/sha256/$layer | tar -x -C root; done`
}
