import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { anArchive, anImage } from '../fixtures/image.ts'
import type { TarEntry } from '../fixtures/tar.ts'
import { aWorkshop, wholeTree as look, seenThroughOverlay, type Workshop } from './images/store.ts'

/** What we unpack is compared with what Debian's umoci and podman make of the same bytes. */
const has = (program: string) => existsSync(`/usr/bin/${program}`)
const isRoot = process.getuid?.() === 0
const test = it.skipIf(!isRoot || !has('umoci') || !has('skopeo') || !has('python3'))

let workshop: Workshop
beforeAll(async () => {
  if (isRoot) workshop = await aWorkshop()
})
afterAll(() => workshop?.close())

let count = 0
async function bothTrees(layers: readonly (readonly TarEntry[] | Buffer)[]): Promise<{ ours: string; umoci: string }> {
  const [folder, label] = [join(workshop.folder, `case-${count++}`), `umoci.test/case:${count}`]
  mkdirSync(join(folder, 'scratch'), { recursive: true })
  const file = join(folder, 'image.tar')
  writeFileSync(file, anArchive(anImage({ layers }), label))
  await workshop.images.load(file)
  const { overlay } = await workshop.images.prepare(`u${count}`, label)
  const ours = seenThroughOverlay(overlay.lower, join(folder, 'scratch'), look)
  const options = { timeout: 60_000, stdio: 'ignore' } as const
  execFileSync(
    'skopeo',
    ['--insecure-policy', 'copy', `oci-archive:${file}:${label}`, `oci:${folder}/layout:x`],
    options,
  )
  execFileSync('umoci', ['unpack', '--image', `${folder}/layout:x`, `${folder}/bundle`], options)
  const umoci = execFileSync('sh', ['-ec', look], {
    cwd: join(folder, 'bundle/rootfs'),
    encoding: 'latin1',
    maxBuffer: 1 << 27,
  })
  return { ours, umoci }
}

const capability = Buffer.from('0100000200040000000000000000000000000000', 'hex')
/** version 2; user::rw-, user:1000:r--, group::r--, mask::r--, other::--- */
const acl = Buffer.from(
  '0200000001000600ffffffff02000400e803000004000400ffffffff10000400ffffffff20000000ffffffff',
  'hex',
)

describe('the same tree as umoci', () => {
  test('odd entries: attributes, devices, links, times to the nanosecond, names of all kinds', async () => {
    const { ours, umoci } = await bothTrees([
      [
        { name: 'd/', mode: 0o1777, uid: 5, gid: 6, pax: { mtime: '1500000000.123456789' } },
        { name: 'd/suid', content: 'x', mode: 0o6755, uid: 1000, gid: 1000, pax: { mtime: '1500000001.5' } },
        { name: 'd/hard', type: '1', link: 'd/suid' },
        { name: 'd/cap', content: 'c', mode: 0o755, uid: 3, pax: { 'SCHILY.xattr.security.capability': capability } },
        {
          name: 'd/noted',
          content: 'n',
          pax: { 'SCHILY.xattr.user.note': 'hello', 'SCHILY.xattr.user.binary': Buffer.from([1, 2, 0xff]) },
        },
        { name: 'd/acl', content: 'a', mode: 0o640, pax: { 'SCHILY.xattr.system.posix_acl_access': acl } },
        { name: 'd/link', type: '2', link: '../nowhere', uid: 7, pax: { mtime: '1400000000.25' } },
        { name: 'd/fifo', type: '6', mode: 0o600 },
        { name: 'd/null', type: '3', major: 1, minor: 3, mode: 0o666 },
        { name: 'd/disk', type: '4', major: 259, minor: 300, mode: 0o660, gid: 6 },
        { name: 'Case', content: 'upper' },
        { name: 'case', content: 'lower' },
        { name: 'x', content: 'long', pax: { path: `deep/${'n'.repeat(200)}/${'m'.repeat(120)}` } },
        { name: 'ümläut', content: 'u' },
        { name: 'empty/', mode: 0o700 },
      ],
      [
        { name: 'd/new', content: 'second layer' },
        { name: 'd/.wh.noted' },
        { name: 'empty/.wh..wh..opq' },
        { name: 'case/', mode: 0o711 },
        { name: 'case/in', content: 'a folder now' },
        { name: 'd/again', type: '1', link: 'd/new' },
      ],
    ])
    // Of an implicit folder, overlayfs shows the time of the folder below, umoci that of its last change.
    const comparable = (tree: string) => tree.split('\n').filter((line) => !/^(d|deep[^|]*|empty)\|d\|/.test(line))
    expect(comparable(ours)).toEqual(comparable(umoci))
    expect(ours).toContain('d/suid|f|6755|1000:1000|1|1500000001.5000000000||2')
    expect(ours).toContain(`security.capability ${capability.toString('hex')}`)
    expect(ours).toContain(`system.posix_acl_access ${acl.toString('hex')}`)
  })

  test('a root of the files of this host, in one layer and in three', { timeout: 120_000 }, async () => {
    const pack = (...paths: string[]) =>
      execFileSync(
        'tar',
        ['-c', '--xattrs', '--format=pax', '-C', '/', '--ignore-failed-read', '--warning=no-file-changed', ...paths],
        { maxBuffer: 1 << 28, stdio: ['ignore', 'pipe', 'ignore'] },
      )
    const parts = [
      ['etc', 'bin', 'lib', 'sbin'],
      ['usr/sbin', 'var/lib/dpkg/alternatives'],
      ['usr/share/zoneinfo', 'usr/bin/passwd', 'usr/bin/su', 'usr/share/perl5'],
    ]
    const there = parts.map((paths) => paths.filter((path) => existsSync(`/${path}`)))
    for (const layers of [[pack(...there.flat())], there.map((paths) => pack(...paths))]) {
      const { ours, umoci } = await bothTrees(layers)
      const comparable = (tree: string) =>
        tree.split('\n').filter((line) => !/^(usr|usr\/bin|usr\/share|var|var\/lib|var\/lib\/dpkg)\|d\|/.test(line))
      expect(comparable(ours)).toEqual(comparable(umoci))
      expect(ours.length).toBeGreaterThan(50_000)
    }
  })

  test('sparse files of PAX (umoci knows no others)', async () => {
    const source = join(workshop.folder, 'sparse')
    mkdirSync(source)
    const script = 'truncate -s 9M a b; printf x | dd of=b bs=1 seek=5000000 conv=notrunc status=none; printf y > c'
    execFileSync('sh', ['-ec', script], { cwd: source })
    const forms = ['0.0', '0.1', '1.0']
    const layers = forms.map((form) => {
      const flags = ['--format=posix', `--sparse-version=${form}`, '--transform', `s,^,${form}-,`]
      return execFileSync('tar', ['-c', '--sparse', ...flags, 'a', 'b', 'c'], { cwd: source })
    })
    const { ours, umoci } = await bothTrees(layers)
    expect(ours).toBe(umoci)
    for (const form of forms) expect(ours).toContain(`${form}-b|f|644|0:0|9437184|`)
  })

  test('a static busybox with its hundreds of links', async () => {
    const names = ['sh', 'ls', 'cat', ...Array.from({ length: 300 }, (_, at) => `tool${at}`)]
    const links = names.map((name): TarEntry => ({ name: `bin/${name}`, type: '1', link: 'bin/busybox' }))
    const { ours, umoci } = await bothTrees([
      [{ name: 'bin/', mode: 0o755 }, { name: 'bin/busybox', content: 'ELF', mode: 0o755 }, ...links],
    ])
    expect(ours).toBe(umoci)
    expect(ours).toContain('bin/busybox|f|755|0:0|3|1000000000.0000000000||304')
  })
})

describe('a folder of a layer where a lower one has a link', () => {
  it.skipIf(!isRoot || !has('podman'))(
    'the link is hidden, as with podman on overlay (and Docker, whose layers are unpacked alone too)',
    async () => {
      const base: TarEntry[] = [
        { name: 'usr/', mode: 0o755 },
        { name: 'usr/lib/' },
        { name: 'usr/lib/base', content: 'b' },
        { name: 'lib', type: '2', link: 'usr/lib' },
      ]
      const folder = join(workshop.folder, 'merged')
      mkdirSync(join(folder, 'scratch'), { recursive: true })
      writeFileSync(
        join(folder, 'a.tar'),
        anArchive(anImage({ layers: [base, [{ name: 'lib/x', content: 'x' }]] }), 'merged.test/x:1'),
      )
      await workshop.images.load(join(folder, 'a.tar'))
      const { overlay } = await workshop.images.prepare('merged', 'merged.test/x:1')
      const list = `find . -mindepth 1 -printf '%P %y\\n' | LC_ALL=C sort`
      const ours = seenThroughOverlay(overlay.lower, join(folder, 'scratch'), list)
      const podman = `podman --root ${folder}/root --runroot ${folder}/run --storage-driver overlay`
      const script = `${podman} load -q -i ${folder}/a.tar > /dev/null; cd $(${podman} image mount merged.test/x:1); ${list}; cd /; ${podman} image umount -f merged.test/x:1 > /dev/null`
      const theirs = execFileSync('unshare', ['-m', '--propagation', 'private', 'sh', '-ec', script], {
        encoding: 'utf8',
        timeout: 60_000,
        stdio: ['ignore', 'pipe', 'ignore'],
      })
      expect(ours).toBe(theirs)
    },
  )
})
