import { execFile, execFileSync } from 'node:child_process'
import {
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { copyBetween, extractInto, type Images, openImages, tarOfSource } from '../../images/index.ts'
import { silentLog } from '../../runtime/base/log.ts'
import { anArchive, anImage } from '../fixtures/image.ts'
import { aTar } from '../fixtures/tar.ts'
import { attributesOf, aWorkshop, putAttribute, seenThroughOverlay, type Workshop } from './images/store.ts'

const has = (program: string) => existsSync(`/usr/bin/${program}`)
const isRoot = process.getuid?.() === 0
const test = it.skipIf(!isRoot || !has('skopeo'))
const name = 'example.test/team/app:1.0'
const layers = [
  [
    { name: 'etc/', mode: 0o755 },
    { name: 'etc/kept', content: 'kept' },
    { name: 'etc/gone', content: 'gone' },
    { name: 'etc/changed', content: 'old' },
    { name: 'dir/', mode: 0o755 },
    { name: 'dir/one', content: '1' },
    { name: 'dir/two', content: '2' },
  ],
  [
    { name: 'bin/', mode: 0o755 },
    { name: 'bin/tool', content: 'tool', mode: 0o4755 },
    { name: 'lnk', type: '2', link: '/etc/kept' },
  ],
]

let workshop: Workshop
beforeAll(async () => {
  if (!isRoot) return
  workshop = await aWorkshop()
  const config = { Env: ['A=b'], Cmd: ['x'] }
  writeFileSync(join(workshop.folder, 'app.tar'), anArchive(anImage({ layers, config }), name))
  await workshop.images.load(join(workshop.folder, 'app.tar'))
})
afterAll(async () => {
  if (!isRoot) return
  const { folder } = workshop
  await workshop.close()
  expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain(folder)
})

/** Runs a command in the root of a container that was prepared, as its own processes would. */
async function inContainer(id: string, command: string): Promise<void> {
  const { overlay } = await workshop.images.prepare(id, name)
  const root = mkdtempSync(join(tmpdir(), 'coracle-root-'))
  const options = `lowerdir=${overlay.lower.join(':')},upperdir=${overlay.upper},workdir=${overlay.work}`
  const script = `mount -t overlay overlay -o "${options}" ${root}; cd ${root}; ${command}`
  execFileSync('unshare', ['-m', '--propagation', 'private', 'sh', '-ec', script], { timeout: 20_000 })
  rmSync(root, { recursive: true })
}

async function anEmptyStore(label: string): Promise<Images> {
  return openImages({ root: join(workshop.folder, label), log: silentLog })
}

async function run(program: string, ...args: string[]): Promise<string> {
  return (await promisify(execFile)(program, args, { timeout: 60_000 })).stdout
}

const changes =
  'rm etc/gone; echo new > etc/changed; rm -r dir; mkdir dir; echo 3 > dir/three; mkfifo pipe; ln etc/changed hard'

describe('diff and commit', () => {
  test('diff: added, changed and deleted, in the order of paths', async () => {
    await inContainer('diff', changes)
    const lines = (await workshop.images.diff('diff')).map(({ kind, path }) => `${kind} ${path}`)
    expect(lines).toEqual([
      'C /dir',
      'D /dir/one',
      'A /dir/three',
      'D /dir/two',
      'C /etc',
      'C /etc/changed',
      'D /etc/gone',
      'A /hard',
      'A /pipe',
    ])
    await workshop.images.prepare('untouched', name)
    expect(await workshop.images.diff('untouched')).toEqual([])
    await expect(workshop.images.diff('nobody')).rejects.toMatchObject({ code: 'IMAGE_NOT_FOUND' })
  })

  test('commit: a container of the new image sees what the old one saw, and skopeo reads it', async () => {
    const list = "find . -mindepth 1 -printf '%P %y %m %U:%G %s %l %n\\n' | sort; cat etc/changed dir/three"
    await inContainer('old', `${changes}; chown 7:8 etc/kept; ${list} > /dev/null`)
    putAttribute(join((await workshop.images.overlay('old')).overlay.upper, 'etc/kept'), 'user.note', 'hello')
    const record = await workshop.images.commit('old', {
      ref: 'new.test/app:2',
      author: 'somebody',
      message: 'said',
      changes: ['CMD ["y"]', 'ENV C=d'],
    })
    expect(record).toMatchObject({ config: { Env: ['A=b', 'C=d'], Cmd: ['y'] }, author: 'somebody' })
    expect((await workshop.images.history('new.test/app:2'))[0]).toMatchObject({ comment: 'said' })
    const scratch = join(workshop.folder, 'scratch')
    mkdirSync(scratch)
    const { overlay: before } = await workshop.images.overlay('old')
    const { overlay: after } = await workshop.images.prepare('new', 'new.test/app:2')
    const seen = seenThroughOverlay(after.lower, scratch, list)
    expect(seen).toBe(seenThroughOverlay([before.upper, ...before.lower], scratch, list))
    expect(seen).toContain('etc/kept f 644 7:8')
    expect(seen).not.toContain('etc/gone')
    expect(attributesOf(join(after.lower[0] ?? '', 'etc/kept'))).toEqual({
      'user.note': Buffer.from('hello').toString('hex'),
    })
    const shown = await run('skopeo', '--insecure-policy', 'inspect', `oci:${workshop.root}:new.test/app:2`)
    expect((JSON.parse(shown) as { Digest: string }).Digest).toBe(record.digest)
    expect((await workshop.images.check()).faults).toEqual([])
  })

  test('commit: what overlayfs has escaped is written as the archive had it', async () => {
    const odd = [{ name: 'f', content: 'x', pax: { 'SCHILY.xattr.trusted.overlay.opaque': 'y' } }]
    writeFileSync(join(workshop.folder, 'odd.tar'), anArchive(anImage({ layers: [odd] }), 'odd.test/x:1'))
    await workshop.images.load(join(workshop.folder, 'odd.tar'))
    const { overlay } = await workshop.images.prepare('odd', 'odd.test/x:1')
    expect(attributesOf(join(overlay.lower[0] ?? '', 'f'))).toHaveProperty(['trusted.overlay.overlay.opaque'])
    writeFileSync(join(overlay.upper, 'g'), 'y')
    putAttribute(join(overlay.upper, 'g'), 'trusted.overlay.overlay.opaque', 'y')
    await workshop.images.commit('odd', { ref: 'odd.test/x:2' })
    const again = await workshop.images.prepare('odd2', 'odd.test/x:2')
    expect(attributesOf(join(again.overlay.lower[0] ?? '', 'g'))).toEqual({ 'trusted.overlay.overlay.opaque': '79' })
  })
})

describe('import', () => {
  test.each(['none', 'gzip', 'zstd'])('a root packed with %s, from a stream', async (kind) => {
    const tar = aTar(layers[0] ?? [])
    const packed = kind === 'none' ? tar : execFileSync(kind, ['-c'], { input: tar })
    const stream = new PassThrough()
    stream.end(packed)
    const record = await workshop.images.import(stream, { ref: `imported.test/${kind}:1`, changes: ['CMD ["sh"]'] })
    expect(record.config).toEqual({ Cmd: ['sh'] })
    const { overlay } = await workshop.images.prepare(`imported-${kind}`, record.id)
    expect(readFileSync(join(overlay.lower[0] ?? '', 'etc/kept'), 'utf8')).toBe('kept')
  })

  test('what cannot be unpacked is refused by name, and nothing is left', async () => {
    const images = await anEmptyStore('refusing')
    const file = join(workshop.folder, 'refused')
    for (const [program, code] of [
      ['xz', 'IMAGE_UNSUPPORTED'],
      ['gzip', 'IMAGE_ARCHIVE_INVALID'],
    ] as const) {
      const packed = execFileSync(program, ['-c'], { input: aTar(layers[0] ?? []) })
      writeFileSync(file, program === 'xz' ? packed : packed.subarray(0, packed.length - 40))
      await expect(images.import(file)).rejects.toMatchObject({ code })
      await expect(images.load(file)).rejects.toMatchObject({ code })
    }
    expect(await images.list()).toEqual([])
    expect(readdirSync(join(workshop.folder, 'refusing/ingest'))).toEqual([])
    await images.close()
  })
})

describe('save and load', () => {
  test.each(['docker-archive', 'oci-archive', 'oci-dir'] as const)(
    '%s: is loaded by us and by skopeo',
    async (format) => {
      const to = join(workshop.folder, `saved-${format}`)
      await workshop.images.tag(name, 'other.test/app:2')
      await workshop.images.save([name, 'other.test/app:2'], to, { format })
      const images = await anEmptyStore(`from-${format}`)
      await images.load(to)
      const [loaded, ...others] = await images.list()
      expect(others).toEqual([])
      const original = await workshop.images.inspect(name)
      expect(loaded).toMatchObject({ id: original?.id, references: [name, 'other.test/app:2'] })
      if (format !== 'docker-archive') expect(loaded?.digest).toBe(original?.digest)
      const transport = format === 'oci-dir' ? 'oci' : format
      const config = await run('skopeo', '--insecure-policy', 'inspect', '--config', `${transport}:${to}:${name}`)
      expect(JSON.parse(config)).toMatchObject({ config: { Env: ['A=b'], Cmd: ['x'] } })
      // Copying makes skopeo verify every blob.
      await run('skopeo', '--insecure-policy', 'copy', `${transport}:${to}:${name}`, `dir:${to}-copied`)
      const manifest = JSON.parse(readFileSync(`${to}-copied/manifest.json`, 'utf8')) as { layers: unknown[] }
      expect(manifest.layers).toHaveLength(2)
      await expect(workshop.images.save([name], to, { format: 'oci-dir' })).rejects.toMatchObject({
        code: 'IMAGE_ARCHIVE_INVALID',
      })
      await images.close()
    },
  )

  const withPodman = it.skipIf(!isRoot || !has('podman'))
  const formats = ['docker-archive', 'oci-archive'] as const
  withPodman.each(formats)('podman loads our %s, and we load what it saves', async (format) => {
    // Podman takes no runroot of more than 50 characters.
    const place = join(workshop.folder, `p-${format}`)
    const [file, back] = [`${place}-in.tar`, `${place}-out.tar`]
    await workshop.images.save([name], file, { format })
    const podman = `podman --root ${place}/root --runroot ${place}/run --storage-driver vfs`
    const script = `mkdir -p ${place}; ${podman} load -q -i ${file}; ${podman} save -q --format ${format} -o ${back} ${name}; ${podman} images --no-trunc --format '{{.ID}}'`
    const shown = execFileSync('unshare', ['-m', '--propagation', 'private', 'sh', '-ec', script], {
      timeout: 60_000,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    const original = await workshop.images.inspect(name)
    expect(shown).toContain(original?.id)
    const images = await anEmptyStore(`podman-store-${format}`)
    expect((await images.load(back))[0]).toMatchObject({ id: original?.id, references: [name] })
    await images.close()
  })

  it.skipIf(!isRoot || !has('buildah'))('we load what buildah has made', async () => {
    const place = join(workshop.folder, 'buildah')
    const file = join(workshop.folder, 'from-buildah.tar')
    const buildah = `buildah --root ${place}/root --runroot ${place}/run --storage-driver vfs`
    const script = `mkdir -p ${place}; c=$(${buildah} from scratch); m=$(${buildah} mount $c); mkdir $m/etc; echo built > $m/etc/by; ${buildah} config --cmd /x $c; ${buildah} commit -q $c built.test/b:1; ${buildah} push -q built.test/b:1 oci-archive:${file}:built.test/b:1`
    execFileSync('unshare', ['-m', '--propagation', 'private', 'sh', '-ec', script], {
      timeout: 60_000,
      stdio: 'ignore',
    })
    const images = await anEmptyStore('buildah-store')
    await images.load(file)
    const { overlay, config } = await images.prepare('b', 'built.test/b:1')
    expect(config.Cmd).toEqual(['/x'])
    expect(readFileSync(join(overlay.lower[0] ?? '', 'etc/by'), 'utf8')).toBe('built\n')
    await images.close()
  })
})

describe('cp', () => {
  /** The container's root and a folder of this host. */
  async function withPlaces(
    id: string,
    act: (o: { inside: (path: string) => Place; host: (path: string) => Place; folder: string }) => Promise<void>,
  ) {
    const folder = mkdtempSync(join(workshop.folder, 'cp-'))
    const { openSync, closeSync } = await import('node:fs')
    const root = openSync('/', 'r')
    await workshop.images.prepare(id, name)
    try {
      await workshop.images.withRoot(id, undefined, (inside) =>
        act({
          folder,
          inside: (path) => ({ root: inside, path, shownAs: path }),
          host: (path) => ({ root, path: `${folder}/${path}`, shownAs: path }),
        }),
      )
    } finally {
      closeSync(root)
    }
  }
  interface Place {
    root: number
    path: string
    shownAs: string
  }

  test('out: a file, a folder, its contents, a link; rights do not come along', async () => {
    await withPlaces('cp-out', async ({ inside, host, folder }) => {
      await copyBetween(inside('/bin/tool'), host('tool'))
      expect(statSync(join(folder, 'tool')).mode & 0o7777).toBe(0o755)
      await copyBetween(inside('/bin/tool'), host('tool2'), { archive: true })
      expect(statSync(join(folder, 'tool2')).mode & 0o7777).toBe(0o4755)
      await copyBetween(inside('/dir'), host('copy'))
      await copyBetween(inside('/dir'), host('copy'))
      await copyBetween(inside('/etc/.'), host('copy'))
      expect(readdirSync(join(folder, 'copy')).sort()).toEqual(['changed', 'dir', 'gone', 'kept', 'one', 'two'])
      await copyBetween(inside('/lnk'), host('followed'), { followLink: true })
      expect(readFileSync(join(folder, 'followed'), 'utf8')).toBe('kept')
      await expect(copyBetween(inside('/nothing'), host('x'))).rejects.toMatchObject({ code: 'IMAGE_PATH' })
      await expect(copyBetween(inside('/dir'), host('tool'))).rejects.toMatchObject({ code: 'IMAGE_PATH' })
      await expect(copyBetween(inside('/bin/tool'), host('none/'))).rejects.toMatchObject({ code: 'IMAGE_PATH' })
      const chunks: Buffer[] = []
      for await (const chunk of tarOfSource(inside('/dir'))) chunks.push(chunk)
      expect(execFileSync('tar', ['t'], { input: Buffer.concat(chunks), encoding: 'utf8' })).toBe(
        'dir/\ndir/one\ndir/two\n',
      )
    })
  })

  test('in: links of the container stay in the container, whiteout names are names, owners are its root', async () => {
    await withPlaces('cp-in', async ({ inside, host, folder }) => {
      writeFileSync(join(folder, '.wh.file'), 'data')
      chownSync(join(folder, '.wh.file'), 1000, 1000)
      await copyBetween(host('.wh.file'), inside('/dir'))
      await extractInto(
        (async function* () {
          yield aTar([{ name: 'from-tar', content: 't', uid: 5 }])
        })(),
        inside('/dir'),
        { archive: true },
      )
      await expect(copyBetween(host('.wh.file'), inside('/no/such'))).rejects.toMatchObject({ code: 'IMAGE_PATH' })
    })
    const { overlay } = await workshop.images.overlay('cp-in')
    expect(statSync(join(overlay.upper, 'dir/.wh.file'))).toMatchObject({ uid: 0, gid: 0 })
    expect(statSync(join(overlay.upper, 'dir/from-tar')).uid).toBe(5)
    // A link in the container that points at a file of this host: what is there stays.
    await inContainer('cp-trap', `ln -s ${workshop.folder} trap`)
    await withPlaces('cp-trap', async ({ inside, host, folder }) => {
      writeFileSync(join(folder, 'data'), 'x')
      await expect(copyBetween(host('data'), inside('/trap/stolen'))).rejects.toMatchObject({ code: 'IMAGE_PATH' })
    })
    expect(existsSync(join(workshop.folder, 'stolen'))).toBe(false)
  })
})

describe('room on the disk', () => {
  test('reclaim: unused images go, the longest unused first; young ones and those of containers stay', async () => {
    const images = await anEmptyStore('room')
    for (const n of [1, 2, 3]) {
      const file = join(workshop.folder, `room-${n}.tar`)
      writeFileSync(
        file,
        anArchive(anImage({ layers: [[{ name: `f${n}`, content: Buffer.alloc(200_000, n) }]] }), `r.test/x:${n}`),
      )
      await images.load(file)
    }
    await images.prepare('user', 'r.test/x:3')
    await images.prepare('was', 'r.test/x:1')
    await images.discard('was')
    const hard = { highPercent: 0, lowPercent: 0, minimumAgeSeconds: 0 }
    const names = ({ removed }: { removed: { references: string[] }[] }) =>
      removed.flatMap(({ references }) => references)
    expect(names(await images.reclaim({ ...hard, minimumAgeSeconds: 120 }))).toEqual([])
    expect(names(await images.reclaim({ ...hard, highPercent: 100 }))).toEqual([])
    const planned = await images.reclaim({ ...hard, dryRun: true })
    expect(names(planned)).toEqual(['r.test/x:2', 'r.test/x:1'])
    expect(planned.freedBytes).toBeGreaterThan(2 * 200_000)
    expect(await images.list()).toHaveLength(3)
    await images.reclaim(hard)
    expect(names({ removed: await images.list() })).toEqual(['r.test/x:3'])
    await expect(images.reclaim({ highPercent: 50, lowPercent: 60 })).rejects.toMatchObject({ code: 'IMAGE_SETTING' })
    expect((await images.check()).faults).toEqual([])
    await images.close()
  })

  test('diskUsage: what images share is told apart from what is their own; containers by what they wrote', async () => {
    const images = await anEmptyStore('usage')
    const shared = [{ name: 'shared', content: Buffer.alloc(400_000, 's') }]
    for (const n of [1, 2]) {
      const file = join(workshop.folder, `usage-${n}.tar`)
      const own = [{ name: 'own', content: Buffer.alloc(100_000 * n, n) }]
      writeFileSync(file, anArchive(anImage({ layers: [shared, own] }), `u.test/x:${n}`))
      await images.load(file)
    }
    const { overlay } = await images.prepare('writer', 'u.test/x:1')
    writeFileSync(join(overlay.upper, 'w'), Buffer.alloc(50_000))
    const { images: uses, containers } = await images.diskUsage()
    for (const { size, shared: common, unique } of uses) {
      expect(common).toBeGreaterThanOrEqual(400_000)
      expect(size).toBe(common + unique)
    }
    expect(uses.flatMap(({ containers: ids }) => ids)).toEqual(['writer'])
    expect(containers).toEqual([{ id: 'writer', image: 'u.test/x:1', size: expect.any(Number), files: 2 }])
    expect(containers[0]?.size).toBeGreaterThanOrEqual(50_000)
    await images.close()
  })

  test('remove: names one by one, the beginning of an id, a damaged image too', async () => {
    const images = await anEmptyStore('removal')
    const record = (await images.load(join(workshop.folder, 'app.tar')))[0]
    await images.tag(name, 'second.test/x:1')
    const short = record?.id.slice(7, 19) ?? ''
    await expect(images.remove(short)).rejects.toMatchObject({ code: 'IMAGE_IN_USE' })
    expect(await images.remove(name)).toEqual({ untagged: [name] })
    expect(await images.remove(short)).toEqual({ untagged: ['second.test/x:1'], deleted: record?.id })
    expect(readdirSync(join(workshop.folder, 'removal/blobs/sha256'))).toEqual([])
    await images.load(join(workshop.folder, 'app.tar'))
    writeFileSync(join(workshop.folder, 'removal/blobs/sha256', record?.id.slice(7) ?? ''), 'damaged')
    const again = await anEmptyStore('removal')
    expect((await again.check()).faults.map(({ what }) => what)).toEqual([`blob ${record?.id}`, `image ${name}`])
    expect((await again.remove(name)).untagged).toEqual([name])
    expect((await again.check()).faults).toEqual([])
    await Promise.all([images.close(), again.close()])
  })
})
