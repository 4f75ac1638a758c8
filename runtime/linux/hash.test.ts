import { createHash, randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { sha256 } from './hash.ts'

describe('sha256 on the pool', () => {
  it('is what node:crypto says, piece by piece', async () => {
    const pieces = [0, 1, 63, 64, 65, 1 << 19].map((length) => randomBytes(length))
    const [ours, theirs] = [sha256(), createHash('sha256')]
    for (const piece of pieces) {
      await ours.update(piece)
      theirs.update(piece)
    }
    expect(ours.digest().toString('hex')).toBe(theirs.digest('hex'))
    ours.close()
  })

  it('knows the empty message', () => {
    const hash = sha256()
    expect(hash.digest().toString('hex')).toBe('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855')
    hash.close()
  })

  it('keeps several apart', async () => {
    const hashes = Array.from({ length: 8 }, sha256)
    await Promise.all(hashes.map((hash, at) => hash.update(Buffer.alloc(1 << 18, at))))
    for (const [at, hash] of hashes.entries()) {
      const expected = createHash('sha256')
        .update(Buffer.alloc(1 << 18, at))
        .digest('hex')
      expect(hash.digest().toString('hex')).toBe(expected)
      hash.close()
    }
  })
})
