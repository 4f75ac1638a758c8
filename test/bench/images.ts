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
const diskBytes = 6 * 2 ** 30

interface Case {
  name: string
  layers: number
  packing: Packing
}

const gzipped: Case = { name: 'one layer, gzip', layers: 1, packing: 'gzip' }
const zstd: Case = { name: 'one layer, zstd', layers: 1, packing: 'zstd' }
const cases: readonly Case[] = [gzipped, { name: '20 layers, gzip', layers: 20, packing: 'gzip' }, zstd]

/** Where the images are: in the registry, and beside it as they were made. */
interface Place {
  place: string
  folder: string
  registry: Registry
}

const imageOf = ({ registry }: Place, { packing, layers }: Case) => `${registry.host}/bench/${packing}-${layers}:bench`
const layoutOf = ({ folder }: Place, { packing, layers }: Case) => join(folder, `layout-${packing}-${layers}`)
const from = (image: string) => `skopeo copy -q --src-tls-verify=false docker://${image}`

/** A shell's commands by the names of the programs, the one that the goal speaks of first. */
type Scripts = Readonly<Record<string, string>>

/**
 * All verify the blobs and their contents and keep the result. Debian's umoci does not know zstd and is given the same tree
 * as gzip; beside it skopeo alone unpacks zstd into the storage of podman, in a mount namespace for the mounts that it makes.
 */
function peersOf(place: Place, one: Case): Scripts {
  const unpack = (image: string) => `${from(image)} oci:peer:bench && umoci unpack --image peer:bench root`
  if (one.packing === 'gzip') return { 'skopeo+umoci': unpack(imageOf(place, one)) }
  const storage = `"containers-storage:[overlay@$PWD/storage+$PWD/run]peer:bench"`
  return {
    'skopeo+umoci, as gzip': unpack(imageOf(place, gzipped)),
    'skopeo, containers-storage': `unshare -m --propagation private ${from(imageOf(place, one))} ${storage}`,
  }
}

/** The bare unpacking of the same tree. */
function bareOf(place: Place, one: Case): Scripts {
  const script = (which: Case) => {
    const blobs = `${layoutOf(place, which)}/blobs/sha256`
    const list = `jq -r '.manifests[0].digest[7:]' ${layoutOf(place, which)}/index.json`
    const layers = `jq -r '.layers[].digest[7:]' ${blobs}/$(${list})`
    return `mkdir root; for layer in $(${layers}); do ${which.packing} -dc < ${blobs}/$layer | tar -x -C root; done`
  }
  if (one.packing === 'gzip') return { 'gzip -dc | tar -x': script(one) }
  return { 'gzip -dc | tar -x': script(gzipped), 'zstd -dc | tar -x': script(one) }
}

interface Measured {
  milliseconds: number
  cpuMilliseconds: number
  megabytes: number
}

/**
 * Pull and unpack from a registry on loopback, beside other programs that do the same, and beside the bare unpacking of the
 * same tree; on a disk of its own in each folder that $CORACLE_BENCH_DIR names, with colons between them.
 */
export const bench: Bench = {
  name: 'images',
  async run(): Promise<BenchRow[]> {
    const files = systemFiles(corpusBytes)
    const rows: BenchRow[] = []
    for (const place of (process.env.CORACLE_BENCH_DIR ?? tmpdir()).split(':')) {
      await using disk = await aDisk(place)
      const { folder } = disk
      const registry = await aRegistry({ data: join(folder, 'registry') })
      const here: Place = { place, folder, registry }
      try {
        for (const one of cases) {
          const layout = layoutOf(here, one)
          const bytes = writeLayout(layout, files, one)
          const target = ['--dest-tls-verify=false', `oci:${layout}:bench`, `docker://${imageOf(here, one)}`]
          await execute('skopeo', ['copy', '-q', ...target])
          rows.push(...(await compare(here, one, bytes)))
        }
      } finally {
        await registry.close()
      }
    }
    return rows
  },
}

async function compare(here: Place, one: Case, bytes: number): Promise<BenchRow[]> {
  const [ours, again]: [Measured[], Measured[]] = [[], []]
  const work = join(here.folder, 'work')
  const image = imageOf(here, one)
  const contenders = [
    async (root: string) => {
      ours.push(await pullWithOurs(root, image))
      again.push(await pullWithOurs(root, image))
    },
  ]
  const others = (scripts: Scripts) =>
    Object.entries(scripts).map(([name, script]) => {
      const measured: Measured[] = []
      contenders.push(async (root) => void measured.push(await timed(script, root)))
      return { name, measured }
    })
  const peers = others(peersOf(here, one))
  const bare = others(bareOf(here, one))
  for (let round = 0; round < rounds; round++) {
    // Each is first and last in turn.
    const order = round % 2 === 0 ? contenders : contenders.toReversed()
    for (const [at, contender] of order.entries()) {
      // One that flushes what it writes would flush what others have written and removed, too.
      await execute('sync')
      await contender(join(work, `${round}-${at}`))
      rmSync(work, { recursive: true })
    }
  }
  const of = (list: readonly Measured[], key: keyof Measured) => sampleOf(list.map((each) => each[key]))
  const ofAll = (list: typeof peers, key: keyof Measured) =>
    Object.fromEntries(list.map(({ name, measured }) => [name, of(measured, key)]))
  const label = `${one.name} (${Math.round(bytes / 1e6)} MB) in ${here.place}`
  const wall = { unit: 'ms', ours: of(ours, 'milliseconds'), goalIsRatio: true }
  return [
    rowOf({ ...wall, name: `pull and unpack, ${label}`, peers: ofAll(peers, 'milliseconds'), goal: 0.4 }),
    rowOf({ ...wall, name: '  beside unpacking alone', peers: ofAll(bare, 'milliseconds'), goal: 1.5 }),
    rowOf({
      name: '  processor time',
      unit: 'ms',
      ours: of(ours, 'cpuMilliseconds'),
      peers: ofAll(peers, 'cpuMilliseconds'),
    }),
    rowOf({ name: '  peak memory', unit: 'MB', ours: of(ours, 'megabytes'), peers: {}, goal: 200 }),
    rowOf({ name: '  the same again', unit: 'ms', ours: of(again, 'milliseconds'), peers: {}, goal: 50 }),
  ]
}

/**
 * A file system as people have it: ext4 with a journal, whatever the machine's own is. One without a journal looks at every
 * inode that was deleted in the last minutes before it makes a new one (fs/ext4/ialloc.c, recently_deleted): there each
 * contender would pay for the files that those before it have removed, up to five times its own time.
 */
async function aDisk(place: string): Promise<AsyncDisposable & { folder: string }> {
  const own = mkdtempSync(join(place, 'coracle-bench-images-'))
  const [file, folder] = [join(own, 'disk'), join(own, 'mounted')]
  mkdirSync(folder)
  await execute('fallocate', ['-l', `${diskBytes}`, file])
  await execute('mkfs.ext4', ['-q', '-E', 'lazy_itable_init=0,lazy_journal_init=0', file])
  const { stdout } = await execute('losetup', ['--find', '--show', '--direct-io=on', file])
  const device = stdout.trim()
  const isMounted = execute('mount', [device, folder])
  // Detached once nobody uses it any more.
  await isMounted.finally(() => execute('losetup', ['--detach', device]))
  return {
    folder,
    async [Symbol.asyncDispose]() {
      await execute('umount', [folder])
      rmSync(own, { recursive: true })
    },
  }
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
