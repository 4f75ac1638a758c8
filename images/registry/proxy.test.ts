import { describe, expect, it } from 'vitest'
import { proxyFor } from './proxy.ts'

const proxies = { http: 'http://p:1', https: 'http://p:2' }
const reached = (url: string, noProxy = '') => proxyFor(new URL(url), { ...proxies, noProxy })

describe('proxyFor', () => {
  it('by scheme; loopback never', () => {
    expect(reached('https://a.test/')).toBe('http://p:2')
    expect(reached('http://a.test/')).toBe('http://p:1')
    expect(['http://127.0.0.1:5/', 'https://localhost/', 'http://[::1]/'].map((url) => reached(url))).toEqual([
      undefined,
      undefined,
      undefined,
    ])
  })

  it.each([
    ['*', 'https://a.test/', false],
    ['a.test', 'https://a.test/', false],
    ['test', 'https://a.test/', false],
    ['.a.test', 'https://a.test/', true],
    ['.a.test', 'https://b.a.test/', false],
    ['a.test:444', 'https://a.test/', true],
    ['a.test:443', 'https://a.test/', false],
    ['10.0.0.0/8', 'https://10.1.2.3/', false],
    ['10.0.0.0/8', 'https://11.1.2.3/', true],
    ['x, 10.1.2.3', 'https://10.1.2.3/', false],
    ['nota.test', 'https://a.test/', true],
  ])('NO_PROXY %s: %s goes through it: %s', (noProxy, url, through) => {
    expect(reached(url, noProxy) !== undefined).toBe(through)
  })
})
