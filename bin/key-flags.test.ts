import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Command } from 'commander'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { addKeyOptions, type KeyFlags, sharedKeysOf } from './key-flags.ts'

describe('sharedKeysOf', () => {
  const folder = mkdtempSync(join(tmpdir(), 'coracle-keys-'))
  const file = (name: string) => join(folder, name)
  beforeAll(() => {
    for (const name of ['ca.crt', 'ca.key', 'sa.key', 'a.pub', 'b.pub']) writeFileSync(file(name), `in ${name}`)
  })
  afterAll(() => rmSync(folder, { recursive: true }))

  const read = (...args: string[]) => {
    const command = addKeyOptions(new Command('up')).parse(args, { from: 'user' })
    return sharedKeysOf(command.opts<KeyFlags>())
  }

  it('nothing given: every server has its own', () => {
    expect(read()).toEqual({})
  })

  it('what the files hold, in the words of the server', () => {
    const authority = ['--cluster-signing-cert-file', file('ca.crt'), '--cluster-signing-key-file', file('ca.key')]
    const tokens = ['--service-account-key-file', file('a.pub'), '--service-account-key-file', file('b.pub')]
    const others = ['--client-ca-file', file('ca.crt'), '--service-account-signing-key-file', file('sa.key')]
    expect(read(...authority, ...tokens, ...others)).toEqual({
      sharedKeys: {
        authority: { certificatePem: 'in ca.crt', privateKeyPem: 'in ca.key' },
        clientCaPem: 'in ca.crt',
        tokenSigningKeyPem: 'in sa.key',
        tokenKeyPems: ['in a.pub', 'in b.pub'],
      },
    })
  })

  it.each([
    ['--client-ca-file', '/nowhere'],
    ['--service-account-key-file', '/nowhere'],
    ['--cluster-signing-cert-file', '/etc/hostname'],
    ['--cluster-signing-key-file', '/etc/hostname'],
  ])('refuses %s %s', (...args) => {
    expect(() => read(...args)).toThrowError(expect.objectContaining({ code: 'BAD_FLAG' }))
  })
})
