import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openImages } from '../../images/index.ts'
import { silentLog } from '../../runtime/base/log.ts'
import { anArchive, anImage } from '../fixtures/image.ts'
import { aWorkshop, treeOf, type Workshop } from './images/store.ts'

const isRoot = process.getuid?.() === 0
const test = it.skipIf(!isRoot)
/** How many processes are killed: 15, and for a soak 100 times as many as $CORACLE_SOAK says. */
const soak = process.env.CORACLE_SOAK
const kills = soak === undefined ? 15 : Math.ceil(Number(soak) * 100)
const library = join(import.meta.dirname, '../../images/index.ts')
const name = 'faults.test/app:1'

const layers = [0, 1, 2].map((seed) => [
  { name: 'data/', mode: 0o755 },
  ...Array.from({ length: 200 }, (_, at) => ({
    name: `data/${seed}-${at}`,
    content: Buffer.alloc(20_000, `${seed}${at}`),
  })),
])

let workshop: Workshop
let archive: string
beforeAll(async () => {
  if (!isRoot) return
  workshop = await aWorkshop()
  archive = join(workshop.folder, 'app.tar')
  writeFileSync(archive, anArchive(anImage({ layers }), name))
})
afterAll(() => workshop?.close())

describe('kill -9', () => {
  /** Loads, commits, removes and collects for ever, each in its own way the middle of something. */
  const script = (root: string) => `
    import { openImages } from ${JSON.stringify(library)}
    const log = { debug() {}, info() {}, warn() {}, error() {} }
    const images = await openImages({ root: ${JSON.stringify(root)}, log })
    process.stdout.write('open')
    for (let n = 0; ; n++) {
      await images.load(${JSON.stringify(archive)})
      await images.prepare('c' + process.pid + n, ${JSON.stringify(name)})
      await images.commit('c' + process.pid + n, { ref: 'faults.test/made:' + n })
      await images.discard('c' + process.pid + n)
      await images.prune({ all: true })
      await images.reclaim({ highPercent: 0, lowPercent: 0, minimumAgeSeconds: 0 })
    }
  `

  test(`at ${kills} moments of load, commit, prune and gc: the store is sound each time, and the next load finishes`, {
    timeout: 60_000 + kills * 4000,
  }, async () => {
    const root = join(workshop.folder, 'killed')
    writeFileSync(join(workshop.folder, 'victim.ts'), script(root))
    for (let round = 0; round < kills; round++) {
      const child = spawn(process.execPath, [join(workshop.folder, 'victim.ts')], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      await once(child.stdout, 'data')
      // Moments spread over two turns of the loop, each time others.
      await sleep(((round * 977) % 2000) * Math.random())
      child.kill('SIGKILL')
      await once(child, 'exit')
      const images = await openImages({ root, log: silentLog })
      expect((await images.check()).faults).toEqual([])
      for (const kind of ['ingest', 'snapshots', 'containers']) {
        expect(readdirSync(join(root, kind)).filter((entry) => kind === 'ingest' || entry.startsWith('.'))).toEqual([])
      }
      for (const id of await images.containers()) await images.discard(id)
      await images.load(archive)
      const { overlay } = await images.prepare('after', name)
      expect(overlay.lower.map((folder) => treeOf(folder).length)).toEqual([202, 202, 202])
      await images.discard('after')
      await images.close()
    }
  })
})

describe('a full disk', () => {
  test('one clear error, nothing half-made, and the next load finishes', async () => {
    const file = join(workshop.folder, 'disk.ext4')
    const point = join(workshop.folder, 'disk')
    const code = `
      import { readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
      import { openImages } from ${JSON.stringify(library)}
      const log = { debug() {}, info() {}, warn() {}, error() {} }
      const images = await openImages({ root: '${point}/store', log })
      const outcome = { first: '', second: '', faults: [], left: [] }
      writeFileSync('${point}/ballast', Buffer.alloc(18_000_000))
      await images.load(${JSON.stringify(archive)}).catch((error) => (outcome.first = error.message))
      outcome.left = [...readdirSync('${point}/store/snapshots'), ...readdirSync('${point}/store/ingest')]
      outcome.listed = (await images.list()).length
      outcome.faults = (await images.check()).faults
      rmSync('${point}/ballast')
      await images.load(${JSON.stringify(archive)}).catch((error) => (outcome.second = error.message))
      outcome.after = (await images.list()).length
      await images.close()
      console.log(JSON.stringify(outcome))
    `
    writeFileSync(join(workshop.folder, 'full.ts'), code)
    const steps = [
      `truncate -s 32M ${file}`,
      `mkfs.ext4 -q ${file}`,
      `mkdir ${point}`,
      `mount -o loop ${file} ${point}`,
      `${process.execPath} ${join(workshop.folder, 'full.ts')}`,
      `umount ${point}`,
    ]
    const output = execFileSync('unshare', ['-m', '--propagation', 'private', 'sh', '-ec', steps.join('\n')], {
      encoding: 'utf8',
      timeout: 60_000,
    })
    const outcome = JSON.parse(output) as Record<string, unknown>
    expect(outcome).toMatchObject({ left: [], listed: 0, faults: [], second: '', after: 1 })
    expect(outcome.first).toMatch(/ENOSPC|no space/)
    expect(execFileSync('losetup', ['-a'], { encoding: 'utf8' })).not.toContain(file)
  })
})

describe('a store that cannot be written', () => {
  test('read-only: one clear error', async () => {
    const point = join(workshop.folder, 'readonly')
    const code = `
      import { openImages } from ${JSON.stringify(library)}
      const log = { debug() {}, info() {}, warn() {}, error() {} }
      const result = await openImages({ root: '${point}', log }).then((i) => i.load(${JSON.stringify(archive)})).catch((error) => error.message)
      console.log(result)
    `
    writeFileSync(join(workshop.folder, 'readonly.ts'), code)
    const steps = [
      `mkdir -p ${point}`,
      `mount --bind ${point} ${point}`,
      `mount -o remount,bind,ro ${point}`,
      `${process.execPath} ${join(workshop.folder, 'readonly.ts')}`,
    ]
    const output = execFileSync('unshare', ['-m', '--propagation', 'private', 'sh', '-ec', steps.join('\n')], {
      encoding: 'utf8',
    })
    expect(output).toMatch(/read-only|EROFS/)
  })
})

describe('damaged layers', () => {
  test.each([
    ['a truncated gzip', (tar: Buffer) => gzipSync(tar).subarray(0, -100)],
    ['a wrong DiffID', (tar: Buffer) => gzipSync(Buffer.concat([tar, Buffer.alloc(512)]))],
    ['no gzip at all', (tar: Buffer) => tar],
  ])('%s: one clear error, and the good image loads into the same store', async (_title, encode) => {
    const root = join(workshop.folder, 'damaged')
    const images = await openImages({ root, log: silentLog })
    const pack = { encode, mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip' }
    const file = join(workshop.folder, 'damaged.tar')
    writeFileSync(file, anArchive(anImage({ layers, pack }), name))
    await expect(images.load(file)).rejects.toMatchObject({
      code: expect.stringMatching(/IMAGE_(LAYER_INVALID|DIGEST_MISMATCH)/),
    })
    expect(await images.list()).toEqual([])
    expect(readdirSync(join(root, 'snapshots'))).toEqual([])
    await images.load(archive)
    expect((await images.check()).faults).toEqual([])
    await images.prune({ all: true })
    expect(readdirSync(join(root, 'blobs/sha256'))).toEqual([])
    await images.close()
  })
})

describe('many layers', () => {
  test('120 layers: the root of a container that has not begun shows all of them', async () => {
    const many = Array.from({ length: 120 }, (_, at) => [{ name: `layer-${at}`, content: String(at) }])
    const file = join(workshop.folder, 'many.tar')
    writeFileSync(file, anArchive(anImage({ layers: many }), 'many.test/x:1'))
    await workshop.images.load(file)
    await workshop.images.prepare('many', 'many.test/x:1')
    await workshop.images.withRoot('many', undefined, async (root) => {
      expect(readdirSync(`/proc/self/fd/${root}/`).filter((entry) => entry.startsWith('layer-'))).toHaveLength(120)
    })
    expect(await workshop.images.diff('many')).toEqual([])
    expect(existsSync(join(workshop.root, 'containers/many/upper/layer-0'))).toBe(false)
  })
})
