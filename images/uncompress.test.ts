import { gzipSync, zstdCompressSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Compression } from './manifest.ts'
import { uncompressed } from './uncompress.ts'

async function unpack(bytes: Buffer, chunkBytes = 1 << 20, compression: Compression = 'zstd'): Promise<Buffer> {
  let at = 0
  const read = async (into: Uint8Array) => {
    const count = Math.min(chunkBytes, into.length, bytes.length - at)
    into.set(bytes.subarray(at, at + count))
    at += count
    return count
  }
  const pieces: Buffer[] = []
  for await (const piece of uncompressed({ read }, compression)) pieces.push(Buffer.from(piece))
  return Buffer.concat(pieces)
}

const skippable = Buffer.from([0x50, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 9, 9])

describe('uncompressed: zstd', () => {
  it('any frames in any chunks', async () => {
    const part = fc.oneof(
      fc.uint8Array({ maxLength: 400 }),
      fc.constant(new Uint8Array(300_000)),
      fc.constant('skip' as const),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(part, { maxLength: 5 }), fc.integer({ min: 1, max: 5000 }), async (parts, size) => {
        const frames = parts.map((one) => (one === 'skip' ? skippable : zstdCompressSync(one)))
        const contents = parts.flatMap((one) => (one === 'skip' ? [] : [one]))
        expect((await unpack(Buffer.concat(frames), size)).equals(Buffer.concat(contents))).toBe(true)
      }),
      { numRuns: 50 },
    )
  })

  it('a small frame may become large', async () => {
    const zeros = Buffer.alloc(40 << 20)
    expect((await unpack(zstdCompressSync(zeros))).length).toBe(zeros.length)
  })

  it('cut short, or followed by rubbish: is refused', async () => {
    const frame = zstdCompressSync(Buffer.alloc(1000, 'abc'))
    for (const length of [1, 4, 6, frame.length - 1]) {
      await expect(unpack(frame.subarray(0, length))).rejects.toThrow()
    }
    await expect(unpack(Buffer.concat([frame, Buffer.from('rubbish')]))).rejects.toMatchObject({
      code: 'IMAGE_LAYER_INVALID',
    })
  })
})

describe('uncompressed: gzip', () => {
  it('any members in any chunks, with padding behind them', async () => {
    const part = fc.oneof(fc.uint8Array({ maxLength: 400 }), fc.constant(new Uint8Array(600_000)))
    const parts = fc.array(part, { minLength: 1, maxLength: 5 })
    await fc.assert(
      fc.asyncProperty(parts, fc.integer({ min: 1, max: 5000 }), fc.nat(3000), async (contents, size, padding) => {
        const file = Buffer.concat([...contents.map((one) => gzipSync(one)), Buffer.alloc(padding)])
        expect((await unpack(file, size, 'gzip')).equals(Buffer.concat(contents))).toBe(true)
      }),
      { numRuns: 50 },
    )
  })

  it('more than one piece, to the byte', async () => {
    const contents = Buffer.from(Array.from({ length: 1 << 20 }, (_, at) => (at * at) % 251))
    for (const length of [(1 << 18) - 1, 1 << 18, (1 << 18) + 1, 1 << 19, 1 << 20]) {
      const part = contents.subarray(0, length)
      expect((await unpack(gzipSync(part), 1 << 20, 'gzip')).equals(part)).toBe(true)
    }
  })

  it('nothing, cut short, changed, or followed by rubbish: is refused', async () => {
    const file = gzipSync(Buffer.alloc(1000, 'abc'))
    const changed = Buffer.from(file)
    changed.writeUInt8(changed.readUInt8(file.length - 8) ^ 1, file.length - 8)
    for (const bad of [0, 1, 9, file.length - 1].map((length) => file.subarray(0, length))) {
      await expect(unpack(bad, 100, 'gzip')).rejects.toMatchObject({ code: 'IMAGE_LAYER_INVALID' })
    }
    for (const bad of [changed, Buffer.concat([file, Buffer.from('rubbish')])]) {
      await expect(unpack(bad, 100, 'gzip')).rejects.toMatchObject({ code: 'IMAGE_LAYER_INVALID' })
    }
  })
})
