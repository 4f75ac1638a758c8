import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { type CallArchitecture, callNumber } from './foreign-syscalls.ts'
import { syscallNames } from './syscall-numbers.ts'

const headers: readonly [CallArchitecture, string][] = [
  ['x64', '/usr/include/x86_64-linux-gnu/asm/unistd_64.h'],
  ['x86', '/usr/include/x86_64-linux-gnu/asm/unistd_32.h'],
  ['x32', '/usr/include/x86_64-linux-gnu/asm/unistd_x32.h'],
]

/** Names that the kernel's headers have and no kernel has a call for. */
const never = [
  'vserver',
  'epoll_ctl_old',
  'epoll_wait_old',
  'break',
  'stty',
  'gtty',
  'ftime',
  'prof',
  'lock',
  'mpx',
  'profil',
  'ulimit',
  'idle',
]

describe('callNumber', () => {
  it.each(headers)('%s: as the kernel’s header says', (architecture, header) => {
    if (!existsSync(header)) return expect(existsSync('/usr/include/linux')).toBe(false)
    const lines = [...readFileSync(header, 'utf8').matchAll(/#define __NR_(\w+) (?:\(__X32_SYSCALL_BIT \+ )?(\d+)/g)]
    expect(lines.length).toBeGreaterThan(300)
    for (const [, name = '', number] of lines) {
      if (never.includes(name)) continue
      const ours = callNumber(name, architecture)
      const plain = ours === undefined ? undefined : architecture === 'x32' ? ours & ~0x40000000 : ours
      expect([name, plain]).toEqual([name, Number(number)])
    }
  })

  const resolver = spawnSync('scmp_sys_resolver', ['-h']).error === undefined
  it.skipIf(!resolver)('arm and arm64: as libseccomp says', () => {
    const names = [
      'read',
      'mmap2',
      'openat',
      'sync_file_range2',
      'cacheflush',
      'arm_fadvise64_64',
      'futex_time64',
      'epoll_pwait2',
    ]
    for (const [architecture, called] of [
      ['arm', 'arm'],
      ['arm64', 'aarch64'],
    ] as const) {
      for (const name of names) {
        const theirs = Number(execFileSync('scmp_sys_resolver', ['-a', called, name], { encoding: 'utf8' }))
        expect([name, callNumber(name, architecture) ?? -1]).toEqual([name, Math.max(theirs, -1)])
      }
    }
  })

  it('no number has two names', () => {
    for (const architecture of ['x64', 'x32', 'arm64'] as const) {
      const numbers = syscallNames().flatMap((name) => callNumber(name, architecture) ?? [])
      expect(new Set(numbers).size).toBe(numbers.length)
    }
  })
})
