import { describe, expect, it } from 'vitest'
import { bearerTokenOf, withoutBearer } from './bearer.ts'

const protocol = `base64url.bearer.authorization.k8s.io.${Buffer.from('secret').toString('base64url')}`

describe('bearerTokenOf', () => {
  it.each([
    [{ authorization: 'Bearer abc' }, 'abc'],
    [{ authorization: 'bearer  abc ' }, 'abc'],
    [{ authorization: 'Basic abc' }, undefined],
    [{ authorization: 'Bearer a b' }, undefined],
    [{}, undefined],
    [{ upgrade: 'websocket', 'sec-websocket-protocol': `v4, ${protocol}` }, 'secret'],
    [{ 'sec-websocket-protocol': protocol }, undefined],
    [{ upgrade: 'SPDY/3.1', 'sec-websocket-protocol': protocol }, undefined],
  ])('%j: %s', (headers, token) => {
    expect(bearerTokenOf(headers)).toBe(token)
  })
})

describe('withoutBearer', () => {
  it('the token goes no further, the other subprotocols do', () => {
    expect(withoutBearer({ 'sec-websocket-protocol': `v4, ${protocol}, v5`, host: 'x' })).toEqual({
      'sec-websocket-protocol': 'v4, v5',
      host: 'x',
    })
    expect(withoutBearer({ 'sec-websocket-protocol': protocol })).toEqual({})
    expect(withoutBearer({ host: 'x' })).toEqual({ host: 'x' })
  })
})
