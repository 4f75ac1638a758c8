import { Command } from 'commander'
import { describe, expect, it } from 'vitest'
import { addHandlerOptions, type HandlerFlags, runtimeHandlersOf } from './runtime-handlers.ts'

const handlers = (...words: string[]) => {
  const command = addHandlerOptions(new Command('up')).parse(words, { from: 'user' })
  return runtimeHandlersOf(command.opts<HandlerFlags>())
}
const sh = '--runtime-handler=plain=/bin/sh'

describe('--runtime-handler', () => {
  it('none, one, several', () => {
    expect([...handlers()]).toEqual([])
    const plain = { name: 'plain', binary: '/bin/sh' }
    expect([...handlers(sh, '--runtime-handler', 'other=/bin/ls')]).toEqual([
      ['plain', plain],
      ['other', { name: 'other', binary: '/bin/ls' }],
    ])
  })
  it.each([
    ['Big=/bin/sh', /DNS label/],
    ['=/bin/sh', /DNS label/],
    ['coracle=/bin/sh', /own runtime/],
    ['plain=bin/sh', /absolute/],
    ['plain', /absolute/],
    ['plain=/no/such/runtime', /ENOENT.*\/no\/such\/runtime/],
    ['plain=/etc/passwd', /EACCES/],
  ])('%s is refused', (value, why) => {
    expect(() => handlers('--runtime-handler', value)).toThrow(why)
  })
  it('the same name twice is refused', () => {
    expect(() => handlers(sh, sh)).toThrow(/plain is there twice/)
  })
})
