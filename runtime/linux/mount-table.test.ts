import { describe, expect, it } from 'vitest'
import { parentMount } from './mount-table.ts'

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
