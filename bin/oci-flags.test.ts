import { describe, expect, it } from 'vitest'
import { parseFlags } from './oci-flags.ts'

const lines = [
  '-b, --bundle <path>  folder',
  '-d, --detach  leave',
  '-e, --env <a=b>...  environment',
  '--limit <n>  limit',
]
const parse = (words: string[], end?: number) => {
  const { flags, args } = parseFlags(words, lines, end)
  return [flags.text('bundle'), flags.has('detach'), [...flags.all('env')], args]
}

describe('parseFlags', () => {
  it('one dash or two, apart or with =, mixed with arguments', () => {
    expect(parse(['-b', 'x', 'id', '--detach', '-env=A=b', '--env', 'C=d e'])).toEqual([
      'x',
      true,
      ['A=b', 'C=d e'],
      ['id'],
    ])
    expect(parse(['--detach=false', '-bundle', 'y', '--', '-d'])).toEqual(['y', false, [], ['-d']])
  })

  it('exec: what follows the id is the command', () => {
    expect(parse(['-d', 'id', 'ls', '-d', '--', '-x'], 1)).toEqual([
      undefined,
      true,
      [],
      ['id', 'ls', '-d', '--', '-x'],
    ])
  })

  it('refuses the unknown, the unfinished and the wrong', () => {
    expect(() => parse(['--nope'])).toThrow('flag provided but not defined: -nope')
    expect(() => parse(['--bundle'])).toThrow('flag needs an argument: -bundle')
    expect(() => parseFlags(['--limit', 'many'], lines).flags.number('limit')).toThrow('not a whole number')
    expect(parseFlags(['--limit', '-1'], lines).flags.number('limit')).toBe(-1)
  })

  it('bytes: as runc reads them', () => {
    const bytes = (text: string) => parseFlags(['--limit', text], lines).flags.bytes('limit')
    expect(['-1', '0', '512', '1k', '64m', '64MB', '64 MiB', '1.5g', '2t'].map(bytes)).toEqual([
      -1,
      0,
      512,
      1024,
      64 * 2 ** 20,
      64 * 2 ** 20,
      64 * 2 ** 20,
      1.5 * 2 ** 30,
      2 ** 41,
    ])
    for (const text of ['', 'm', '-2', '5x', '1,5g', '0x10'])
      expect(() => bytes(text), text).toThrow('no amount of bytes')
  })
})
