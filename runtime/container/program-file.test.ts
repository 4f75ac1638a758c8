import { describe, expect, it } from 'vitest'
import { programFile } from './program-file.ts'

/** An ELF header with one program header: a loader's name, or nothing. */
function anElf(o: { bits: 32 | 64; machine: number; loader?: string; bigEndian?: boolean }): Buffer {
  const head = Buffer.alloc(512)
  head.write('\x7fELF', 'latin1')
  head[4] = o.bits === 64 ? 2 : 1
  head[5] = o.bigEndian ? 2 : 1
  if (o.bigEndian) head.writeUInt16BE(o.machine, 18)
  else head.writeUInt16LE(o.machine, 18)
  if (o.loader === undefined) return head
  head.write(`${o.loader}\0`, 256)
  const length = Buffer.byteLength(o.loader) + 1
  if (o.bits === 64) {
    head.writeBigUInt64LE(64n, 32)
    head.writeUInt16LE(56, 54)
    head.writeUInt16LE(1, 56)
    head.writeUInt32LE(3, 64)
    head.writeBigUInt64LE(256n, 64 + 8)
    head.writeBigUInt64LE(BigInt(length), 64 + 32)
    return head
  }
  head.writeUInt32LE(52, 28)
  head.writeUInt16LE(32, 42)
  head.writeUInt16LE(1, 44)
  head.writeUInt32LE(3, 52)
  head.writeUInt32LE(256, 52 + 4)
  head.writeUInt32LE(length, 52 + 16)
  return head
}

describe('programFile', () => {
  it('a script: its interpreter, without its argument, and whether a CR follows', () => {
    const of = (text: string) => programFile(Buffer.from(text))
    expect(of('#! /bin/sh -e\nx')).toEqual({ kind: 'script', interpreter: '/bin/sh', endsWithCr: false })
    expect(of('#!/bin/sh\r\nx')).toMatchObject({ interpreter: '/bin/sh', endsWithCr: true })
    expect(of('#!')).toMatchObject({ interpreter: '' })
  })

  it.each([32, 64] as const)('ELF of %s bits: machine and loader', (bits) => {
    const loader = '/lib/ld-linux.so.2'
    expect(programFile(anElf({ bits, machine: 3, loader }))).toEqual({ kind: 'elf', machine: 3, loader })
    expect(programFile(anElf({ bits, machine: 3 }))).toEqual({ kind: 'elf', machine: 3, loader: undefined })
  })

  it('ELF of the other byte order: the machine', () => {
    expect(programFile(anElf({ bits: 64, machine: 22, bigEndian: true }))).toMatchObject({ machine: 22 })
  })

  it('anything else, and what ends too early, is neither', () => {
    for (const text of ['', '#', 'text', '\x7fELF']) {
      expect(programFile(Buffer.from(text, 'latin1'))).toEqual({ kind: 'neither' })
    }
  })

  it('an ELF that lies about its tables names no loader', () => {
    const elf = anElf({ bits: 64, machine: 62, loader: '/lib/ld' })
    elf.writeBigUInt64LE(2n ** 40n, 32)
    expect(programFile(elf)).toMatchObject({ kind: 'elf', loader: undefined })
  })
})
