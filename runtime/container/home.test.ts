import { describe, expect, it } from 'vitest'
import { homeOf, withHome } from './home.ts'

const passwd = [
  'root:x:0:0:root:/root:/bin/sh',
  '0x7:x:7a:7::/bad:/bin/sh',
  'short:x:7:7::/short',
  'evil:x:7:7::/a\u0007b:/bin/sh',
  'relative:x:7:7::home:/bin/sh',
  'seven:x:7:7::/home/seven:/bin/sh',
].join('\n')

describe('homeOf', () => {
  it('takes whole lines alone', () => {
    expect(homeOf(passwd, 0)).toBe('/root')
    expect(homeOf(passwd, 7)).toBe('/home/seven')
    expect(homeOf(passwd, 8)).toBe('/')
    expect(homeOf('', 0)).toBe('/')
  })
})

describe('withHome', () => {
  it('what config.json says stays; an empty one does not count', () => {
    const process = { cwd: '/', env: ['A=b', 'HOME=/own'] }
    expect(withHome(process, '/nowhere')).toBe(process)
    expect(withHome({ cwd: '/', env: ['HOME=', 'A=b'] }, '/nowhere').env).toEqual(['A=b', 'HOME=/'])
  })
})
