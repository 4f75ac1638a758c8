import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { silentLog } from '../runtime/base/log.ts'
import { Catalog } from './catalog.ts'
import { type IndexFile, openIndexFile } from './index-file.ts'
import { mediaTypes } from './manifest.ts'
import { type BlobStore, openBlobStore } from './store.ts'

let root: string
let index: IndexFile
let blobs: BlobStore
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'coracle-index-'))
  blobs = await openBlobStore(root)
  index = await openIndexFile(root)
})
afterEach(() => rm(root, { recursive: true, force: true }))

const write = (document: object) => blobs.writeDocument(Buffer.from(JSON.stringify(document)))

/** An image without layers; `of` tells it from others. */
async function anImage(of: string) {
  const config = { architecture: 'amd64', os: 'linux', author: of, rootfs: { type: 'layers', diff_ids: [] } }
  const digest = await write(config)
  const size = JSON.stringify(config).length
  const manifest = {
    schemaVersion: 2,
    mediaType: mediaTypes.ociManifest,
    config: { mediaType: mediaTypes.ociConfig, digest, size },
    layers: [],
  }
  return { mediaType: mediaTypes.ociManifest, digest: await write(manifest), size: JSON.stringify(manifest).length }
}

describe('index file: a name means one image', () => {
  const names = ['example.com/a:1', 'example.com/b:1']
  it('also when all names of an image go to another: the first one has none, and is still there', async () => {
    const catalog = new Catalog({ blobs, index, log: silentLog })
    const before = await anImage('before')
    const after = await anImage('after')
    await catalog.add({ descriptor: before, references: names })
    await catalog.add({ descriptor: after, references: names })
    const entries = (await index.read()).map(({ digest, reference }) => [digest, reference])
    expect(entries).toEqual([[before.digest, undefined], ...names.map((name) => [after.digest, name])])
    for (const name of names) expect((await catalog.find(name))?.digest).toBe(after.digest)
  })
  it('and an image that has its names already leaves the file as it is', async () => {
    const catalog = new Catalog({ blobs, index, log: silentLog })
    const [one, other] = [await anImage('one'), await anImage('other')]
    await catalog.add({ descriptor: one, references: names })
    await catalog.add({ descriptor: other, references: ['example.com/c:1'] })
    const before = await stat(join(root, 'index.json'))
    const again = await catalog.add({ descriptor: one, references: names })
    expect((await stat(join(root, 'index.json'))).ino).toBe(before.ino)
    expect(again.references).toEqual(names)
    await catalog.add({ descriptor: other, references: names })
    expect((await catalog.find(names[0] as string))?.digest).toBe(other.digest)
  })
  it('a name that a descriptor had elsewhere is none here; its other annotations stay', async () => {
    const { mediaType, digest, size } = await anImage('elsewhere')
    const annotations = { 'org.opencontainers.image.ref.name': 'latest', 'example.com/x': 'y' }
    await index.change(() => [{ mediaType, digest, size, annotations, reference: undefined }])
    const [entry] = await index.read()
    expect([entry?.reference, entry?.annotations]).toEqual([undefined, { 'example.com/x': 'y' }])
  })
})
