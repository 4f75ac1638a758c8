import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { parseElf, readElf } from './elf.ts'
import { librariesOf } from './libraries.ts'

describe('parseElf', () => {
  it('this very Node: its dynamic linker and the C library', () => {
    const elf = readElf(process.execPath)
    expect(elf.interpreter).toMatch(/^\/lib.*\/ld-/)
    expect(elf.needed).toContain('libc.so.6')
    expect(elf.machine).toBe(process.arch === 'x64' ? 62 : 183)
  })

  it.each([
    ['text', Buffer.from('#!/bin/sh\n'.repeat(20))],
    ['half a program', readFileSync(process.execPath).subarray(0, 200)],
    ['a 32-bit program', Buffer.concat([Buffer.from([0x7f, 0x45, 0x4c, 0x46, 1, 1]), Buffer.alloc(100)])],
  ])('%s: is refused', (_, bytes) => {
    expect(() => parseElf((offset, length) => Buffer.from(bytes).subarray(offset, offset + length), 'x')).toThrow(
      expect.objectContaining({ code: 'IMAGE_BUILD' }),
    )
  })
})

describe('librariesOf', () => {
  it('all that Node needs, each once, at places that are paths', () => {
    const files = librariesOf(process.execPath)
    const targets = files.map(({ to }) => to)
    expect(new Set(targets).size).toBe(targets.length)
    expect(targets.filter((path) => /\/libc\.so\.6$/.test(path))).toHaveLength(1)
    for (const { from } of files) expect(() => readFileSync(from)).not.toThrow()
  })
})
