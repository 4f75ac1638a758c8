import type { Socket } from 'node:net'
import { PassThrough } from 'node:stream'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { frameReader, writeFrame } from './frames.ts'
import { frameKinds } from './protocol.ts'

describe('frames', () => {
  it('come out as they went in, however the bytes are cut', () => {
    const frame = fc.tuple(fc.constantFrom(...frameKinds), fc.uint8Array({ maxLength: 50 }))
    fc.assert(
      fc.property(fc.array(frame, { maxLength: 8 }), fc.integer({ min: 1, max: 40 }), (frames, cut) => {
        const wire = new PassThrough()
        for (const [kind, bytes] of frames) writeFrame(wire as unknown as Socket, kind, bytes)
        const bytes = (wire.read() as Buffer | null) ?? Buffer.alloc(0)
        const seen: [string, number[]][] = []
        const read = frameReader((kind, payload) => seen.push([kind, [...payload]]))
        for (let at = 0; at < bytes.length; at += cut) read(bytes.subarray(at, at + cut))
        expect(seen).toEqual(frames.map(([kind, payload]) => [kind, [...payload]]))
      }),
    )
  })

  it('unknown kinds and absurd lengths are refused', () => {
    const header = (length: number, kind: number) => {
      const bytes = Buffer.alloc(5)
      bytes.writeUInt32LE(length)
      bytes.writeUInt8(kind, 4)
      return bytes
    }
    const read = () => frameReader(() => {})
    expect(() => read()(header(1, 99))).toThrow(/unknown kind/)
    expect(() => read()(header(2 ** 31, 0))).toThrow(/read frame/)
  })
})
