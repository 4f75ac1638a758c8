import { execFile, execFileSync, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { zstdCompressSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { busyboxImage, type Images, nodeImage, openImages } from '../../images/index.ts'
import { silentLog } from '../../runtime/base/log.ts'
import { anArchive, anImage } from '../fixtures/image.ts'
import { aRegistry, type Registry, user } from './images/registry.ts'
import { aWorkshop, seenThroughOverlay, treeOf, type Workshop } from './images/store.ts'

const has = (program: string) => existsSync(`/usr/bin/${program}`)
const isRoot = process.getuid?.() === 0
const test = it.skipIf(!isRoot || !has('skopeo') || !has('docker-registry') || !existsSync('/bin/busybox'))
const name = 'example.test/team/app:1.0'

/** Three layers with files, so that there is something to do side by side. */
const content = (seed: number) => Buffer.alloc(300_000, `layer ${seed} `)
const layers = [0, 1, 2].map((seed) => [
  { name: 'data/', mode: 0o755 },
  ...Array.from({ length: 40 }, (_, at) => ({ name: `data/${seed}-${at}`, content: content(seed * 100 + at) })),
])

/** skopeo, without asking who signed. */
async function skopeo(...args: string[]): Promise<string> {
  return (await promisify(execFile)('skopeo', ['--insecure-policy', ...args], { timeout: 30_000 })).stdout
}

let workshop: Workshop
let source: string
beforeAll(async () => {
  if (!isRoot) return
  workshop = await aWorkshop()
  await workshop.images.build(busyboxImage('coracle.local/busybox:1', '/bin/busybox'))
  writeFileSync(
    join(workshop.folder, 'app.tar'),
    anArchive(anImage({ layers, config: { Env: ['A=b'], Cmd: ['x'] } }), name),
  )
  await workshop.images.load(join(workshop.folder, 'app.tar'))
  source = `oci:${workshop.root}:${name}`
})
afterAll(() => workshop?.close())

/** The same image with layers packed by zstd, which this skopeo cannot do itself. */
async function withZstd(): Promise<string> {
  const pack = {
    encode: (tar: Buffer) => zstdCompressSync(tar),
    mediaType: 'application/vnd.oci.image.layer.v1.tar+zstd',
  }
  writeFileSync(join(workshop.folder, 'zstd.tar'), anArchive(anImage({ layers, pack }), 'zstd.test/app:1'))
  await workshop.images.load(join(workshop.folder, 'zstd.tar'))
  return `oci:${workshop.root}:zstd.test/app:1`
}

/** A second, empty store beside the first. */
async function anEmptyStore(label: string, more: Partial<Parameters<typeof openImages>[0]> = {}): Promise<Images> {
  return openImages({ root: join(workshop.folder, label), log: silentLog, ...more })
}

describe('load', () => {
  test.each([
    ['oci-archive', name, name],
    ['docker-archive', name, name],
    ['oci-archive', 'app:2', 'docker.io/library/app:2'],
    ['docker-archive', 'app:2', 'docker.io/library/app:2'],
  ])('%s of skopeo, called %s', async (kind, given, expected) => {
    const file = join(workshop.folder, `${kind}.tar`)
    rmSync(file, { force: true })
    await skopeo('copy', source, `${kind}:${file}:${given}`)
    const images = await anEmptyStore(`loaded-${kind}-${given.length}`)
    const [record] = await images.load(file)
    const original = await workshop.images.inspect(name)
    expect(record).toMatchObject({ id: original?.id, references: [expected], config: { Env: ['A=b'], Cmd: ['x'] } })
    expect(await images.inspect(record?.id ?? '')).toEqual(record)
    const [ours, theirs] = [await images.prepare('a', expected), await workshop.images.prepare('a', name)]
    expect(ours.overlay.lower.map(treeOf)).toEqual(theirs.overlay.lower.map(treeOf))
    await workshop.images.discard('a')
    await images.close()
  })

  test('an archive packed with gzip', async () => {
    execFileSync('gzip', ['-k', join(workshop.folder, 'app.tar')])
    const images = await anEmptyStore('gzipped')
    expect((await images.load(join(workshop.folder, 'app.tar.gz')))[0]?.references).toEqual([name])
    expect(readdirSync(join(workshop.folder, 'gzipped', 'ingest'))).toEqual([])
    await images.close()
  })

  test('what is no archive: is refused with a reason', async () => {
    const file = join(workshop.folder, 'text')
    writeFileSync(file, 'hello')
    await expect(workshop.images.load(file)).rejects.toMatchObject({ code: 'IMAGE_ARCHIVE_INVALID' })
    await expect(workshop.images.load('/nonexistent')).rejects.toThrow(/no such file/)
    const damaged = readFileSync(join(workshop.folder, 'app.tar'))
    const middle = Math.floor(damaged.length / 2)
    damaged.writeUInt8(damaged.readUInt8(middle) ^ 1, middle)
    writeFileSync(file, damaged)
    const images = await anEmptyStore('damaged')
    await expect(images.load(file)).rejects.toMatchObject({
      code: expect.stringMatching(/IMAGE_(DIGEST_MISMATCH|ARCHIVE_INVALID)/),
    })
    expect(await images.list()).toEqual([])
    await images.close()
  })
})

describe('the store', () => {
  test('is an OCI layout that skopeo and umoci read', async () => {
    const shown = JSON.parse(await skopeo('inspect', source)) as { Digest: string }
    expect(shown.Digest).toBe((await workshop.images.inspect(name))?.digest)
    await skopeo('copy', source, `dir:${join(workshop.folder, 'copied')}`)
    expect(readdirSync(join(workshop.folder, 'copied'))).toContain('manifest.json')
  })

  test('save: what it writes is what skopeo reads and what load gives back', async () => {
    const file = join(workshop.folder, 'saved.tar')
    await workshop.images.tag(name, 'other.test/app:2')
    await workshop.images.save([name, 'other.test/app:2'], file)
    const before = await workshop.images.inspect(name)
    const shown = JSON.parse(await skopeo('inspect', `oci-archive:${file}:${name}`)) as { Digest: string }
    expect(shown.Digest).toBe(before?.digest)
    const images = await anEmptyStore('saved')
    const [loaded] = await images.load(file)
    expect(loaded).toMatchObject({ id: before?.id, digest: before?.digest })
    expect((await images.list())[0]?.references).toEqual(['example.test/team/app:1.0', 'other.test/app:2'])
    await images.close()
    await workshop.images.remove('other.test/app:2')
  })

  test('history, usage, prune: what an image is made of, and what can go', async () => {
    const images = await anEmptyStore('habits')
    await images.load(join(workshop.folder, 'app.tar'))
    const steps = await images.history(name)
    expect(steps.filter(({ size }) => size > 0)).toHaveLength(3)
    const { size } = (await images.inspect(name)) ?? { size: 0 }
    expect(await images.usage()).toEqual({ total: 1, active: 0, size, reclaimable: size })
    await images.prepare('user', name)
    expect(await images.usage()).toMatchObject({ active: 1, reclaimable: 0 })
    expect(await images.prune({ all: true })).toEqual([])
    await images.discard('user')
    expect((await images.prune()).length).toBe(0)
    expect((await images.prune({ all: true })).map(({ references }) => references)).toEqual([[name]])
    expect(await images.list()).toEqual([])
    await expect(images.history(name)).rejects.toMatchObject({ code: 'IMAGE_NOT_FOUND' })
    await images.close()
  })

  test('an overlay of our layers is what umoci unpacks', async () => {
    const bundle = join(workshop.folder, 'bundle')
    const layout = join(workshop.folder, 'layout')
    // umoci knows names without slashes only.
    await skopeo('copy', source, `oci:${layout}:app`)
    execFileSync('umoci', ['unpack', '--image', `${layout}:app`, bundle], { stdio: 'ignore' })
    const { overlay } = await workshop.images.prepare('u', name)
    const scratch = join(workshop.folder, 'scratch')
    mkdirSync(scratch)
    const list = `find . -mindepth 1 -type f -printf '%P %m %U:%G %s %T@\\n' | sort; find . -type f | sort | xargs cat | sha256sum`
    const theirs = execFileSync('sh', ['-c', list], { cwd: join(bundle, 'rootfs'), encoding: 'utf8' })
    expect(seenThroughOverlay(overlay.lower, scratch, list)).toBe(theirs)
    await workshop.images.discard('u')
  })

  test('remove: takes blobs and layers with it that nobody needs, and leaves those of a container', async () => {
    const images = await anEmptyStore('removing')
    await images.load(join(workshop.folder, 'app.tar'))
    const { overlay } = await images.prepare('c', name)
    await expect(images.remove(name)).rejects.toMatchObject({ code: 'IMAGE_IN_USE' })
    await images.remove(name, { force: true })
    expect(await images.list()).toEqual([])
    expect(existsSync(overlay.lower[0] ?? '')).toBe(true)
    await images.discard('c')
    expect(await images.collect()).toBe(true)
    expect(readdirSync(join(workshop.folder, 'removing/blobs/sha256'))).toEqual([])
    expect(readdirSync(join(workshop.folder, 'removing/snapshots'))).toEqual([])
    await expect(images.remove(name)).rejects.toMatchObject({ code: 'IMAGE_NOT_FOUND' })
    await expect(images.prepare('c', name)).rejects.toMatchObject({ code: 'IMAGE_NOT_FOUND' })
    await images.close()
  })

  test('two processes at once: every image is there in the end', async () => {
    const root = join(workshop.folder, 'shared')
    const script = `
      import { openImages } from '${join(import.meta.dirname, '../../images/index.ts')}'
      const log = { debug() {}, info() {}, warn() {}, error() {} }
      const images = await openImages({ root: ${JSON.stringify(root)}, log })
      const { busyboxImage } = await import('${join(import.meta.dirname, '../../images/index.ts')}')
      for (let n = 0; n < 5; n++) await images.build(busyboxImage('x.test/' + process.argv.at(-1) + ':' + n, '/bin/busybox'))
    `
    writeFileSync(join(workshop.folder, 'worker.ts'), script)
    const start = (label: string) =>
      spawn(process.execPath, [join(workshop.folder, 'worker.ts'), label], { stdio: 'inherit' })
    const children = ['a', 'b', 'c'].map(start)
    const codes = await Promise.all(children.map(async (child) => (await once(child, 'exit'))[0]))
    expect(codes).toEqual([0, 0, 0])
    const images = await openImages({ root, log: silentLog })
    expect((await images.list()).flatMap(({ references }) => references)).toHaveLength(15)
    expect(readdirSync(join(root, 'snapshots'))).toHaveLength(1)
    await images.close()
  })

  test('kill -9 in the middle of unpacking: the next process goes on with a clean store', async () => {
    const root = join(workshop.folder, 'killed')
    const script = `
      import { openImages } from '${join(import.meta.dirname, '../../images/index.ts')}'
      const log = { debug() {}, info() {}, warn() {}, error() {} }
      const images = await openImages({ root: ${JSON.stringify(root)}, log })
      await images.load(${JSON.stringify(join(workshop.folder, 'app.tar'))})
    `
    writeFileSync(join(workshop.folder, 'victim.ts'), script)
    const child = spawn(process.execPath, [join(workshop.folder, 'victim.ts')], { stdio: 'inherit' })
    const snapshots = join(root, 'snapshots')
    while (!existsSync(snapshots) || readdirSync(snapshots).length === 0) await new Promise(setImmediate)
    child.kill('SIGKILL')
    await once(child, 'exit')
    const images = await openImages({ root, log: silentLog })
    expect(readdirSync(snapshots).filter((entry) => entry.startsWith('.'))).toEqual([])
    await images.load(join(workshop.folder, 'app.tar'))
    const [ours, theirs] = [await images.prepare('k', name), await workshop.images.prepare('k', name)]
    expect(ours.overlay.lower.map(treeOf)).toEqual(theirs.overlay.lower.map(treeOf))
    await workshop.images.discard('k')
    await images.close()
  })
})

describe('build', () => {
  test('the same bytes each time', async () => {
    const images = await anEmptyStore('reproducible')
    const first = await images.build(busyboxImage('a.test/busybox:1', '/bin/busybox'))
    const second = await images.build(busyboxImage('a.test/busybox:2', '/bin/busybox'))
    expect(second.digest).toBe(first.digest)
    expect((await workshop.images.inspect('coracle.local/busybox:1'))?.digest).toBe(first.digest)
    await images.close()
  })

  test('busybox: its programs run', async () => {
    const { overlay } = await workshop.images.prepare('b', 'coracle.local/busybox:1')
    const run = (...args: string[]) => execFileSync('chroot', [overlay.lower[0] ?? '', ...args], { encoding: 'utf8' })
    expect(run('/bin/sh', '-c', 'echo $((6 * 7)) | tr 4 5')).toBe('52\n')
    expect(run('/bin/stat', '-c', '%a', '/tmp')).toBe('1777\n')
    await workshop.images.discard('b')
  })

  test('node: runs with the libraries that came along', async () => {
    await workshop.images.build(nodeImage('coracle.local/node:24', process.execPath))
    const { overlay, config } = await workshop.images.prepare('n', 'coracle.local/node:24')
    const program = config.Entrypoint?.[0] ?? ''
    const out = execFileSync('chroot', [overlay.lower[0] ?? '', program, '-p', 'process.version'], { encoding: 'utf8' })
    expect(out.trim()).toBe(process.version)
    await workshop.images.discard('n')
    await workshop.images.remove('coracle.local/node:24')
  })
})

interface Packed {
  layers: { mediaType: string }[]
}

describe('pull', () => {
  let registry: Registry
  beforeAll(async () => {
    if (isRoot) registry = await aRegistry()
  })
  afterAll(() => registry?.close())
  const push = (to: string, ...args: string[]) =>
    skopeo('copy', '--dest-tls-verify=false', ...args, source, `docker://${to}`)

  test.each([['gzip'], ['zstd']])('layers packed with %s', async (format) => {
    const ref = `${registry.host}/team/app:${format}`
    const packed = format === 'zstd' ? await withZstd() : source
    await skopeo('copy', '--dest-tls-verify=false', packed, `docker://${ref}`)
    const images = await anEmptyStore(`pulled-${format}`)
    const record = await images.pull(ref)
    const raw = await skopeo('inspect', '--raw', '--tls-verify=false', `docker://${ref}`)
    expect((JSON.parse(raw) as Packed).layers[0]?.mediaType).toContain(format)
    const [tagged, pinned = ''] = record.references
    expect(tagged).toBe(ref)
    expect(pinned).toBe(`${registry.host}/team/app@${record.digest}`)
    expect((await images.inspect(pinned))?.id).toBe(record.id)
    const [ours, theirs] = [await images.prepare('p', ref), await workshop.images.prepare('p', name)]
    expect(ours.overlay.lower.map(treeOf)).toEqual(theirs.overlay.lower.map(treeOf))
    await workshop.images.discard('p')
    await images.close()
  })

  test('push: skopeo pulls again what we sent, byte by byte, and nothing is sent twice', async () => {
    const ref = `${registry.host}/team/pushed:1`
    await workshop.images.tag(name, ref)
    await workshop.images.push(ref)
    const raw = await skopeo('inspect', '--raw', '--tls-verify=false', `docker://${ref}`)
    const digest = `sha256:${createHash('sha256').update(raw).digest('hex')}`
    expect(digest).toBe((await workshop.images.inspect(name))?.digest)
    const copy = join(workshop.folder, 'pulled-again')
    await skopeo('copy', '--src-tls-verify=false', `docker://${ref}`, `dir:${copy}`)
    const before = registry.log().length
    await workshop.images.push(ref)
    expect(registry.log().slice(before)).not.toMatch(/POST \/v2\/team\/pushed\/blobs/)
    await workshop.images.remove(ref)
    await expect(workshop.images.push(ref)).rejects.toMatchObject({ code: 'IMAGE_NOT_FOUND' })
  })

  test('ten at once: every blob is fetched once', async () => {
    const ref = `${registry.host}/team/once:1`
    await push(ref)
    const before = registry.log().length
    const images = await anEmptyStore('once')
    const seen: number[] = []
    const records = await Promise.all(
      Array.from({ length: 10 }, () =>
        images.pull(ref, { onProgress: ({ received, total }) => seen.push(received / total) }),
      ),
    )
    expect(new Set(records.map(({ id }) => id)).size).toBe(1)
    expect(seen).toContain(1)
    const fetched =
      registry
        .log()
        .slice(before)
        .match(/GET \/v2\/team\/once\/blobs\/(sha256:\w+) HTTP/g) ?? []
    expect(fetched).toHaveLength(new Set(fetched).size)
    expect(fetched).toHaveLength(4)
    await images.close()
  })

  test('by digest, and with another tag: nothing is fetched again', async () => {
    const ref = `${registry.host}/team/twice:1`
    await push(ref)
    const images = await anEmptyStore('twice')
    const { digest } = await images.pull(ref)
    await skopeo(
      'copy',
      '--src-tls-verify=false',
      '--dest-tls-verify=false',
      `docker://${ref}`,
      `docker://${registry.host}/team/twice:2`,
    )
    const before = registry.log().length
    await images.pull(`${registry.host}/team/twice:2`)
    await images.pull(`${registry.host}/team/twice@${digest}`)
    expect(registry.log().slice(before)).not.toMatch(/GET \/v2\/team\/twice\/blobs/)
    expect((await images.list())[0]?.references).toHaveLength(3)
    await images.close()
  })

  test('no such image: names registry, repository and tag', async () => {
    await expect(workshop.images.pull(`${registry.host}/team/nothing:7`)).rejects.toMatchObject({
      code: 'IMAGE_NOT_FOUND',
      message: expect.stringContaining(`manifests/7 of ${registry.host}/team/nothing: the registry answers 404`),
    })
  })

  test('nobody there: says so', async () => {
    const gone = await aRegistry()
    await gone.close()
    await expect(workshop.images.pull(`${gone.host}/app:1`)).rejects.toMatchObject({
      code: 'IMAGE_REGISTRY',
      message: expect.stringContaining('ECONNREFUSED'),
    })
  })

  test('with a password: the right one opens, others do not', async () => {
    const closed = await aRegistry({ withPassword: true })
    try {
      const ref = `${closed.host}/team/secret:1`
      await push(ref, '--dest-creds', `${user.username}:${user.password}`)
      const images = await anEmptyStore('secret')
      await expect(images.pull(ref)).rejects.toMatchObject({ code: 'IMAGE_UNAUTHORIZED' })
      await expect(images.pull(ref, { auth: { ...user, password: 'wrong' } })).rejects.toThrow(/refuses user alice/)
      expect((await images.pull(ref, { auth: user })).references).toContain(ref)
      const own = `${closed.host}/team/own:1`
      await images.tag(ref, own)
      await expect(images.push(own)).rejects.toMatchObject({ code: 'IMAGE_UNAUTHORIZED' })
      await images.push(own, { auth: user })
      expect((await images.pull(own, { auth: user })).references).toContain(own)
      await images.close()
    } finally {
      await closed.close()
    }
  })

  test('given up in the middle: nothing is left, and it can be done again', async () => {
    const ref = `${registry.host}/team/stopped:1`
    await push(ref)
    const images = await anEmptyStore('stopped')
    const stop = new AbortController()
    const pulling = images.pull(ref, { signal: stop.signal, onProgress: () => stop.abort(new Error('enough')) })
    await expect(pulling).rejects.toThrow('enough')
    expect(readdirSync(join(workshop.folder, 'stopped/ingest'))).toEqual([])
    expect(await images.list()).toEqual([])
    expect((await images.pull(ref)).references).toContain(ref)
    await images.close()
  })
})
