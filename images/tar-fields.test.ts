import { describe, expect, it } from 'vitest'
import { numberIn } from './tar-fields.ts'

const field = (text: string, length = 12) => {
  const block = Buffer.alloc(512)
  block.write(text, 100, 'latin1')
  return () => numberIn(block, 100, length)
}

describe('octal numbers of a header', () => {
  it.each([
    ['', 0],
    ['00000001750', 0o1750],
    ['  755 ', 0o755],
    ['755 \0', 0o755],
    ['755\0garbage', 0o755],
    ['777777777777', 0o777777777777],
    ['      ', 0],
  ])('%j', (text, value) => expect(field(text)()).toBe(value))

  it.each(['8', '-1', '7 5', '0x1f', '1e3', '7ü'])('refuses %j', (text) => {
    expect(field(text)).toThrow('is no octal number')
  })
})
