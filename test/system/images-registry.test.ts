import { execFile } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { directAccess, type Images, openImages, openRemoteImages, type RegistryAccess } from '../../images/index.ts'
import { parseRegistries } from '../../images/registry/registries.ts'
import { silentLog } from '../../runtime/base/log.ts'
import { anArchive, anImage, type FixtureImage } from '../fixtures/image.ts'
import { aRegistry, freePort, type Registry, user } from './images/registry.ts'
import { aProxy, aServer, aTokenServer, certificates } from './images/servers.ts'
import { aWorkshop, type Workshop } from './images/store.ts'

const has = (program: string) => existsSync(`/usr/bin/${program}`)
const isRoot = process.getuid?.() === 0
const test = it.skipIf(!isRoot || !has('skopeo') || !has('docker-registry') || !has('openssl'))
const name = 'example.test/team/app:1.0'
const big = randomBytes(6_000_000)
const image = anImage({
  layers: [[{ name: 'big', content: big }], [{ name: 'small', content: 'x' }]],
  config: { Cmd: ['x'] },
})

let workshop: Workshop
let plain: Registry
beforeAll(async () => {
  if (!isRoot) return
  workshop = await aWorkshop()
  writeFileSync(join(workshop.folder, 'app.tar'), anArchive(image, name))
  await workshop.images.load(join(workshop.folder, 'app.tar'))
  plain = await aRegistry()
})
afterAll(async () => {
  await plain?.close()
  await workshop?.close()
})

let count = 0
/** An empty store that reaches registries in its own way; with an image under this name when one is given. */
async function aStore(access: Partial<RegistryAccess> = {}, named?: string): Promise<Images & { root: string }> {
  const root = join(workshop.folder, `store-${count++}`)
  const images = await openImages({ root, log: silentLog, access: { ...directAccess, ...access } })
  if (named !== undefined) {
    await images.load(join(workshop.folder, 'app.tar'))
    await images.tag(name, named)
  }
  return Object.assign(images, { root })
}
const leftIn = ({ root }: { root: string }) =>
  ['ingest', 'partial', 'blobs/sha256'].flatMap((folder) =>
    existsSync(join(root, folder)) ? readdirSync(join(root, folder)) : [],
  )
const skopeo = (...args: string[]) => promisify(execFile)('skopeo', ['--insecure-policy', ...args], { timeout: 30_000 })
const registriesOf = (value: unknown) => parseRegistries(JSON.stringify(value), 'registries.yaml')

describe('registries: ways of reaching them', () => {
  test('TLS with an authority of its own, and a client certificate: pushed and pulled', async () => {
    const pki = certificates(join(workshop.folder, 'pki'))
    const registry = await aRegistry({ tls: { ...pki.server, clientcas: [pki.ca] } })
    const ref = `${registry.host}/team/tls:1`
    const tls = { ca_file: pki.ca, cert_file: pki.client.certificate, key_file: pki.client.key }
    const images = await aStore({ registries: await registriesOf({ configs: { [registry.host]: { tls } } }) }, ref)
    await images.push(ref)
    await images.remove(ref)
    expect((await images.pull(ref)).digest).toBe(image.manifestDigest)
    const stranger = await aStore()
    await expect(stranger.pull(ref)).rejects.toMatchObject({
      code: 'IMAGE_REGISTRY',
      message: expect.stringContaining(registry.host),
    })
    await Promise.all([images.close(), stranger.close(), registry.close()])
  })

  test('token server: push with a mount from another repository, pull by password and by identity token', async () => {
    const tokens = await aTokenServer(join(workshop.folder, 'tokens'))
    const registry = await aRegistry({ token: tokens.config })
    const [first, second] = [`${registry.host}/team/one:1`, `${registry.host}/team/two:1`]
    const images = await aStore({}, first)
    await images.push(first, { auth: user })
    const states: string[] = []
    await images.tag(first, second)
    await images.push(second, { auth: user, onProgress: ({ state }) => states.push(state) })
    expect(states.filter((state) => state !== 'sending')).toEqual(['mounted', 'mounted', 'mounted'])
    const auth = { username: '', password: '', identityToken: 'identity' }
    expect((await (await aStore()).pull(second, { auth })).digest).toBe(image.manifestDigest)
    expect(tokens.asked.some((line) => line.startsWith('POST'))).toBe(true)
    await expect((await aStore()).pull(second)).rejects.toMatchObject({ code: 'IMAGE_UNAUTHORIZED' })
    const copy = join(workshop.folder, 'by-skopeo')
    const creds = ['--src-tls-verify=false', '--src-creds', `${user.username}:${user.password}`]
    await skopeo('copy', ...creds, `docker://${second}`, `dir:${copy}`)
    expect(readFileSync(join(copy, 'manifest.json'))).toEqual(image.manifest)
    await Promise.all([images.close(), registry.close(), tokens.close()])
  })

  test('a proxy: by CONNECT for TLS, by address without; the name is resolved there', async () => {
    const pki = certificates(join(workshop.folder, 'pki-proxy'))
    const registry = await aRegistry({ tls: pki.server })
    const proxy = await aProxy(registry.host)
    const address = `http://${proxy.host}`
    const configs = { 'registry.test:5000': { tls: { ca_file: pki.ca } } }
    const ref = 'registry.test:5000/team/app:1'
    const access = { registries: await registriesOf({ configs }), proxies: { https: address, http: address } }
    const images = await aStore(access, ref)
    await images.push(ref)
    await images.remove(ref)
    expect((await images.pull(ref)).digest).toBe(image.manifestDigest)
    expect(proxy.asked.every((line) => line.startsWith('CONNECT registry.test:5000'))).toBe(true)
    const plainProxy = await aProxy(plain.host)
    const mirrors = { 'plain.test': { endpoint: ['http://plain.test'] } }
    const other = await aStore(
      { registries: await registriesOf({ mirrors }), proxies: { http: `http://${plainProxy.host}` } },
      `${plain.host}/team/proxied:1`,
    )
    await other.push(`${plain.host}/team/proxied:1`)
    await other.pull('plain.test/team/proxied:1')
    expect(plainProxy.asked[0]).toContain('GET http://plain.test/v2/team/proxied/manifests/1')
    await Promise.all([images.close(), other.close(), registry.close(), proxy.close(), plainProxy.close()])
  })

  test('mirrors: the next when one fails, other paths there, and no user of the registry sent to them', async () => {
    const dead = `127.0.0.1:${await freePort()}`
    const broken = await aServer((_, response) => response.writeHead(500).end())
    const images = await aStore({}, `${plain.host}/hub/app:1`)
    await images.push(`${plain.host}/hub/app:1`)
    const mirror = {
      endpoint: [`http://${dead}`, `http://${broken.host}`, `http://${plain.host}`],
      rewrite: { '^team/(.*)': 'hub/$1' },
    }
    const store = await aStore({ registries: await registriesOf({ mirrors: { 'origin.test': mirror } }) })
    const { digest, references } = await store.pull('origin.test/team/app:1', { auth: user })
    expect(digest).toBe(image.manifestDigest)
    expect(references).toContain('origin.test/team/app:1')
    expect(broken.asked[0]).toBe('GET /v2/hub/app/manifests/1?ns=origin.test -')
    expect(broken.asked.every((line) => line.endsWith(' -'))).toBe(true)
    await Promise.all([images.close(), store.close(), broken.close()])
  })

  test('tags by pages, referrers by their tag, removal by digest', async () => {
    const ref = `${plain.host}/team/listed:1`
    const images = await aStore({}, ref)
    for (const tag of ['1', '2', '3']) {
      await images.tag(name, `${plain.host}/team/listed:${tag}`)
      await images.push(`${plain.host}/team/listed:${tag}`)
    }
    const remote = openRemoteImages(directAccess)
    expect((await remote.tags(`${plain.host}/team/listed`)).sort()).toEqual(['1', '2', '3'])
    expect(await remote.referrers(ref)).toEqual([])
    await remote.remove(`${plain.host}/team/listed@${image.manifestDigest}`)
    await expect(images.pull(`${plain.host}/team/listed:2`)).rejects.toMatchObject({ code: 'IMAGE_NOT_FOUND' })
    remote.close()
    await images.close()
  })
})

describe('registries: faults', () => {
  test('killed in the middle of a blob: the next pull goes on where it broke', async () => {
    const ref = `${plain.host}/team/killed:1`
    const source = await aStore({}, ref)
    await source.push(ref)
    const layer = [...image.blobs].find(([, bytes]) => bytes.length > 5_000_000)?.[0] ?? ''
    const ranges: (string | undefined)[] = []
    let isAlive = false
    // Stands before the registry, and dies when half of the layer has come to us.
    const serve = async (request: IncomingMessage, response: ServerResponse) => {
      const isLayer = request.url?.endsWith(layer)
      if (isLayer) ranges.push(request.headers.range)
      const { range, accept = '*/*' } = request.headers
      const headers = { accept, ...(range ? { range } : {}) }
      const answer = await fetch(`http://${plain.host}${request.url}`, { headers })
      const bytes = Buffer.from(await answer.arrayBuffer())
      const kept = ['content-type', 'content-range', 'content-length']
      const head = Object.fromEntries(
        kept.flatMap((key) => (answer.headers.has(key) ? [[key, answer.headers.get(key) ?? '']] : [])),
      )
      response.writeHead(answer.status, head)
      if (!isLayer || isAlive) return void response.end(bytes)
      response.write(bytes.subarray(0, 3_000_000))
    }
    const front = await aServer((request, response) => void serve(request, response))
    front.server.on('connection', (socket) => {
      if (ranges.length > 0 && !isAlive) socket.destroy()
    })
    const images = await aStore()
    const onProgress = ({ received, total }: { received: number; total: number }) => {
      if (received === 3_000_000 && received < total) front.server.closeAllConnections()
    }
    const pulling = images.pull(`${front.host}/team/killed:1`, { onProgress })
    await expect(pulling).rejects.toMatchObject({ code: 'IMAGE_REGISTRY' })
    expect(readdirSync(join(images.root, 'ingest'))).toEqual([])
    expect(await images.list()).toEqual([])
    isAlive = true
    expect((await images.pull(`${front.host}/team/killed:1`)).digest).toBe(image.manifestDigest)
    expect(ranges).toEqual([undefined, 'bytes=3000000-'])
    await Promise.all([images.close(), source.close(), front.close()])
  })

  test('a second pull: no blob is asked for, and it takes no time', async () => {
    const ref = `${plain.host}/team/again:1`
    const images = await aStore({}, ref)
    await images.push(ref)
    await images.pull(ref)
    const before = plain.log().length
    const times: number[] = []
    for (let round = 0; round < 5; round++) {
      const started = performance.now()
      await images.pull(ref)
      times.push(performance.now() - started)
    }
    expect(plain.log().slice(before)).not.toMatch(/(GET|HEAD) \/v2\/team\/again\/blobs/)
    console.log(`second pull: ${times.map((time) => time.toFixed(1)).join(', ')} ms`)
    expect(times.sort((a, b) => a - b)[2]).toBeLessThanOrEqual(50)
    await images.close()
  })

  const manifest = JSON.parse(image.manifest.toString()) as { layers: { digest: string; size: number }[] }
  const digestOf = (bytes: Buffer) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`
  const resized = (by: number) => {
    const layers = manifest.layers.map((layer) => ({ ...layer, size: layer.size + by }))
    return Buffer.from(JSON.stringify({ ...manifest, layers }))
  }
  const cyclic = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.index.v1+json',
      manifests: [
        { mediaType: 'application/vnd.oci.image.index.v1+json', digest: digestOf(Buffer.from('x')), size: 9 },
      ],
    }),
  )
  const rootless = anImage({ layers: [], edit: ({ config }) => delete config.rootfs })
  const foreign = Buffer.from(JSON.stringify({ ...manifest, mediaType: 'application/vnd.test.v7+json' }))
  const layerBytes = (url: string, { blobs } = image) => blobs.get(url.split('/').at(-1) ?? '')
  interface Lie {
    image?: FixtureImage
    manifest?: Buffer
    blob?: (bytes: Buffer, response: ServerResponse) => void
  }
  test.each<[string, string, Lie]>([
    ['a manifest of an unknown type', 'IMAGE_MANIFEST_INVALID', { manifest: foreign }],
    ['a configuration without rootfs', 'IMAGE_MANIFEST_INVALID', { image: rootless }],
    ['a size that is too small', 'IMAGE_DIGEST_MISMATCH', { manifest: resized(-1) }],
    ['a size that is too large', 'IMAGE_DIGEST_MISMATCH', { manifest: resized(+1) }],
    [
      'other bytes of the same length',
      'IMAGE_DIGEST_MISMATCH',
      { blob: (bytes, response) => response.end(Buffer.alloc(bytes.length)) },
    ],
    [
      'half of a blob',
      'IMAGE_DIGEST_MISMATCH',
      { blob: (bytes, response) => response.end(bytes.subarray(0, bytes.length >> 1)) },
    ],
    ['a body without end', 'IMAGE_DIGEST_MISMATCH', { blob: (_, response) => endless(response) }],
    ['an index that leads to itself', 'IMAGE_DIGEST_MISMATCH', { manifest: cyclic }],
    ['a manifest of 9 MB', 'IMAGE_REGISTRY', { manifest: Buffer.alloc(9_000_000, ' ') }],
    ['schema 1', 'IMAGE_UNSUPPORTED', { manifest: Buffer.from('{"schemaVersion":1}') }],
    ['no JSON', 'IMAGE_MANIFEST_INVALID', { manifest: Buffer.from('<html>') }],
    [
      '429 for ever',
      'IMAGE_REGISTRY',
      { blob: (_, response) => response.writeHead(429, { 'retry-after': '0' }).end() },
    ],
    ['503 for ever', 'IMAGE_REGISTRY', { blob: (_, response) => response.writeHead(503).end() }],
  ])('%s: one clear error, nothing is left', async (_, code, lie) => {
    const told = lie.image ?? image
    const liar = await aServer((request, response) => {
      const url = request.url ?? ''
      if (url.includes('/manifests/')) return response.end(lie.manifest ?? told.manifest)
      const bytes = layerBytes(url, told)
      if (!bytes) return response.writeHead(404).end()
      return lie.blob ? lie.blob(bytes, response) : response.end(bytes)
    })
    const images = await aStore()
    const failure = await images.pull(`${liar.host}/team/app:1`).then(
      () => undefined,
      (error: unknown) => error as Error & { code: string },
    )
    expect(failure).toMatchObject({ code })
    expect(failure?.message).toMatch(new RegExp(`${liar.host}/team/app|sha256:`))
    expect(await images.list()).toEqual([])
    // Whole, verified blobs may stay for the next pull; removal takes them.
    expect(leftIn(images).filter((entry) => !told.blobs.has(`sha256:${entry}`))).toEqual([])
    expect(await images.collect()).toBe(true)
    expect(leftIn(images)).toEqual([])
    await images.close()
    await liar.close()
  })

  test('a redirect of a blob: the other host sees no user', async () => {
    const storage = await aServer((request, response) => void response.end(layerBytes(request.url ?? '')))
    const registry = await aServer((request, response) => {
      const url = request.url ?? ''
      if (!request.headers.authorization)
        return response.writeHead(401, { 'www-authenticate': 'Basic realm="r"' }).end()
      if (url.includes('/manifests/')) return response.end(image.manifest)
      return response.writeHead(307, { location: `http://${storage.host}${url}` }).end()
    })
    const images = await aStore()
    await images.pull(`${registry.host}/team/app:1`, { auth: user })
    expect(storage.asked.length).toBeGreaterThan(0)
    expect(storage.asked.every((line) => line.endsWith(' -'))).toBe(true)
    await Promise.all([images.close(), storage.close(), registry.close()])
  })
})

function endless(response: ServerResponse): void {
  const more = () => {
    while (!response.destroyed && response.write(Buffer.alloc(1 << 20)));
    if (!response.destroyed) response.once('drain', more)
  }
  more()
}
