import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  directAccess,
  fileKeychain,
  type Images,
  openImages,
  openRemoteImages,
  type RegistryAccess,
} from '../../images/index.ts'
import { RegistryClient } from '../../images/registry/client.ts'
import { parseRegistries } from '../../images/registry/registries.ts'
import { pushBlob } from '../../images/registry/upload.ts'
import { systemClock } from '../../runtime/base/clock.ts'
import { silentLog } from '../../runtime/base/log.ts'
import { anArchive, anImage, digestOf, type FixtureImage } from '../fixtures/image.ts'
import { aRegistry, type Registry, user } from './images/registry.ts'
import { aServer, certificates } from './images/servers.ts'
import { aWorkshop, type Workshop } from './images/store.ts'

/** What Debian's docker-registry has, keeps and asks for: users, platforms, uploads in pieces, referrers. */
const has = (program: string) => existsSync(`/usr/bin/${program}`)
const isRoot = process.getuid?.() === 0
const test = it.skipIf(!isRoot || !has('skopeo') || !has('docker-registry') || !has('openssl'))
const manifestType = 'application/vnd.oci.image.manifest.v1+json'
const indexType = 'application/vnd.oci.image.index.v1+json'

let workshop: Workshop
let plain: Registry
beforeAll(async () => {
  if (!isRoot) return
  workshop = await aWorkshop()
  plain = await aRegistry()
})
afterAll(async () => {
  await plain?.close()
  await workshop?.close()
})

let count = 0
async function aStore(access: Partial<RegistryAccess> = {}): Promise<Images> {
  const root = join(workshop.folder, `store-${count++}`)
  return openImages({ root, log: silentLog, access: { ...directAccess, ...access } })
}

/** Loads an image and pushes it under a name. */
async function pushed(images: Images, image: FixtureImage, ref: string): Promise<void> {
  const file = join(workshop.folder, `image-${count++}.tar`)
  writeFileSync(file, anArchive(image, ref))
  await images.load(file)
  await images.push(ref)
}

/** Puts a document into a repository of the plain registry, as some other tool would. */
async function put(path: string, mediaType: string, document: unknown): Promise<void> {
  const body = JSON.stringify(document)
  const answer = await fetch(`http://${plain.host}/v2/${path}`, {
    method: 'PUT',
    headers: { 'content-type': mediaType },
    body,
  })
  expect([answer.status, await answer.text()]).toEqual([201, ''])
}

describe('users', () => {
  test('TLS and a password, from config.json and from a credential helper', async () => {
    const pki = certificates(join(workshop.folder, 'pki'))
    const registry = await aRegistry({ tls: pki.server, withPassword: true })
    const folder = join(workshop.folder, 'docker')
    mkdirSync(folder)
    const tls = { ca_file: pki.ca }
    const registries = await parseRegistries(
      JSON.stringify({ configs: { [registry.host]: { tls } } }),
      'registries.yaml',
    )
    const pair = Buffer.from(`${user.username}:${user.password}`).toString('base64')
    const helper = `#!/bin/sh\nread server\n[ "$1 $server" = "get ${registry.host}" ] || exit 1\necho '${JSON.stringify({ Username: user.username, Secret: user.password })}'\n`
    writeFileSync(join(folder, 'docker-credential-test'), helper, { mode: 0o755 })
    const image = anImage({ layers: [[{ name: 'x', content: 'x' }]] })
    const ref = `${registry.host}/team/app:1`
    for (const [name, config] of [
      ['auths', { auths: { [registry.host]: { auth: pair } } }],
      ['helper', { credHelpers: { [registry.host]: 'test' } }],
    ] as const) {
      const file = join(folder, `${name}.json`)
      writeFileSync(file, JSON.stringify(config))
      const keychain = fileKeychain({ files: [file], path: `${folder}:${process.env.PATH}` })
      const images = await aStore({ registries, keychain })
      await pushed(images, image, ref)
      await images.remove(ref)
      expect((await images.pull(ref)).digest).toBe(image.manifestDigest)
      await images.close()
    }
    const nobody = await aStore({ registries })
    await expect(nobody.pull(ref)).rejects.toMatchObject({ code: 'IMAGE_UNAUTHORIZED' })
    await Promise.all([nobody.close(), registry.close()])
  })
})

describe('kinds of images', () => {
  test('an index: each machine gets its own, the best of the variants that it can run', async () => {
    const images = await aStore()
    const kinds = [
      ['amd64', undefined],
      ['arm64', 'v8'],
      ['arm', 'v6'],
      ['arm', 'v7'],
    ] as const
    const manifests = []
    for (const [architecture, variant] of kinds) {
      const content = `${architecture}/${variant}`
      const layers = [[{ name: 'which', content }]]
      const image = anImage({
        layers,
        architecture,
        ...(variant ? { edit: ({ config }) => void Object.assign(config, { variant }) } : {}),
      })
      // One that this machine cannot run is loaded and pushed as well as any.
      await pushed(images, image, `${plain.host}/team/kinds:${architecture}${variant ?? ''}`)
      const platform = { os: 'linux', architecture, ...(variant ? { variant } : {}) }
      manifests.push({ mediaType: manifestType, digest: image.manifestDigest, size: image.manifest.length, platform })
    }
    await put('team/kinds/manifests/all', indexType, { schemaVersion: 2, mediaType: indexType, manifests })
    const ref = `${plain.host}/team/kinds:all`
    for (const [platform, expected] of [
      ['linux/amd64', 'amd64/undefined'],
      ['linux/arm64', 'arm64/v8'],
      ['linux/arm/v7', 'arm/v7'],
      ['linux/arm/v6', 'arm/v6'],
      ['linux/arm', 'arm/v7'],
    ] as const) {
      const { digest } = await images.pull(ref, { platform })
      const { overlay } = await images.prepare(`c${count++}`, digest)
      expect(readFileSync(join(overlay.lower[0] ?? '', 'which'), 'utf8')).toBe(expected)
    }
    await expect(images.pull(ref, { platform: 'linux/s390x' })).rejects.toMatchObject({
      code: 'IMAGE_PLATFORM_MISSING',
      message: expect.stringContaining('linux/arm/v7'),
    })
    await images.close()
  })

  test('Docker schema 2 is pulled; schema 1 is refused by name', async () => {
    const images = await aStore()
    const ref = `${plain.host}/team/schemas`
    const image = anImage({ layers: [[{ name: 'x', content: 'x' }]] })
    await pushed(images, image, `${ref}:oci`)
    const skopeo = (...args: string[]) =>
      promisify(execFile)('skopeo', ['--insecure-policy', 'copy', ...args], { timeout: 30_000 })
    const flags = ['--src-tls-verify=false', '--dest-tls-verify=false']
    await skopeo(...flags, '--format', 'v2s2', `docker://${ref}:oci`, `docker://${ref}:v2`)
    expect((await images.pull(`${ref}:v2`)).id).toBe(image.configDigest)
    const old = await aServer((_, response) => {
      response.writeHead(200, { 'content-type': 'application/vnd.docker.distribution.manifest.v1+prettyjws' })
      response.end(JSON.stringify({ schemaVersion: 1, name: 'x', tag: '1', fsLayers: [], history: [], signatures: [] }))
    })
    await expect(images.pull(`${old.host}/team/old:1`)).rejects.toMatchObject({
      code: 'IMAGE_UNSUPPORTED',
      message: expect.stringMatching(new RegExp(`${old.host}/team/old:1.*sha256:.*schema 1`)),
    })
    await Promise.all([old.close(), images.close()])
  })
})

describe('many pulls at once', () => {
  test('no more blobs are on their way than allowed, and all images come', async () => {
    const images = await aStore()
    const refs = [1, 2, 3].map((n) => `${plain.host}/team/many:${n}`)
    for (const ref of refs) {
      const layers = [1, 2, 3].map((n) => [{ name: `${ref}-${n}`, content: randomBytes(1000) }])
      await pushed(images, anImage({ layers }), ref)
    }
    let [now, most] = [0, 0]
    // Stands before the registry, and holds every blob for a moment.
    const front = await aServer((request, response) => {
      const isBlob = request.url?.includes('/blobs/') ?? false
      if (isBlob) most = Math.max(most, ++now)
      const accept = String(request.headers.accept ?? '*/*')
      const answer = async () => {
        const got = await fetch(`http://${plain.host}${request.url}`, { headers: { accept } })
        if (isBlob) await sleep(250)
        if (isBlob) now--
        response.writeHead(got.status, { 'content-type': got.headers.get('content-type') ?? '' })
        response.end(Buffer.from(await got.arrayBuffer()))
      }
      void answer()
    })
    for (const limit of [2, 5]) {
      most = 0
      const root = join(workshop.folder, `limited-${limit}`)
      const limited = await openImages({ root, log: silentLog, access: directAccess, simultaneousDownloads: limit })
      await Promise.all(refs.map((ref) => limited.pull(ref.replace(plain.host, front.host))))
      expect(await limited.list()).toHaveLength(3)
      expect(most).toBe(limit)
      await limited.close()
    }
    await Promise.all([front.close(), images.close()])
  })
})

describe('uploads', () => {
  const bytes = randomBytes(5_500_000)
  const blob = { digest: digestOf(bytes) as `sha256:${string}`, size: bytes.length }
  const aPush = (host: string, path: string, chunkBytes: number) => {
    const file = join(workshop.folder, 'blob')
    writeFileSync(file, bytes)
    const repository = { domain: host, path }
    return { repository, blob, file, chunkBytes, auth: undefined, signal: undefined }
  }
  const aClient = () => new RegistryClient({ clock: systemClock, random: () => 0, ...directAccess })
  const stored = async (path: string) => {
    const answer = await fetch(`http://${plain.host}/v2/${path}/blobs/${blob.digest}`)
    return digestOf(Buffer.from(await answer.arrayBuffer()))
  }

  test.each([
    ['in one piece', 1 << 30, 0],
    ['in pieces', 1 << 20, 6],
  ])('a blob %s', async (_, chunkBytes, patches) => {
    const client = aClient()
    const before = plain.log().length
    const path = `team/upload-${patches}`
    expect(await pushBlob(client, aPush(plain.host, path, chunkBytes))).toBe('sent')
    const log = plain.log().slice(before)
    expect(log.match(/"PATCH \/v2\//g)?.length ?? 0).toBe(patches)
    expect(await stored(path)).toBe(blob.digest)
    expect(await pushBlob(client, aPush(plain.host, path, chunkBytes))).toBe('there')
    client.close()
  })

  test('a connection that breaks within a piece: the registry is asked how far it is, and it goes on there', async () => {
    let pieces = 0
    const serve = async (request: IncomingMessage, response: ServerResponse) => {
      if (request.method === 'PATCH' && ++pieces === 3) return void request.socket.destroy()
      const body: Buffer[] = []
      for await (const chunk of request) body.push(chunk as Buffer)
      const headers = Object.fromEntries(
        ['content-type', 'content-range'].flatMap((key) =>
          request.headers[key] ? [[key, String(request.headers[key])]] : [],
        ),
      )
      // The registry names its addresses by the host that it was asked for; here it must lead back to us.
      const answer = await fetch(`http://${plain.host}${request.url}`, {
        method: request.method ?? 'GET',
        headers,
        ...(body.length > 0 ? { body: Buffer.concat(body) } : {}),
      })
      const location = answer.headers.get('location')?.replace(plain.host, front.host)
      const range = answer.headers.get('range')
      response.writeHead(answer.status, { ...(location ? { location } : {}), ...(range ? { range } : {}) })
      response.end(request.method === 'HEAD' ? undefined : Buffer.from(await answer.arrayBuffer()))
    }
    const front = await aServer((request, response) => void serve(request, response))
    const client = aClient()
    expect(await pushBlob(client, aPush(front.host, 'team/broken', 1 << 20))).toBe('sent')
    expect(pieces).toBe(7)
    expect(await stored('team/broken')).toBe(blob.digest)
    client.close()
    await front.close()
  })
})

describe('referrers', () => {
  const subject = anImage({ layers: [[{ name: 'x', content: 'x' }]] })
  const about = { mediaType: manifestType, digest: subject.manifestDigest, size: subject.manifest.length }
  const aReferrer = (content: string) =>
    anImage({
      layers: [[{ name: 'note', content }]],
      edit: ({ manifest }) =>
        Object.assign(manifest, { subject: about, artifactType: `test/${content}`, annotations: { content } }),
    })

  test('a registry without the API: pushing keeps the index under the tag of the digest', async () => {
    const images = await aStore()
    const repository = `${plain.host}/team/referred`
    await pushed(images, subject, `${repository}:1`)
    const [one, two] = [aReferrer('one'), aReferrer('two')]
    await pushed(images, one, `${repository}:one`)
    await pushed(images, two, `${repository}:two`)
    await images.push(`${repository}:two`)
    const remote = openRemoteImages(directAccess)
    expect(await remote.referrers(`${repository}:1`)).toEqual([
      {
        mediaType: manifestType,
        digest: one.manifestDigest,
        size: one.manifest.length,
        artifactType: 'test/one',
        annotations: { content: 'one' },
      },
      {
        mediaType: manifestType,
        digest: two.manifestDigest,
        size: two.manifest.length,
        artifactType: 'test/two',
        annotations: { content: 'two' },
      },
    ])
    const found = await remote.referrers(`${repository}:1`, { artifactType: 'test/two' })
    expect(found.map(({ digest }) => digest)).toEqual([two.manifestDigest])
    remote.close()
    await images.close()
  })

  test('a registry with the API: page by page, and nothing is kept under a tag', async () => {
    const descriptor = (letter: string) => ({
      mediaType: manifestType,
      digest: `sha256:${letter.repeat(64)}`,
      size: 7,
      artifactType: `test/${letter}`,
    })
    const puts: string[] = []
    const server = await aServer((request, response) => {
      const url = new URL(request.url ?? '', 'http://x')
      if (request.method === 'PUT') {
        puts.push(url.pathname)
        return void response.writeHead(201, { 'oci-subject': about.digest }).end()
      }
      if (request.method === 'HEAD') return void response.writeHead(200).end()
      if (!url.pathname.includes('/referrers/')) return void response.writeHead(404).end()
      const isSecond = url.searchParams.get('after') === 'a'
      if (!isSecond) response.setHeader('link', `<${url.pathname}?after=a>; rel="next"`)
      const manifests = [descriptor(isSecond ? 'b' : 'a')]
      response.end(JSON.stringify({ schemaVersion: 2, mediaType: indexType, manifests }))
    })
    const remote = openRemoteImages(directAccess)
    const ref = `${server.host}/team/app@${about.digest}`
    expect((await remote.referrers(ref)).map(({ artifactType }) => artifactType)).toEqual(['test/a', 'test/b'])
    expect(await remote.referrers(ref, { artifactType: 'test/b' })).toHaveLength(1)
    const images = await aStore()
    await pushed(images, aReferrer('one'), `${server.host}/team/app:one`)
    expect(puts).toEqual(['/v2/team/app/manifests/one'])
    remote.close()
    await Promise.all([images.close(), server.close()])
  })
})
