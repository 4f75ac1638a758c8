import { execFileSync, spawnSync } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { Architecture } from '../linux/syscall-numbers.ts'
import { parseReport } from './play.ts'
import { playerFlags, playerProgram } from './player-program.ts'
import { SyscallTape } from './syscall-tape.ts'

const source = resolve(import.meta.dirname, 'player.c')
const compilers: Record<Architecture, string> = { x64: 'x86_64-linux-gnu-gcc', arm64: 'aarch64-linux-gnu-gcc' }
const has = (program: string, version = '--version') => spawnSync(program, [version]).status === 0

describe('playerProgram', () => {
  for (const architecture of ['x64', 'arm64'] as const) {
    it(`${architecture}: a static ELF of under 1 KiB`, () => {
      const program = playerProgram(architecture)
      expect(program.subarray(0, 4).toString('latin1')).toBe('\x7fELF')
      expect(program.length).toBeLessThan(1024)
    })

    const compiler = compilers[architecture]
    // Another gcc makes other bytes: then there is nothing to compare with.
    const isOurs =
      has(compiler) && execFileSync(compiler, ['-dumpfullversion'], { encoding: 'utf8' }).startsWith('12.2')
    it.skipIf(!isOurs)(`${architecture}: the bytes are what ${compiler} 12.2 makes of player.c`, () => {
      const folder = mkdtempSync(join(tmpdir(), 'coracle-player-'))
      try {
        execFileSync(compiler, [...playerFlags(architecture), '-o', join(folder, 'player'), source])
        expect(readFileSync(join(folder, 'player')).equals(playerProgram(architecture))).toBe(true)
      } finally {
        rmSync(folder, { recursive: true })
      }
    })
  }

  it.skipIf(!has('qemu-aarch64-static'))('arm64: walks a tape under qemu', () => {
    const folder = mkdtempSync(join(tmpdir(), 'coracle-player-'))
    try {
      const tape = new SyscallTape()
      tape.call('write', [1, 'from arm64\n', 11])
      tape.call('chdir', ['/no/such/folder'])
      writeFileSync(join(folder, 'player'), playerProgram('arm64'), { mode: 0o755 })
      writeFileSync(join(folder, 'tape'), tape.encode('arm64'))
      const [input, report] = [openSync(join(folder, 'tape'), 'r'), openSync(join(folder, 'report'), 'w+')]
      const run = spawnSync('qemu-aarch64-static', [join(folder, 'player')], {
        stdio: ['ignore', 'pipe', 'inherit', input, report],
      })
      for (const fd of [input, report]) closeSync(fd)
      expect({ output: run.stdout.toString(), status: run.status }).toEqual({ output: 'from arm64\n', status: 1 })
      expect(parseReport(readFileSync(join(folder, 'report')))).toEqual({ index: 1, result: -2 })
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})
