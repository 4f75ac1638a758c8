import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { pack } from 'tar-stream'
import { describe, expect, it } from 'vitest'
import { aTar, encodePax, padded, type TarEntry } from '../test/fixtures/tar.ts'
import { type TarHeader, TarReader } from './tar-reader.ts'
import { splitPath, whiteoutTarget } from './whiteouts.ts'

interface Seen {
  header: TarHeader
  content: Buffer
  offset: number
}

function read(archive: Buffer, chunkBytes = archive.length || 1): Seen[] {
  const seen: Seen[] = []
  const reader = new TarReader({
    entry: (header, offset) => void seen.push({ header, content: Buffer.alloc(0), offset }),
    data(chunk) {
      const last = seen.at(-1)
      if (last) last.content = Buffer.concat([last.content, chunk])
    },
    hole(bytes) {
      const last = seen.at(-1)
      if (last) last.content = Buffer.concat([last.content, Buffer.alloc(bytes)])
    },
    end() {},
  })
  for (let at = 0; at < archive.length; at += chunkBytes)
    reader.write(Buffer.from(archive.subarray(at, at + chunkBytes)))
  reader.end()
  return seen
}

const names = (archive: Buffer) => read(archive).map(({ header }) => header.name.toString())

describe('TarReader', () => {
  it('attributes: those of star are bytes, those of libarchive are decoded, star wins', () => {
    const pax = {
      'LIBARCHIVE.xattr.user.a%20b': Buffer.from([1, 0xff]).toString('base64'),
      'LIBARCHIVE.xattr.user.both': Buffer.from('one').toString('base64'),
      'SCHILY.xattr.user.both': 'two',
    }
    const xattrs = read(aTar([{ name: 'a', pax }]))[0]?.header.xattrs
    expect(xattrs).toEqual(
      new Map([
        ['user.a b', Buffer.from([1, 0xff])],
        ['user.both', Buffer.from('two')],
      ]),
    )
  })
  it('chunks of any size give the same', () => {
    const entries: TarEntry[] = [
      { name: 'a', content: 'x'.repeat(700) },
      { name: 'd/' },
      { name: 'e', content: 'y'.repeat(512), pax: { path: 'a longer name', mtime: '1.5' } },
      { name: 'l', type: '2', link: 'a' },
    ]
    const archive = aTar(entries)
    const whole = read(archive)
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1500 }), (size) => {
        expect(read(archive, size)).toEqual(whole)
      }),
    )
    expect(whole.map(({ header, content }) => [header.name.toString(), header.type, content.length])).toEqual([
      ['a', 'file', 700],
      ['d/', 'directory', 0],
      ['a longer name', 'file', 512],
      ['l', 'symlink', 0],
    ])
    for (const { content, offset } of whole) expect(archive.subarray(offset, offset + content.length)).toEqual(content)
  })

  it('extended headers: for one entry, for all, and taken back', () => {
    const global = { name: 'g', type: 'g', content: encodePax({ uid: '7', path: 'g' }) }
    const archive = aTar([
      { name: 'a', pax: { uid: '5' } },
      { name: 'b' },
      global,
      { name: 'c', pax: { path: '' } },
      { name: 'd', uid: 3 },
    ])
    expect(read(archive).map(({ header }) => [header.name.toString(), header.uid])).toEqual([
      ['a', 5],
      ['b', 0],
      ['c', 7],
      ['g', 7],
    ])
  })

  it('attributes: values are bytes, with zeros and line ends', () => {
    const value = Buffer.from([0, 10, 61, 255])
    const [seen] = read(aTar([{ name: 'a', pax: { 'SCHILY.xattr.user.x': value } }]))
    expect(seen?.header.xattrs).toEqual(new Map([['user.x', value]]))
  })

  it('long names of GNU', () => {
    const long = 'n'.repeat(300)
    const archive = aTar([
      { name: '././@LongLink', type: 'L', content: `${long}\0` },
      { name: '././@LongLink', type: 'K', content: `${long}2\0` },
      { name: 'short', type: '2', link: 'short' },
      { name: 'next' },
    ])
    const [first, second] = read(archive)
    expect([first?.header.name.toString(), first?.header.link.toString()]).toEqual([long, `${long}2`])
    expect(second?.header.name.toString()).toBe('next')
  })

  it('numbers in base 256', () => {
    const archive = aTar([{ name: 'a' }])
    archive.fill(0, 108, 116)
    archive.writeUInt8(0x80, 108)
    archive.writeUInt32BE(4_000_000_000, 112)
    archive.fill(' ', 148, 156)
    const sum = archive.subarray(0, 512).reduce((total, byte) => total + byte, 0)
    archive.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
    expect(read(archive)[0]?.header.uid).toBe(4_000_000_000)
  })

  it('an archive may lack its end, not the end of an entry', () => {
    expect(names(aTar([{ name: 'a', content: 'x' }], 'no end'))).toEqual(['a'])
    expect(() => names(aTar([{ name: 'a', content: 'x', size: 513 }], 'no end'))).toThrow(/in the middle/)
    expect(() => names(aTar([{ name: 'a' }], 'no end').subarray(0, 300))).toThrow(/in the middle/)
  })

  it('what follows the end is not read', () => {
    expect(names(Buffer.concat([aTar([{ name: 'a' }]), padded(Buffer.from('rubbish'))]))).toEqual(['a'])
  })

  it('bytes at random never do more than fail', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2000 }), (bytes) => {
        try {
          read(Buffer.from(bytes))
        } catch (error) {
          expect(error).toMatchObject({ code: expect.stringMatching(/^IMAGE_/) })
        }
      }),
    )
  })

  it('archives of tar-stream are read', async () => {
    const tar = pack()
    tar.entry({ name: `${'d/'.repeat(60)}ü`, mode: 0o600 }, 'hello')
    tar.finalize()
    const chunks: Buffer[] = []
    for await (const chunk of tar) chunks.push(chunk as Buffer)
    const [seen] = read(Buffer.concat(chunks))
    expect([seen?.header.name.toString(), seen?.content.toString()]).toEqual([`${'d/'.repeat(60)}ü`, 'hello'])
  })

  it.each(['v7', 'oldgnu', 'gnu', 'ustar', 'posix'])('archives of GNU tar in its format %s are read', (format) => {
    const folder = mkdtempSync(join(tmpdir(), 'coracle-tar-'))
    try {
      mkdirSync(join(folder, 'sub'))
      const name = format === 'v7' ? 'n'.repeat(90) : 'n'.repeat(99)
      writeFileSync(join(folder, 'sub', name), 'hello', { mode: 0o640 })
      symlinkSync('target', join(folder, 'link'))
      const archive = execFileSync('tar', [`--format=${format}`, '-C', folder, '-cf', '-', 'link', 'sub'])
      expect(
        read(archive).map(({ header, content }) => [header.name.toString(), header.type, content.toString()]),
      ).toEqual([
        ['link', 'symlink', ''],
        ['sub/', 'directory', ''],
        [`sub/${name}`, 'file', 'hello'],
      ])
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})

describe('splitPath', () => {
  const split = (name: string) => splitPath(Buffer.from(name)).map(String)

  it.each([
    ['a/b', ['a', 'b']],
    ['/a//b/', ['a', 'b']],
    ['./a/./b', ['a', 'b']],
    ['../../a', ['a']],
    ['a/../../b', ['b']],
    ['./', []],
    ['', []],
    ['..a/...', ['..a', '...']],
  ])('%j', (name, parts) => {
    expect(split(name)).toEqual(parts)
  })

  it('a zero byte: is refused', () => {
    expect(() => split('a\0b')).toThrow(/zero byte/)
  })
})

describe('whiteoutTarget', () => {
  it('the name behind .wh., and no other', () => {
    expect(whiteoutTarget(Buffer.from('.wh.a'))?.toString()).toBe('a')
    expect(whiteoutTarget(Buffer.from('a.wh.b'))).toBeUndefined()
    for (const bad of ['.wh.', '.wh..', '.wh...'])
      expect(() => whiteoutTarget(Buffer.from(bad))).toThrow(/hides nothing/)
  })
})
