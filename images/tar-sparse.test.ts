import { execFileSync } from 'node:child_process'
import { closeSync, existsSync, ftruncateSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { aTar, type TarEntry } from '../test/fixtures/tar.ts'
import { TarReader } from './tar-reader.ts'

/** What a reader says of an archive: names and sizes, and data and holes as `bytes@offset`. */
function read(archive: Buffer, chunkBytes = archive.length): string[] {
  const said: string[] = []
  let position = 0
  let data = Buffer.alloc(0)
  const flush = () => {
    if (data.length > 0) said.push(`data ${data.length}@${position - data.length} ${data.subarray(0, 3)}`)
    data = Buffer.alloc(0)
  }
  const reader = new TarReader({
    entry(header) {
      said.push(`${header.type} ${header.name} ${header.size}`)
      position = 0
    },
    data(chunk) {
      data = Buffer.concat([data, chunk])
      position += chunk.length
    },
    hole(bytes) {
      flush()
      said.push(`hole ${bytes}@${position}`)
      position += bytes
    },
    end() {
      flush()
      said.push(`end ${position}`)
    },
  })
  for (let at = 0; at < archive.length; at += chunkBytes)
    reader.write(Buffer.from(archive.subarray(at, at + chunkBytes)))
  reader.end()
  return said
}

const mebi = 1 << 20
let folder: string
/** 50 pieces of a block of the disk: more than fit into a header, and into one block behind it. */
const pieces = Array.from({ length: 50 }, (_, at) => ({
  offset: (2 * at + 1) * 65_536,
  text: `${at}`.padStart(3, '0'),
}))
const size = 200 * 65_536
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'coracle-sparse-'))
  const fd = openSync(join(folder, 'pieces'), 'w')
  for (const { offset, text } of pieces) writeSync(fd, text.padEnd(4096, '.'), offset)
  ftruncateSync(fd, size)
  closeSync(fd)
  const empty = openSync(join(folder, 'empty'), 'w')
  ftruncateSync(empty, mebi)
  closeSync(empty)
})
afterAll(() => rmSync(folder, { recursive: true }))

const expected = [
  `file empty ${mebi}`,
  `hole ${mebi}@0`,
  `end ${mebi}`,
  `file pieces ${size}`,
  ...pieces.flatMap(({ offset, text }, at) => [
    `hole ${at === 0 ? offset : 65_536 + 61_440}@${at === 0 ? 0 : offset - 65_536 - 61_440}`,
    `data 4096@${offset} ${text}`,
  ]),
  `hole ${size - 99 * 65_536 - 4096}@${99 * 65_536 + 4096}`,
  `end ${size}`,
  'file after 2',
  'data 2@0 ok',
  'end 2',
]

describe('sparse files', () => {
  const gnu = (...flags: string[]) => {
    execFileSync('sh', ['-c', 'printf ok > after'], { cwd: folder })
    return execFileSync('tar', ['-c', '--sparse', ...flags, 'empty', 'pieces', 'after'], {
      cwd: folder,
      maxBuffer: 1 << 26,
    })
  }
  const posix = '--format=posix'
  it.each([
    ['the old form', ['--format=gnu']],
    ['0.0', [posix, '--sparse-version=0.0']],
    ['0.1', [posix, '--sparse-version=0.1']],
    ['1.0', [posix, '--sparse-version=1.0']],
  ])('of GNU tar in %s: holes are told apart from data, in chunks of any size', (_, flags) => {
    const archive = gnu(...flags)
    expect(archive.length).toBeLessThan(mebi)
    expect(read(archive)).toEqual(expected)
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5000 }), (chunkBytes) => {
        expect(read(archive, chunkBytes)).toEqual(expected)
      }),
      { numRuns: 20 },
    )
  })

  it.skipIf(!existsSync('/usr/bin/bsdtar'))('of bsdtar', () => {
    const options = { cwd: folder, maxBuffer: 1 << 26 }
    const archive = execFileSync('bsdtar', ['-c', '--format=pax', '-f', '-', 'empty', 'pieces'], options)
    expect(read(archive)).toEqual(expected.slice(0, -3))
  })

  /** Pieces in a header of the old form. */
  const old = (size: number, ...map: number[]): Pick<TarEntry, 'type' | 'edit'> => ({
    type: 'S',
    edit(header) {
      for (const [at, value] of map.entries()) header.write(value.toString(8).padStart(11, '0'), 386 + 12 * at)
      header.write(size.toString(8).padStart(11, '0'), 483)
    },
  })
  const v1 = { 'GNU.sparse.major': '1', 'GNU.sparse.minor': '0', 'GNU.sparse.realsize': '100' }
  const text = (map: string) => Buffer.concat([Buffer.from(map), Buffer.alloc(512 - map.length)])

  it.each<[string, TarEntry, RegExp]>([
    ['pieces that overlap', { name: 's', content: 'abcd', ...old(100, 0, 2, 1, 2) }, /overlap/],
    ['pieces out of order', { name: 's', content: 'abcd', ...old(100, 50, 2, 0, 2) }, /overlap/],
    ['a piece behind the end', { name: 's', content: 'abcd', ...old(100, 98, 4) }, /ends at 102/],
    ['less data than pieces', { name: 's', content: 'ab', ...old(100, 0, 4) }, /have 4 bytes, 2 follow/],
    ['more data than pieces', { name: 's', content: 'abcdef', ...old(100, 0, 4) }, /have 4 bytes, 6 follow/],
    [
      'a map that always has another block',
      {
        name: 's',
        content: Buffer.concat(Array.from({ length: 3000 }, () => Buffer.alloc(512).fill(1, 504, 505))),
        type: 'S',
        edit: (header) => header.fill(1, 482, 483),
      },
      /more than 2048 blocks/,
    ],
    ['half a map', { name: 's', pax: { 'GNU.sparse.size': '9', 'GNU.sparse.map': '1,2,3' } }, /in the middle/],
    ['a map of no numbers', { name: 's', pax: { 'GNU.sparse.size': '9', 'GNU.sparse.map': '1,x' } }, /"x"/],
    ['a map without size', { name: 's', pax: { 'GNU.sparse.map': '0,0' } }, /nothing of its size/],
    ['a negative size', { name: 's', pax: { 'GNU.sparse.size': '-1', 'GNU.sparse.map': '0,0' } }, /"-1"/],
    ['an unknown form', { name: 's', pax: { 'GNU.sparse.major': '2', 'GNU.sparse.minor': '0' } }, /form 2\.0/],
    ['a map in the data that is none', { name: 's', pax: v1, content: text('hello\n') }, /"hello"/],
    [
      'a map that is longer than the data',
      { name: 's', pax: v1, content: text('1\n0\n4\n') },
      /have 4 bytes, 0 follow/,
    ],
    ['a map without end', { name: 's', pax: v1, content: Buffer.alloc(3000 * 512, '1') }, /2048 blocks/],
    ['a map that ends the archive', { name: 's', pax: v1 }, /it ends in the middle/],
  ])('%s: is refused', (_, entry, reason) => {
    expect(() => read(aTar([entry], 'no end'))).toThrow(reason)
  })

  it('a map alone in the data, and one whose line goes over two blocks', () => {
    const line = `${'0'.repeat(600)}1\n10\n3\n`
    const content = Buffer.concat([Buffer.from(line), Buffer.alloc(1024 - line.length), Buffer.from('abc')])
    expect(read(aTar([{ name: 's', pax: v1, content }]))).toEqual([
      'file s 100',
      'hole 10@0',
      'data 3@10 abc',
      'hole 87@13',
      'end 100',
    ])
    expect(read(aTar([{ name: 's', pax: v1, content: text('0\n') }]))).toEqual(['file s 100', 'hole 100@0', 'end 100'])
  })
})
