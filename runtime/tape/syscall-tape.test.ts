import { describe, expect, it } from 'vitest'
import { listing } from './listing.ts'
import { SyscallTape, tapeAddress } from './syscall-tape.ts'

const entryAt = (bytes: Buffer, index: number) => bytes.subarray(16 + index * 72, 16 + (index + 1) * 72)

describe('SyscallTape', () => {
  it('encode: numbers by architecture, arguments, references, tolerated errors', () => {
    const tape = new SyscallTape()
    const fd = tape.call('openat', [-100, '/x', 0, 0], { tolerate: [2, 20] })
    tape.call('close', [fd], { policy: 'ignore' })
    for (const [architecture, open, close] of [
      ['x64', 257, 3],
      ['arm64', 56, 57],
    ] as const) {
      const bytes = tape.encode(architecture)
      expect(bytes.readBigUInt64LE()).toBe(2n)
      const [first, second] = [entryAt(bytes, 0), entryAt(bytes, 1)]
      expect([first.readUInt16LE(), second.readUInt16LE()]).toEqual([open, close])
      expect([first.readUInt16LE(4), first.readUInt16LE(6)]).toEqual([2, 20])
      expect(first.readBigInt64LE(8)).toBe(-100n)
      expect([second.readUInt8(2), second.readUInt8(3), second.readBigUInt64LE(8)]).toEqual([1, 1, 0n])
    }
  })

  it('encode: pointers are addresses within the mapped tape, also inside structs', () => {
    const tape = new SyscallTape()
    tape.call('execve', ['/bin/x', tape.strings(['x', 'y']), null])
    const bytes = tape.encode('x64')
    const text = (pointer: bigint) => {
      const at = Number(pointer) - tapeAddress
      return bytes.subarray(at, bytes.indexOf(0, at)).toString()
    }
    expect(text(entryAt(bytes, 0).readBigUInt64LE(8))).toBe('/bin/x')
    const argv = Number(entryAt(bytes, 0).readBigUInt64LE(16)) - tapeAddress
    expect([0, 8].map((at) => text(bytes.readBigUInt64LE(argv + at)))).toEqual(['x', 'y'])
    expect(bytes.readBigUInt64LE(argv + 16)).toBe(0n)
  })

  it('refuses what no kernel could take', () => {
    const tape = new SyscallTape()
    expect(() => tape.string('a\0b')).toThrow(/NUL/)
    expect(() => tape.call('close', [1, 2, 3, 4, 5, 6, 7])).toThrow(/too many arguments/)
    tape.call('umount2', ['/', 0])
    tape.call('chown', ['/', 0, 0])
    expect(() => tape.encode('arm64')).toThrow('arm64 has no system call chown')
  })

  it('listing: reads like strace, with results as references', () => {
    const tape = new SyscallTape()
    tape.because('look at it')
    const fd = tape.call('openat', [{ value: -100, shown: 'AT_FDCWD' }, '/x', 0, 0], { tolerate: [2] })
    tape.call('close', [fd])
    tape.because('and sleep')
    tape.call('ppoll', [null, 0, null, null], { policy: 'repeat' })
    expect(listing(tape)).toBe(
      '# look at it\n1  openat(AT_FDCWD, "/x", 0, 0)  [or ENOENT]\n2  close(#1)\n\n# and sleep\n3  ppoll(NULL, 0, NULL, NULL)  [repeat]\n',
    )
  })
})
