import { execFileSync } from 'node:child_process'
import { lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { zstdCompressSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { ImageOptions } from '../fixtures/image.ts'
import { aTar, type TarEntry } from '../fixtures/tar.ts'
import { attributesOf, aWorkshop, seenThroughOverlay, treeOf, type Workshop } from './images/store.ts'

const isRoot = process.getuid?.() === 0
const test = it.skipIf(!isRoot)
const zstd = 'application/vnd.oci.image.layer.v1.tar+zstd'
const plain = 'application/vnd.oci.image.layer.v1.tar'

let workshop: Workshop
let outside: string
beforeAll(async () => {
  workshop = await aWorkshop()
  outside = join(workshop.folder, 'outside')
  mkdirSync(outside)
  writeFileSync(join(outside, 'secret'), 'secret', { mode: 0o600 })
})
afterAll(() => workshop.close())

let count = 0
/** Unpacks one layer; its folder. */
async function unpack(layer: readonly TarEntry[] | Buffer, more: Partial<ImageOptions> = {}): Promise<string> {
  const [folder] = await workshop.load({ layers: [layer], ...more }, `example.test/layer:${count++}`)
  return folder ?? ''
}

describe('layers: what is in them', () => {
  test('files, links, devices, owners, modes, times and attributes come out as they went in', async () => {
    const folder = await unpack([
      { name: './', mode: 0o751, uid: 3, gid: 4, mtime: 1_111_111_111 },
      { name: 'etc/', mode: 0o750, uid: 7, gid: 8, mtime: 1_000_000_001 },
      { name: 'etc/file', content: 'hello', mode: 0o640, uid: 1000, gid: 1001 },
      { name: 'etc/suid', content: 'x', mode: 0o4755, uid: 12 },
      { name: 'etc/hard', type: '1', link: 'etc/file' },
      { name: 'etc/soft', type: '2', link: '/somewhere/else', uid: 5, gid: 6, mtime: 1_000_000_002 },
      { name: 'etc/fifo', type: '6', mode: 0o622 },
      { name: 'etc/null', type: '3', major: 1, minor: 3, mode: 0o666 },
      { name: 'etc/disk', type: '4', major: 259, minor: 300, mode: 0o660 },
      { name: 'etc/late', content: 'y', pax: { mtime: '1600000000.123456789' } },
    ])
    expect(treeOf(folder).map((line) => line.replace(/\|\d+\|(\d+\.)/, '|$1'))).toEqual(
      [
        '|d|751|3:4|1111111111.0000000000||3',
        'etc|d|750|7:8|1000000001.0000000000||2',
        'etc/disk|b|660|0:0|1000000000.0000000000||1',
        'etc/fifo|p|622|0:0|1000000000.0000000000||1',
        'etc/file|f|640|1000:1001|1000000000.0000000000||2',
        'etc/hard|f|640|1000:1001|1000000000.0000000000||2',
        'etc/late|f|644|0:0|1600000000.1234567890||1',
        'etc/null|c|666|0:0|1000000000.0000000000||1',
        'etc/soft|l|777|5:6|1000000002.0000000000|/somewhere/else|1',
        'etc/suid|f|4755|12:0|1000000000.0000000000||1',
      ].sort(),
    )
    expect(readFileSync(join(folder, 'etc/hard'), 'utf8')).toBe('hello')
    const { rdev } = lstatSync(join(folder, 'etc/disk'))
    expect([(rdev >> 8) & 0xfff, (rdev & 0xff) | ((rdev >> 12) & 0xfff00)]).toEqual([259, 300])
  })

  test('names and attributes are bytes, not text', async () => {
    const capability = Buffer.from('0100000200040000000000000000000000000000', 'hex')
    const name = Buffer.from([0x66, 0xff, 0xfe])
    const long = `${'d'.repeat(90)}/${'n'.repeat(200)}`
    const folder = await unpack([
      { name, content: '1' },
      { name: 'ping', content: 'x', uid: 1, mode: 0o755, pax: { 'SCHILY.xattr.security.capability': capability } },
      { name: 'short', content: '2', pax: { path: long } },
      { name: 'noted', content: '3', pax: { 'SCHILY.xattr.user.note': Buffer.from([0, 255, 1]) } },
    ])
    expect(readdirSync(folder, { encoding: 'buffer' }).map((entry) => entry.toString('hex'))).toContain('66fffe')
    expect(readFileSync(join(folder, long), 'utf8')).toBe('2')
    expect(execFileSync('getcap', [join(folder, 'ping')], { encoding: 'utf8' })).toContain('cap_net_bind_service=ep')
    expect(attributesOf(join(folder, 'noted'))).toEqual({ 'user.note': '00ff01' })
  })

  test.each([
    ['gzip', undefined],
    ['none', { encode: (tar: Buffer) => tar, mediaType: plain }],
    ['zstd', { encode: (tar: Buffer) => zstdCompressSync(tar), mediaType: zstd }],
    [
      'zstd in frames, some to be skipped',
      {
        encode: (tar: Buffer) => {
          const skippable = Buffer.from([0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3])
          const frames = [tar.subarray(0, 700), tar.subarray(700, 400_000), tar.subarray(400_000)]
          return Buffer.concat([skippable, ...frames.map((frame) => zstdCompressSync(frame)), skippable])
        },
        mediaType: zstd,
      },
    ],
  ])('packed with %s', async (_, pack) => {
    const content = Buffer.alloc(1_000_000, Array.from({ length: 997 }, (_, at) => at % 251).join())
    const folder = await unpack([{ name: 'big', content }], pack ? { pack } : {})
    expect(readFileSync(join(folder, 'big')).equals(content)).toBe(true)
  })

  test.each([
    ['the old form', ['--format=gnu']],
    ['form 0.0', ['--format=posix', '--sparse-version=0.0']],
    ['form 0.1', ['--format=posix', '--sparse-version=0.1']],
    ['form 1.0', ['--format=posix', '--sparse-version=1.0']],
  ])('a sparse file in %s: its bytes, and its holes stay holes', async (_, flags) => {
    const source = join(workshop.folder, `sparse-${count++}`)
    mkdirSync(source)
    // Twelve pieces, a hole at the end, 64 MB in all.
    const script = `for at in $(seq 1 12); do printf "piece $at" | dd of=big bs=1 seek=$((at * 5000000)) conv=notrunc status=none; done; truncate -s 64M big; chmod 640 big`
    execFileSync('sh', ['-ec', script], { cwd: source })
    const folder = await unpack(execFileSync('tar', ['-c', '--sparse', ...flags, 'big'], { cwd: source }))
    execFileSync('cmp', [join(source, 'big'), join(folder, 'big')])
    const { size, blocks, mode } = statSync(join(folder, 'big'))
    expect([size, mode & 0o777]).toEqual([64 << 20, 0o640])
    expect(blocks * 512).toBeLessThan(1 << 20)
  })

  test('many hard links to other folders: no more descriptors than a few', async () => {
    const links = Array.from({ length: 3000 }, (_, at) => ({ name: `to/l${at}`, type: '1', link: 'from/file' }))
    const folder = await unpack([{ name: 'from/file', content: 'x' }, ...links])
    expect(statSync(join(folder, 'from/file')).nlink).toBe(3001)
  })

  test('an entry that comes twice: the last one counts, folders keep what is in them', async () => {
    const folder = await unpack([
      { name: 'a', content: 'first' },
      { name: 'a', content: 'second' },
      { name: 'd/' },
      { name: 'd/x', content: '1' },
      { name: 'd/', mode: 0o700 },
      { name: 'gone/' },
      { name: 'gone/x/y', content: '1' },
      { name: 'gone', type: '2', link: 'd' },
      { name: 'gone/z', content: 'through a link of this layer' },
    ])
    expect(readFileSync(join(folder, 'a'), 'utf8')).toBe('second')
    expect(readdirSync(join(folder, 'd')).sort()).toEqual(['x', 'z'])
    expect(statSync(join(folder, 'd')).mode & 0o777).toBe(0o700)
    expect(readlinkSync(join(folder, 'gone'))).toBe('d')
  })
})

describe('layers: one upon the other', () => {
  const look = (layers: (readonly TarEntry[])[]) => async (command: string) => {
    const lower = await workshop.load({ layers }, `example.test/stack:${count++}`)
    const scratch = join(workshop.folder, `scratch-${count++}`)
    mkdirSync(scratch)
    return seenThroughOverlay(lower, scratch, command).trim().split('\n').sort()
  }

  test('a whiteout hides a name of the layers below, not of its own', async () => {
    const see = look([
      [{ name: 'a', content: '1' }, { name: 'b/' }, { name: 'b/x' }, { name: 'c/' }, { name: 'c/old' }],
      [
        { name: '.wh.a' },
        { name: 'b/.wh.x' },
        { name: 'new' },
        { name: '.wh.new' },
        { name: '.wh.c' },
        { name: 'c/' },
        { name: 'c/new' },
      ],
    ])
    expect(await see('find . -mindepth 1')).toEqual(['./b', './c', './c/new', './new'])
  })

  test('a folder and its whiteout in any order: only what is new is there', async () => {
    const see = look([
      [{ name: 'c/' }, { name: 'c/old' }, { name: 'd/' }, { name: 'd/old' }],
      [{ name: 'c/' }, { name: 'c/new' }, { name: '.wh.c' }, { name: 'd/new' }, { name: 'd/.wh..wh..opq' }],
    ])
    expect(await see('find . -mindepth 1')).toEqual(['./c', './c/new', './d', './d/new'])
  })

  test('a file takes the place of a folder, and a folder that of a file', async () => {
    const see = look([
      [{ name: 'a/' }, { name: 'a/x' }, { name: 'b', content: '1' }],
      [{ name: 'a', content: 'file' }, { name: 'b/' }, { name: 'b/y' }],
    ])
    expect(await see('find . -mindepth 1 -printf "%P %y\\n"')).toEqual(['a f', 'b d', 'b/y f'])
  })

  test('folders that a layer does not name look like those below', async () => {
    const see = look([
      [
        { name: './', mode: 0o711 },
        { name: 'tmp/', mode: 0o1777, uid: 9 },
        { name: 'home/' },
        { name: 'home/me/', mode: 0o700, uid: 1000 },
      ],
      [{ name: 'tmp/x' }, { name: 'home/me/y' }, { name: 'home/you/z' }],
      [{ name: 'tmp/w' }],
    ])
    expect(await see('find . -type d -printf "%P %m %U\\n"')).toEqual([
      '711 0',
      'home 755 0',
      'home/me 700 1000',
      'home/you 755 0',
      'tmp 1777 9',
    ])
  })

  test('the writable layer looks like the root of the image', async () => {
    await workshop.load({ layers: [[{ name: './', mode: 0o700, uid: 42 }, { name: 'x' }]] }, 'example.test/root:1')
    const { overlay } = await workshop.images.prepare('rooted', 'example.test/root:1')
    const { mode, uid } = statSync(overlay.upper)
    expect([mode & 0o777, uid]).toEqual([0o700, 42])
    expect((await workshop.images.prepare('rooted', 'example.test/root:1')).overlay).toEqual(overlay)
    await workshop.images.discard('rooted')
    await workshop.images.discard('rooted')
    expect(await workshop.images.containers()).not.toContain('rooted')
  })
})

describe('layers: hostile ones', () => {
  const up = '../'.repeat(20)
  const escapes: [string, () => TarEntry[]][] = [
    ['a name with dots', () => [{ name: `${up}${outside}/new`, content: 'x' }]],
    ['an absolute name', () => [{ name: `${outside}/new`, content: 'x' }]],
    [
      'an absolute link, then a file through it',
      () => [
        { name: 'l', type: '2', link: outside },
        { name: 'l/new', content: 'x' },
      ],
    ],
    [
      'a relative link, then a file through it',
      () => [{ name: 'l', type: '2', link: `${up}${outside}` }, { name: 'l/new' }],
    ],
    [
      'a link to a file, then the file again',
      () => [
        { name: 'l', type: '2', link: `${outside}/secret` },
        { name: 'l', content: 'x' },
      ],
    ],
    [
      'a link, then a folder of that name',
      () => [{ name: 'l', type: '2', link: outside }, { name: 'l/', mode: 0o777 }, { name: 'l/new' }],
    ],
    [
      'a link chain',
      () => [
        { name: 'a', type: '2', link: 'b/..' },
        { name: 'b', type: '2', link: outside },
        { name: 'a/new' },
        { name: 'b/new' },
      ],
    ],
    ['a hard link to the outside', () => [{ name: 'h', type: '1', link: `${up}${outside}/secret` }]],
    [
      'a hard link through a link',
      () => [
        { name: 'l', type: '2', link: outside },
        { name: 'h', type: '1', link: 'l/secret' },
      ],
    ],
    ['a whiteout through a link', () => [{ name: 'l', type: '2', link: outside }, { name: 'l/.wh.secret' }]],
    ['an opaque marker through a link', () => [{ name: 'l', type: '2', link: outside }, { name: 'l/.wh..wh..opq' }]],
    ['a whiteout of the parent', () => [{ name: '.wh...' }]],
    ['a magic link', () => [{ name: 'l', type: '2', link: '/proc/self/root' }, { name: `l${outside}/new` }]],
    ['a mode through a link', () => [{ name: 'l', type: '2', link: `${outside}/secret`, mode: 0o777 }]],
  ]

  test.each(escapes)('%s: nothing outside changes', async (_, entries) => {
    const before = treeOf(outside)
    const report = await unpack(entries()).catch((error: unknown) => error)
    expect(treeOf(outside)).toEqual(before)
    if (report instanceof Error) expect(report).toMatchObject({ code: expect.stringMatching(/^IMAGE_/) })
    else expect(JSON.stringify(treeOf(String(report)))).not.toContain('"secret')
  })

  test('attributes of overlayfs are not taken literally', async () => {
    const folder = await unpack([
      { name: 'd/', pax: { 'SCHILY.xattr.trusted.overlay.redirect': '/etc' } },
      { name: 'd/x' },
    ])
    expect(Object.keys(attributesOf(join(folder, 'd')))).toEqual(['trusted.overlay.overlay.redirect'])
  })

  const bad: [string, Buffer, string][] = [
    [
      'a damaged header',
      Buffer.from(aTar([{ name: 'x' }]).map((byte, at) => (at === 0 ? 0x79 : byte))),
      'IMAGE_LAYER_INVALID',
    ],
    ['an archive cut short', aTar([{ name: 'x', content: 'hello', size: 5000 }], 'no end'), 'IMAGE_LAYER_INVALID'],
    ['.wh. alone', aTar([{ name: 'a/.wh.' }]), 'IMAGE_LAYER_INVALID'],
    ['a hard link to nothing', aTar([{ name: 'h', type: '1', link: 'nothing' }]), 'IMAGE_LAYER_INVALID'],
    ['a file below a file', aTar([{ name: 'f' }, { name: 'f/x' }]), 'IMAGE_LAYER_INVALID'],
    [
      'a file below a link to nothing',
      aTar([{ name: 'l', type: '2', link: 'nothing' }, { name: 'l/x' }]),
      'IMAGE_LAYER_INVALID',
    ],
    [
      'a sparse file of an unknown form',
      aTar([{ name: 's', pax: { 'GNU.sparse.major': '2', 'GNU.sparse.minor': '0' } }]),
      'IMAGE_UNSUPPORTED',
    ],
    [
      'a sparse file whose pieces lie outside of it',
      aTar([{ name: 's', content: 'x', pax: { 'GNU.sparse.size': '9', 'GNU.sparse.map': '9,1' } }]),
      'IMAGE_LAYER_INVALID',
    ],
    [
      'a sparse file of four petabytes',
      aTar([{ name: 's', pax: { 'GNU.sparse.size': String(2 ** 52), 'GNU.sparse.map': '0,0' } }]),
      'IMAGE_TOO_LARGE|IMAGE_LAYER_INVALID',
    ],
    ['an entry of several volumes', aTar([{ name: 'm', type: 'M' }]), 'IMAGE_UNSUPPORTED'],
    ['a header of many megabytes', aTar([{ name: 'x', type: 'x', size: 1 << 30 }]), 'IMAGE_LAYER_INVALID'],
    ['a negative owner', aTar([{ name: 'x', pax: { uid: '-1' } }]), 'IMAGE_LAYER_INVALID'],
  ]
  test.each(bad)('%s: is refused, and nothing is left', async (_, layer, code) => {
    const before = readdirSync(join(workshop.root, 'snapshots')).length
    await expect(unpack(layer)).rejects.toMatchObject({ code: expect.stringMatching(new RegExp(`^(${code})$`)) })
    expect(readdirSync(join(workshop.root, 'snapshots'))).toHaveLength(before)
  })

  test('contents that are not those of the configuration: are refused', async () => {
    const edit: ImageOptions['edit'] = ({ config }) => {
      config.rootfs = { type: 'layers', diff_ids: [`sha256:${'0'.repeat(64)}`] }
    }
    await expect(unpack([{ name: 'x' }], { edit })).rejects.toMatchObject({ code: 'IMAGE_DIGEST_MISMATCH' })
  })

  test('more bytes than allowed: are refused before they are written', async () => {
    const { openImages } = await import('../../images/index.ts')
    const { silentLog } = await import('../../runtime/base/log.ts')
    const { anArchive, anImage } = await import('../fixtures/image.ts')
    const images = await openImages({
      root: join(workshop.folder, 'small'),
      log: silentLog,
      maximumLayerBytes: 1 << 20,
    })
    const file = join(workshop.folder, 'bomb.tar')
    writeFileSync(file, anArchive(anImage({ layers: [[{ name: 'zeros', content: Buffer.alloc(32 << 20) }]] })))
    await expect(images.load(file)).rejects.toMatchObject({ code: 'IMAGE_TOO_LARGE' })
    expect(await images.list()).toEqual([])
    await images.close()
  })
})
