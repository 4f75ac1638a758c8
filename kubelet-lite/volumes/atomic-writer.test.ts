import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { writeAtomically } from './atomic-writer.ts'

let volume: string
beforeEach(() => {
  volume = mkdtempSync(join(tmpdir(), 'coracle-volume-'))
})
afterEach(() => rmSync(volume, { recursive: true }))

const payload = (files: Record<string, string>, mode = 0o644) =>
  new Map(Object.entries(files).map(([path, text]) => [path, { bytes: Buffer.from(text), mode }]))
const text = (path: string) => readFileSync(join(volume, path), 'utf8')

describe('writeAtomically', () => {
  it('shows the files, with their modes, through one link', async () => {
    await writeAtomically(volume, payload({ a: '1', 'deep/b': '2' }, 0o400), undefined)
    expect([text('a'), text('deep/b')]).toEqual(['1', '2'])
    expect(readlinkSync(join(volume, 'a'))).toBe('..data/a')
    expect(statSync(join(volume, 'a')).mode & 0o777).toBe(0o400)
  })
  it('changes everything at once and takes away what is gone', async () => {
    await writeAtomically(volume, payload({ a: '1', b: '2' }), undefined)
    const before = readlinkSync(join(volume, '..data'))
    await writeAtomically(volume, payload({ b: '3', c: '4' }), undefined)
    expect(readlinkSync(join(volume, '..data'))).not.toBe(before)
    expect(readdirSync(volume).filter((name) => !name.startsWith('..'))).toEqual(['b', 'c'])
    expect([text('b'), text('c')]).toEqual(['3', '4'])
    expect(readdirSync(volume)).not.toContain(before)
  })
  it('does nothing when nothing changed', async () => {
    await writeAtomically(volume, payload({ a: '1' }), undefined)
    const before = readlinkSync(join(volume, '..data'))
    await writeAtomically(volume, payload({ a: '1' }), undefined)
    expect(readlinkSync(join(volume, '..data'))).toBe(before)
  })
})
