import { describe, expect, it } from 'vitest'
import { type TarHeader, TarReader } from './tar-reader.ts'
import { encodeTarHeader, tarEnd, tarPadding } from './tar-writer.ts'

const anEntry = (more: Partial<TarHeader>): TarHeader => ({
  name: Buffer.from('a'),
  link: Buffer.alloc(0),
  type: 'file',
  mode: 0o4755,
  uid: 1,
  gid: 2,
  size: 0,
  mtime: 1_000_000_000n,
  major: 0,
  minor: 0,
  xattrs: new Map(),
  ...more,
})

function readBack(entry: TarHeader, data = Buffer.alloc(0)): { header: TarHeader | undefined; data: Buffer } {
  let header: TarHeader | undefined
  const chunks: Buffer[] = []
  const reader = new TarReader({
    entry(read) {
      header = read
    },
    data: (chunk) => chunks.push(Buffer.from(chunk)),
    hole() {},
    end() {},
  })
  reader.write(Buffer.concat([encodeTarHeader(entry), data, tarPadding(data.length), tarEnd]))
  reader.end()
  return { header, data: Buffer.concat(chunks) }
}

describe('encodeTarHeader', () => {
  it.each<[string, Partial<TarHeader>]>([
    ['a plain file', {}],
    ['a name that is no text', { name: Buffer.from([0x61, 0xff, 0xfe]) }],
    ['a long name that is no text', { name: Buffer.alloc(300, 0xfe) }],
    ['a long link', { type: 'symlink', link: Buffer.alloc(1000, 0x62) }],
    ['large owners', { uid: 4_000_000_000, gid: 2_097_152 }],
    ['nanoseconds', { mtime: 1_700_000_000_123_456_789n }],
    ['a time before 1970', { mtime: -1_500_000_000n }],
    ['a device', { type: 'block-device', major: 259, minor: 77 }],
    ['binary attributes', { xattrs: new Map([['security.capability', Buffer.from([1, 0, 0, 2, 0xff, 0x0a, 0x3d])]]) }],
  ])('%s: is read back as it was', (_title, more) => {
    expect(readBack(anEntry(more)).header).toEqual(anEntry(more))
  })

  it('data: is padded to whole blocks', () => {
    const data = Buffer.alloc(700, 'x')
    expect(readBack(anEntry({ size: 700 }), data).data).toEqual(data)
  })

  it('a file of 9 GB: its size goes into a record', () => {
    const size = 9 * 1024 ** 3
    let seen = 0
    const reader = new TarReader({ entry: (header) => (seen = header.size), data() {}, hole() {}, end() {} })
    reader.write(encodeTarHeader(anEntry({ size })))
    expect(seen).toBe(size)
  })
})
