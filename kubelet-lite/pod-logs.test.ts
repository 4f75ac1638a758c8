import { appendFileSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { systemClock } from '../runtime/base/clock.ts'
import { type LogOptions, readLog } from './pod-logs.ts'

let folder: string
let path: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'coracle-logs-'))
  path = join(folder, '0.log')
})
afterEach(() => rmSync(folder, { recursive: true }))

const line = (second: number, text: string, more = 'stdout F') =>
  `2026-01-02T03:04:${String(second).padStart(2, '0')}.000000001Z ${more} ${text}\n`
const read = async (options: Partial<LogOptions> = {}, running = async () => false) => {
  const all: Buffer[] = []
  const pieces = readLog({
    path,
    options: { follow: false, timestamps: false, ...options },
    clock: systemClock,
    signal: new AbortController().signal,
    running,
  })
  for await (const piece of pieces) all.push(piece)
  return Buffer.concat(all).toString()
}

describe('readLog', () => {
  it('text of both streams, in order; partial records are put together', async () => {
    writeFileSync(path, line(1, 'one') + line(2, 'tw', 'stderr P') + line(2, 'o', 'stderr F') + line(3, ''))
    expect(await read()).toBe('one\ntwo\n\n')
    expect(await read({ stream: 'stderr' })).toBe('two\n')
  })
  it('timestamps: one a line', async () => {
    writeFileSync(path, line(1, 'o', 'stdout P') + line(1, 'ne'))
    expect(await read({ timestamps: true })).toBe('2026-01-02T03:04:01.000000001Z one\n')
  })
  it('tailLines: the last ones, over rotated files too', async () => {
    writeFileSync(`${path}.20260102-030401`, line(1, 'one') + line(2, 'two'))
    writeFileSync(path, line(3, 'three') + line(4, 'four'))
    expect(await read({ tailLines: 1 })).toBe('four\n')
    expect(await read({ tailLines: 3 })).toBe('two\nthree\nfour\n')
    expect(await read({ tailLines: 9 })).toBe('one\ntwo\nthree\nfour\n')
    expect(await read({ tailLines: 0 })).toBe('')
  })
  it('tailLines: over more than one block', async () => {
    writeFileSync(
      path,
      Array.from({ length: 5000 }, (_each, index) => line(1, `line ${index} ${'x'.repeat(40)}`)).join(''),
    )
    expect((await read({ tailLines: 4000 })).split('\n')[0]).toMatch(/^line 1000 /)
  })
  it('since and limitBytes', async () => {
    writeFileSync(path, line(1, 'one') + line(5, 'five'))
    expect(await read({ since: Date.parse('2026-01-02T03:04:03Z') })).toBe('five\n')
    expect(await read({ limitBytes: 6 })).toBe('one\nfi')
  })
  it('follow: what comes later, through a rotation, until the container has ended', async () => {
    writeFileSync(path, line(1, 'one'))
    let rounds = 0
    const text = await read({ follow: true }, async () => {
      rounds++
      if (rounds === 1) appendFileSync(path, line(2, 'two'))
      if (rounds === 2) {
        renameSync(path, `${path}.20260102-030403`)
        writeFileSync(path, line(3, 'three'))
      }
      return rounds < 4
    })
    expect(text).toBe('one\ntwo\nthree\n')
  })
  it('multibyte characters cut by a block are whole again', async () => {
    const text = 'ü'.repeat(70_000)
    writeFileSync(path, line(1, text))
    expect(await read({ follow: true })).toBe(`${text}\n`)
  })
})
