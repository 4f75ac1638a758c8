import { execFile, execFileSync, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openImages } from '../../images/index.ts'
import { silentLog } from '../../runtime/base/log.ts'
import { anArchive, anImage } from '../fixtures/image.ts'
import { aTar, type TarEntry } from '../fixtures/tar.ts'
import { aRegistry, freePort, type Registry } from './images/registry.ts'
import { aWorkshop, treeOf, type Workshop } from './images/store.ts'

/** Pulls from Debian's docker-registry that end badly, and the next one. */
const isRoot = process.getuid?.() === 0
const test = it.skipIf(!isRoot || !existsSync('/usr/bin/docker-registry'))
const library = join(import.meta.dirname, '../../images/index.ts')
const head = `
  import { openImages } from ${JSON.stringify(library)}
  const log = { debug() {}, info() {}, warn() {}, error() {} }
`
const plain = { encode: (tar: Buffer) => tar, mediaType: 'application/vnd.oci.image.layer.v1.tar' }
/** So large that much of it is still with the registry when it dies. */
const image = anImage({
  layers: [
    Array.from({ length: 30 }, (_, at) => ({ name: `data/${at}`, content: randomBytes(1_000_000) })),
    Array.from({ length: 300 }, (_, at) => ({ name: `small/${at}`, content: `${at}` })),
  ],
  pack: plain,
})

let workshop: Workshop
let data: string
let port: number
let registry: Registry
let ref: string
let expected: string[][]
beforeAll(async () => {
  if (!isRoot) return
  workshop = await aWorkshop()
  data = join(workshop.folder, 'data')
  mkdirSync(data)
  port = await freePort()
  registry = await aRegistry({ data, port })
  ref = `${registry.host}/team/app:1`
  writeFileSync(join(workshop.folder, 'app.tar'), anArchive(image, ref))
  await workshop.images.load(join(workshop.folder, 'app.tar'))
  await workshop.images.push(ref)
  expected = (await workshop.images.prepare('expected', ref)).overlay.lower.map(treeOf)
})
afterAll(async () => {
  await registry?.close()
  await workshop?.close()
})

const open = (label: string) => openImages({ root: join(workshop.folder, label), log: silentLog })

/** The next pull finishes, and the store is sound. */
async function finishes(label: string): Promise<void> {
  const images = await open(label)
  expect((await images.check()).faults).toEqual([])
  expect((await images.pull(ref)).digest).toBe(image.manifestDigest)
  expect((await images.prepare('after', ref)).overlay.lower.map(treeOf)).toEqual(expected)
  expect((await images.check()).faults).toEqual([])
  const root = join(workshop.folder, label)
  const left = ['ingest', 'partial', 'snapshots'].flatMap((kind) =>
    existsSync(join(root, kind)) ? readdirSync(join(root, kind)) : [],
  )
  expect(left.filter((entry) => !/^[a-f0-9]{64}$/.test(entry))).toEqual([])
  await images.discard('after')
  await images.close()
}

describe('a registry that is killed in the middle of a blob', () => {
  test('one clear error, nothing of the image is seen; with the registry back, the next pull goes on', async () => {
    const images = await open('killed')
    let dying: Promise<void> | undefined
    const onProgress = ({ received, total }: { received: number; total: number }) => {
      if (received > 2_000_000 && received < total) dying ??= registry.close()
    }
    await expect(images.pull(ref, { onProgress })).rejects.toMatchObject({
      code: 'IMAGE_REGISTRY',
      message: expect.stringContaining(registry.host),
    })
    await dying
    expect(await images.list()).toEqual([])
    expect(readdirSync(join(workshop.folder, 'killed/snapshots'))).toEqual([])
    await images.close()
    registry = await aRegistry({ data, port })
    await finishes('killed')
    // A part of the layer was there already.
    expect(registry.log()).toMatch(/"GET \/v2\/team\/app\/blobs\/sha256:\w+ HTTP\/1.1" 206/)
  })
})

describe('kill -9 in the middle of a pull', () => {
  test('at ten moments: nothing half-made is used, and the next pull finishes', { timeout: 240_000 }, async () => {
    const script = join(workshop.folder, 'victim.ts')
    writeFileSync(
      script,
      `${head}
      const images = await openImages({ root: process.argv[2], log })
      process.stdout.write('open')
      await images.pull(process.argv[3])
      process.stdout.write('done')
      setInterval(() => {}, 1000)`,
    )
    for (let round = 0; round < 10; round++) {
      const label = `victim-${round}`
      const child = spawn(process.execPath, [script, join(workshop.folder, label), ref], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      await once(child.stdout, 'data')
      await sleep(round * 40)
      child.kill('SIGKILL')
      await once(child, 'exit')
      await finishes(label)
      rmSync(join(workshop.folder, label), { recursive: true })
    }
  })
})

describe('a full disk', () => {
  test('during a pull: one clear error, nothing half-made, and with room again the next pull finishes', async () => {
    const [file, point] = [join(workshop.folder, 'disk.ext4'), join(workshop.folder, 'disk')]
    writeFileSync(
      join(workshop.folder, 'full.ts'),
      `${head}
      import { readdirSync, rmSync, writeFileSync } from 'node:fs'
      const images = await openImages({ root: '${point}/store', log })
      writeFileSync('${point}/ballast', Buffer.alloc(50_000_000))
      const outcome = {}
      await images.pull(${JSON.stringify(ref)}).catch((error) => (outcome.first = error.message))
      outcome.left = [...readdirSync('${point}/store/snapshots'), ...readdirSync('${point}/store/ingest')]
      outcome.listed = (await images.list()).length
      outcome.faults = (await images.check()).faults
      rmSync('${point}/ballast')
      outcome.second = (await images.pull(${JSON.stringify(ref)})).digest
      outcome.after = (await images.check()).faults
      await images.close()
      console.log(JSON.stringify(outcome))`,
    )
    const steps = [
      `truncate -s 100M ${file}`,
      `mkfs.ext4 -q ${file}`,
      `mkdir ${point}`,
      `mount -o loop ${file} ${point}`,
      `${process.execPath} ${join(workshop.folder, 'full.ts')}`,
      `umount ${point}`,
    ]
    const command = ['-m', '--propagation', 'private', 'sh', '-ec', steps.join('\n')]
    // Not synchronously: the registry's output must be read meanwhile.
    const { stdout } = await promisify(execFile)('unshare', command, { timeout: 60_000 })
    const outcome = JSON.parse(stdout) as Record<string, unknown>
    expect(outcome).toMatchObject({ left: [], listed: 0, faults: [], second: image.manifestDigest, after: [] })
    expect(outcome.first).toMatch(/ENOSPC|no space/)
    expect(execFileSync('losetup', ['-a'], { encoding: 'utf8' })).not.toContain(file)
  })
})

describe('an archive without measure', () => {
  /** In the soak a million. */
  const parts = process.env.CORACLE_SOAK === undefined ? 10 : 100
  const number = (parts * 10_000).toLocaleString('en')
  test(`${number} entries: no more than 256 MB of memory`, { timeout: 120_000 + parts * 10_000 }, async () => {
    // The same 10,000 again and again: whiteouts, folders that are named again, files that take each other's place.
    const entries = Array.from({ length: 10_000 }, (_, at): TarEntry => {
      const [kind, number] = [at % 10, Math.floor(at / 10)]
      if (kind < 7) return { name: `w/.wh.${kind}-${number}` }
      return kind < 9 ? { name: `d/${number}/${kind}/`, mode: 0o700 } : { name: `f/${number}`, content: '' }
    })
    const part = gzipSync(aTar(entries, 'no end'), { level: 1 })
    const file = join(workshop.folder, 'million.tar.gz')
    writeFileSync(file, Buffer.concat([...Array.from({ length: parts }, () => part), gzipSync(Buffer.alloc(1024))]))
    const script = join(workshop.folder, 'million.ts')
    writeFileSync(
      script,
      `${head}
      import { readFileSync } from 'node:fs'
      const images = await openImages({ root: '${workshop.folder}/million', log })
      await images.import('${file}', { ref: 'million.test/x:1' })
      const { overlay } = await images.prepare('million', 'million.test/x:1')
      // Not ru_maxrss, which begins with what the process that started this one has.
      const peak = /^VmHWM:\\s+(\\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))[1]
      console.log(JSON.stringify({ top: overlay.lower[0], megabytes: Number(peak) / 1024 }))
      await images.close()`,
    )
    const { stdout } = await promisify(execFile)(process.execPath, [script], { timeout: 100_000 + parts * 10_000 })
    const { top, megabytes } = JSON.parse(stdout) as { top: string; megabytes: number }
    expect(treeOf(top)).toHaveLength(7000 + 3000 + 1000 + 4)
    console.log(`${number} entries: ${Math.round(megabytes)} MB`)
    expect(megabytes).toBeLessThanOrEqual(256)
  })
})
