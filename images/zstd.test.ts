import { zstdCompressSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { unpackZstd } from './zstd.ts'

async function unpack(bytes: Buffer, chunkBytes = bytes.length || 1): Promise<Buffer> {
  const source = async function* () {
    for (let at = 0; at < bytes.length; at += chunkBytes) yield bytes.subarray(at, at + chunkBytes)
  }
  const chunks: Buffer[] = []
  for await (const chunk of unpackZstd(source())) chunks.push(chunk)
  return Buffer.concat(chunks)
}

const skippable = Buffer.from([0x50, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 9, 9])

describe('unpackZstd', () => {
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
