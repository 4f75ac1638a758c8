import { describe, expect, it } from 'vitest'
import { credentialsOf, lookUp } from './docker-config.ts'

const users = (keys: string[], domain: string, path = 'team/app') =>
  lookUp(Object.fromEntries(keys.map((key) => [key, { username: key, password: 'p' }])), { domain, path }).map(
    ({ username }) => username,
  )

describe('lookUp', () => {
  it.each([
    ['reg.test', 'reg.test', true],
    ['https://reg.test/v2/', 'reg.test', true],
    ['http://reg.test', 'reg.test', true],
    ['*.test', 'reg.test', true],
    ['r?g.test', 'reg.test', true],
    ['*.test', 'a.reg.test', false],
    ['reg.test:5000', 'reg.test', false],
    ['reg.test', 'reg.test:5000', false],
    ['*.test:5000', 'reg.test:5000', true],
    ['reg.test/team', 'reg.test', true],
    ['reg.test/other', 'reg.test', false],
    ['https://index.docker.io/v1/', 'docker.io', true],
    ['docker.io', 'docker.io', true],
    ['test', 'reg.test', false],
    ['[::1]:5000', '[::1]:5000', true],
  ])('%s for %s: %s', (key, domain, fits) => {
    expect(users([key], domain)).toEqual(fits ? [key] : [])
  })

  it('the longest key comes first', () => {
    expect(users(['reg.test', 'reg.test/team/app', 'reg.test/team'], 'reg.test')).toEqual([
      'reg.test/team/app',
      'reg.test/team',
      'reg.test',
    ])
  })
})

describe('credentialsOf', () => {
  const auth = Buffer.from('me:a:b').toString('base64')
  it('password, pair or tokens; nothing is nobody', () => {
    expect(credentialsOf({ auth })).toEqual({ username: 'me', password: 'a:b' })
    expect(credentialsOf({ username: 'x', password: 'y' })).toEqual({ username: 'x', password: 'y' })
    expect(credentialsOf({ auth, identitytoken: 't' })).toMatchObject({ identityToken: 't' })
    expect([{}, null, 'x', { auth: 'eA==' }].map(credentialsOf)).toEqual(Array(4).fill(undefined))
  })
})
