import { randomBytes, randomFill } from 'node:crypto'
import { existsSync, readdirSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openImages } from '../../images/index.ts'
import { silentLog } from '../../runtime/base/log.ts'
import { anImage, digestOf, type FixtureImage, type ImageOptions } from '../fixtures/image.ts'
import { aTar, type TarEntry } from '../fixtures/tar.ts'
import { aServer } from './images/servers.ts'
import { aWorkshop, treeOf, type Workshop } from './images/store.ts'

/** Layers are unpacked while they are downloaded: what if the download does not end as it began? */
const test = it.skipIf(process.getuid?.() !== 0)
/** What does not pack: much of it is unpacked when half of it has come. */
const files = (label: string, count = 4): TarEntry[] =>
  Array.from({ length: count }, (_, at) => ({ name: `data/${label}-${at}`, content: randomBytes(1_000_000) }))

let workshop: Workshop
beforeAll(async () => {
  if (process.getuid?.() === 0) workshop = await aWorkshop()
})
afterAll(() => workshop?.close())

/** A registry of these images by tag, which sends blobs as `send` says, or whole. */
async function aRegistryOf(
  images: Record<string, FixtureImage>,
  send: (o: { bytes: Buffer; from: number; response: ServerResponse; tag: string }) => void,
) {
  return aServer((request, response) => {
    const [, tag = '', kind, wanted = ''] = /\/v2\/(\w+)\/(manifests|blobs)\/(.+)$/.exec(request.url ?? '') ?? []
    const image = images[tag]
    if (kind === 'manifests') return response.end(image?.manifest)
    const bytes = image?.blobs.get(wanted)
    if (!bytes) return response.writeHead(404).end()
    const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0)
    if (from > 0) response.writeHead(206, { 'content-range': `bytes ${from}-${bytes.length - 1}/${bytes.length}` })
    return wanted === image?.configDigest ? response.end(bytes) : send({ bytes, from, response, tag })
  })
}

let count = 0
async function aStore(o: { maximumLayerBytes?: number } = {}) {
  const root = join(workshop.folder, `along-${count++}`)
  return Object.assign(await openImages({ root, log: silentLog, ...o }), { root })
}
type Store = Awaited<ReturnType<typeof aStore>>

/** How many files lie in folders that have no name yet. */
function unnamedFiles({ root }: Store): number {
  const folder = join(root, 'snapshots')
  return readdirSync(folder)
    .filter((name) => name.startsWith('.'))
    .flatMap((name) => (existsSync(join(folder, name, 'data')) ? readdirSync(join(folder, name, 'data')) : [])).length
}

async function until(holds: () => boolean): Promise<void> {
  for (let left = 500; !holds(); left--) {
    if (left === 0) throw new Error('it never came to that')
    await sleep(20)
  }
}

async function expectNothing(store: Store): Promise<void> {
  expect(readdirSync(join(store.root, 'snapshots'))).toEqual([])
  expect(readdirSync(join(store.root, 'ingest'))).toEqual([])
  expect(await store.list()).toEqual([])
}

describe('the threads that unpack', () => {
  test('a pull that ends well or badly leaves none', async () => {
    const image = anImage({ layers: [files('n'), files('o'), files('p')] })
    const bad = anImage({ layers: [[{ name: 'x' }]], edit: ({ config }) => delete config.rootfs })
    const registry = await aRegistryOf({ image, bad }, ({ bytes, response }) => response.end(bytes))
    const store = await aStore()
    const threads = () => readdirSync('/proc/self/task').length
    // Those of Node's pool begin with their first work and stay.
    await Promise.all(Array.from({ length: 4 }, () => promisify(randomFill)(Buffer.alloc(1 << 20))))
    const before = threads()
    await expect(store.pull(`${registry.host}/bad:1`)).rejects.toMatchObject({ code: 'IMAGE_MANIFEST_INVALID' })
    await expect(store.pull(`${registry.host}/nothing:1`)).rejects.toThrow()
    expect((await store.pull(`${registry.host}/image:1`)).digest).toBe(image.manifestDigest)
    await until(() => threads() <= before)
    await Promise.all([store.close(), registry.close()])
  })
})

describe('a layer that is unpacked while it comes', () => {
  const packings: [string, NonNullable<ImageOptions['pack']>][] = [
    ['tar', { encode: (tar) => tar, mediaType: 'application/vnd.oci.image.layer.v1.tar' }],
    [
      'gzip',
      { encode: (tar) => gzipSync(tar, { level: 1 }), mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip' },
    ],
    ['zstd', { encode: (tar) => zstdCompressSync(tar), mediaType: 'application/vnd.oci.image.layer.v1.tar+zstd' }],
  ]
  test.each(packings)(
    '%s: files are there before all bytes are, and have their name only afterwards',
    async (_, pack) => {
      const tar = aTar(files('a'))
      const image = anImage({ layers: [tar], pack })
      const held: (() => void)[] = []
      const registry = await aRegistryOf({ app: image }, ({ bytes, response }) => {
        response.write(bytes.subarray(0, -1000))
        held.push(() => response.end(bytes.subarray(-1000)))
      })
      const store = await aStore()
      const states: string[] = []
      const pulling = store.pull(`${registry.host}/app:1`, { onProgress: ({ state }) => states.push(state) })
      await until(() => unnamedFiles(store) > 0)
      expect(readdirSync(join(store.root, 'snapshots')).every((name) => name.startsWith('.'))).toBe(true)
      for (const release of held) release()
      expect((await pulling).digest).toBe(image.manifestDigest)
      expect((await store.check()).faults).toEqual([])
      const { overlay } = await store.prepare('c', `${registry.host}/app:1`)
      const [loaded = ''] = await workshop.load({ layers: [tar], pack })
      expect(treeOf(overlay.lower[0] ?? '')).toEqual(treeOf(loaded))
      // What is told goes forward only, although both happen at once.
      expect(states.lastIndexOf('downloading')).toBeLessThan(states.indexOf('extracting'))
      await Promise.all([store.close(), registry.close()])
    },
  )

  test('its contents are right, its own digest is not: no folder, no blob', async () => {
    const image = anImage({ layers: [files('b')] })
    const registry = await aRegistryOf({ app: image }, ({ bytes, response }) => {
      // The time in the head of a gzip file: what is in it stays the same.
      const other = Buffer.from(bytes)
      other.writeUInt32LE(12345, 4)
      response.end(other)
    })
    const store = await aStore()
    await expect(store.pull(`${registry.host}/app:1`)).rejects.toMatchObject({ code: 'IMAGE_DIGEST_MISMATCH' })
    await expectNothing(store)
    expect(readdirSync(join(store.root, 'blobs/sha256'))).toEqual([image.configDigest.slice(7)])
    await Promise.all([store.close(), registry.close()])
  })

  const gzipped = { mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip' }
  const foreignDiffId: ImageOptions['edit'] = ({ config }) => {
    config.rootfs = { type: 'layers', diff_ids: [digestOf('other')] }
  }
  test.each<[string, string, ImageOptions]>([
    ['contents of another digest', 'IMAGE_DIGEST_MISMATCH', { layers: [files('c')], edit: foreignDiffId }],
    [
      'a gzip file that is cut short',
      'IMAGE_LAYER_INVALID',
      { layers: [files('d')], pack: { encode: (tar) => gzipSync(tar).subarray(0, -100), ...gzipped } },
    ],
    ['no gzip file', 'IMAGE_LAYER_INVALID', { layers: [files('e')], pack: { encode: (tar) => tar, ...gzipped } }],
  ])('%s, below a digest that is right: the error of the contents, no folder', async (_, code, options) => {
    const registry = await aRegistryOf({ app: anImage(options) }, ({ bytes, response }) => response.end(bytes))
    const store = await aStore()
    await expect(store.pull(`${registry.host}/app:1`)).rejects.toMatchObject({ code })
    await expectNothing(store)
    await Promise.all([store.close(), registry.close()])
  })

  test('a connection that breaks in the middle: it goes on where it broke', async () => {
    const image = anImage({ layers: [files('f')] })
    const store = await aStore()
    const begun: number[] = []
    const registry = await aRegistryOf({ app: image }, ({ bytes, from, response }) => {
      begun.push(from)
      if (from > 0) return void response.end(bytes.subarray(from))
      response.write(bytes.subarray(0, 2_500_000))
      void until(() => unnamedFiles(store) > 0).then(() => response.destroy())
    })
    expect((await store.pull(`${registry.host}/app:1`)).digest).toBe(image.manifestDigest)
    expect(begun).toEqual([0, expect.any(Number)])
    expect(begun[1]).toBeGreaterThan(1_000_000)
    expect((await store.check()).faults).toEqual([])
    await Promise.all([store.close(), registry.close()])
  })

  test('an earlier attempt left bytes that were never right: what came of them is thrown away', async () => {
    const image = anImage({ layers: [files('g')] })
    const store = await aStore()
    let isAlive = false
    const registry = await aRegistryOf({ app: image }, ({ bytes, from, response }) => {
      if (isAlive) return void response.end(bytes.subarray(from))
      if (from > 0) return void response.destroy()
      response.write(randomBytes(2_000_000))
      setTimeout(() => response.destroy(), 200)
    })
    await expect(store.pull(`${registry.host}/app:1`)).rejects.toMatchObject({ code: 'IMAGE_REGISTRY' })
    expect(readdirSync(join(store.root, 'partial'))).toHaveLength(1)
    isAlive = true
    expect((await store.pull(`${registry.host}/app:1`)).digest).toBe(image.manifestDigest)
    expect((await store.check()).faults).toEqual([])
    await Promise.all([store.close(), registry.close()])
  })

  test('two images with a common layer, and the one that began is given up: the other comes', async () => {
    const base = aTar(files('h'))
    // The first has no other layer: that one could come first, and take the only thread for layers on their way.
    const [first, second] = [anImage({ layers: [base] }), anImage({ layers: [base, files('j', 1)] })]
    const held: (() => void)[] = []
    const registry = await aRegistryOf({ first, second }, ({ bytes, response }) => {
      response.write(bytes.subarray(0, bytes.length >> 1))
      held.push(() => response.end(bytes.subarray(bytes.length >> 1)))
    })
    const store = await aStore()
    const stop = new AbortController()
    const given = store.pull(`${registry.host}/first:1`, { signal: stop.signal })
    given.catch(() => {})
    await until(() => held.length === 1 && unnamedFiles(store) > 0)
    const other = store.pull(`${registry.host}/second:1`)
    // Its own layer; the common one is on its way.
    await until(() => held.length === 2)
    stop.abort(new Error('enough'))
    await expect(given).rejects.toThrow('enough')
    for (const release of held) release()
    expect((await other).digest).toBe(second.manifestDigest)
    expect((await store.check()).faults).toEqual([])
    expect(registry.asked.filter((line) => line.includes([...first.blobs.keys()][1] ?? '-'))).toHaveLength(1)
    await Promise.all([store.close(), registry.close()])
  })

  test('more bytes than allowed: the rest is not waited for', async () => {
    const closed: boolean[] = []
    const registry = await aRegistryOf({ app: anImage({ layers: [files('k')] }) }, ({ bytes, response }) => {
      response.on('close', () => closed.push(true))
      response.write(bytes.subarray(0, 3_500_000))
    })
    const store = await aStore({ maximumLayerBytes: 1 << 20 })
    await expect(store.pull(`${registry.host}/app:1`)).rejects.toMatchObject({ code: 'IMAGE_TOO_LARGE' })
    await until(() => closed.length === 1)
    await expectNothing(store)
    await Promise.all([store.close(), registry.close()])
  })

  test('many that stand still in the middle: others are unpacked meanwhile', async () => {
    const tags = Array.from({ length: 5 }, (_, at) => `still${at}`)
    const quick = anImage({ layers: [files('m')] })
    const still = Object.fromEntries(tags.map((tag) => [tag, anImage({ layers: [files(tag)] })]))
    const registry = await aRegistryOf({ ...still, quick }, ({ bytes, response, tag }) => {
      if (tag === 'quick') response.end(bytes)
      else response.write(bytes.subarray(0, 2_000_000))
    })
    const store = await aStore()
    const stop = new AbortController()
    const waiting = tags.map((tag) => store.pull(`${registry.host}/${tag}:1`, { signal: stop.signal }))
    await until(
      () => unnamedFiles(store) > 0 && registry.asked.filter((line) => /still.*blobs/.test(line)).length === 10,
    )
    expect((await store.pull(`${registry.host}/quick:1`)).digest).toBe(quick.manifestDigest)
    stop.abort(new Error('enough'))
    expect((await Promise.allSettled(waiting)).map(({ status }) => status)).toEqual(tags.map(() => 'rejected'))
    expect(readdirSync(join(store.root, 'snapshots'))).toHaveLength(1)
    await Promise.all([store.close(), registry.close()])
  })
})
