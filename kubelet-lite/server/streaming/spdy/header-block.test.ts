import { constants, createDeflate } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { dictionary, HeaderDecoder, HeaderEncoder } from './header-block.ts'

/** RFC 1950, section 8.2. */
function adler32(bytes: Buffer): number {
  let [low, high] = [1, 0]
  for (const byte of bytes) {
    low = (low + byte) % 65521
    high = (high + low) % 65521
  }
  return high * 65536 + low
}

/** Header blocks as any other program with zlib makes them: one stream, flushed after each. */
async function zlibBlocks(texts: Buffer[], flush: number): Promise<Buffer[]> {
  const deflate = createDeflate({ dictionary })
  const blocks: Buffer[] = []
  for (const text of texts) {
    const chunks: Buffer[] = []
    const collect = (chunk: Buffer) => void chunks.push(chunk)
    deflate.on('data', collect)
    deflate.write(text)
    await new Promise<void>((resolve) => deflate.flush(flush, resolve))
    await new Promise(setImmediate)
    deflate.off('data', collect)
    blocks.push(Buffer.concat(chunks))
  }
  return blocks
}

function plain(headers: Record<string, string>): Buffer {
  const sized = (text: string) => {
    const bytes = Buffer.from(text)
    const length = Buffer.alloc(4)
    length.writeUInt32BE(bytes.length)
    return Buffer.concat([length, bytes])
  }
  const count = Buffer.alloc(4)
  count.writeUInt32BE(Object.keys(headers).length)
  return Buffer.concat([count, ...Object.entries(headers).flatMap(([name, value]) => [sized(name), sized(value)])])
}

const names = fc.stringMatching(/^[a-z-]{1,20}$/)
const someHeaders = fc.array(fc.dictionary(names, fc.string({ maxLength: 300 }), { maxKeys: 6 }), {
  minLength: 1,
  maxLength: 40,
})

describe('dictionary', () => {
  it('is the one of SPDY/3: 1423 bytes with the checksum that every zlib stream of SPDY/3 names', () => {
    expect(dictionary).toHaveLength(1423)
    expect(adler32(dictionary)).toBe(0xe3c6a7c2)
  })
})

describe('HeaderEncoder, HeaderDecoder', () => {
  it('what one writes the other reads, block after block', () => {
    fc.assert(
      fc.property(someHeaders, (blocks) => {
        const [encoder, decoder] = [new HeaderEncoder(), new HeaderDecoder()]
        for (const headers of blocks) {
          const map = new Map(Object.entries(headers))
          expect(decoder.decode(encoder.encode(map))).toEqual(map)
        }
      }),
      { numRuns: 50 },
    )
  })

  it('blocks of zlib itself are read, with history of more than its window', async () => {
    const all = Array.from({ length: 60 }, (_, at) => ({
      streamtype: 'data',
      port: String(at),
      noise: `${at}`.repeat(700),
    }))
    const blocks = await zlibBlocks(all.map(plain), constants.Z_SYNC_FLUSH)
    const decoder = new HeaderDecoder()
    for (const [at, block] of blocks.entries()) expect(Object.fromEntries(decoder.decode(block))).toEqual(all[at])
  })

  it('another dictionary, damage, and blocks that swell: are refused', async () => {
    const good = new HeaderEncoder().encode(new Map([['a', 'b']]))
    const other = Buffer.from(good)
    other.writeUInt32BE(1, 2)
    expect(() => new HeaderDecoder().decode(other)).toThrow(/dictionary/)
    expect(() => new HeaderDecoder().decode(Buffer.concat([good.subarray(0, 6), Buffer.from('rubbish')]))).toThrow()
    const [swelling] = await zlibBlocks([plain({ a: 'x'.repeat(1 << 20) })], constants.Z_SYNC_FLUSH)
    expect(() => new HeaderDecoder().decode(swelling ?? good)).toThrow(/too long/)
  })
})
