import { describe, expect, it } from 'vitest'
import { isOnNoexec, parentMount } from './mount-table.ts'

describe('parentMount', () => {
  const table = ['/', '/var', '/var/lib/a\\040b', '/variety']
    .map((point, at) => `${at} 1 0:1 / ${point} rw - x x rw`)
    .join('\n')
  it.each([
    ['/var/lib/x', '/var'],
    ['/var', '/var'],
    ['/vary', '/'],
    ['/var/lib/a b/c', '/var/lib/a b'],
  ])('%s lies on %s', (path, mount) => expect(parentMount(path, table)).toBe(mount))
})

describe('isOnNoexec', () => {
  const table = ['/ rw,relatime', '/tmp rw,nosuid,noexec', '/tmp/in rw', '/over rw,noexec', '/over rw']
    .map((row, at) => `${at} 1 0:1 / ${row} - x x rw,noexec`)
    .join('\n')
  it.each([
    ['/bin/x', false],
    ['/tmp/x', true],
    ['/tmp/in/x', false],
    ['/over/x', false],
  ])('%s: %s', (path, isIt) => expect(isOnNoexec(path, table)).toBe(isIt))
})
