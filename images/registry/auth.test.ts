import { describe, expect, it } from 'vitest'
import { parseChallenges, parseToken, tokenRequest, tokenUrl } from './auth.ts'

describe('parseChallenges', () => {
  it.each([
    [
      'Bearer realm="https://auth.test/token",service="r.test",scope="repository:a/b:pull,push"',
      [
        {
          scheme: 'bearer',
          parameters: { realm: 'https://auth.test/token', service: 'r.test', scope: 'repository:a/b:pull,push' },
        },
      ],
    ],
    [
      'Basic realm="with \\"quotes\\", and comma"',
      [{ scheme: 'basic', parameters: { realm: 'with "quotes", and comma' } }],
    ],
    [
      'Basic realm=x, Bearer realm="y" , service=z',
      [
        { scheme: 'basic', parameters: { realm: 'x' } },
        { scheme: 'bearer', parameters: { realm: 'y', service: 'z' } },
      ],
    ],
    ['Negotiate', [{ scheme: 'negotiate', parameters: {} }]],
    ['', []],
  ])('%s', (header, challenges) => {
    expect(parseChallenges(header)).toEqual(challenges)
  })
})

describe('tokenUrl', () => {
  const aRequest = (parameters: Record<string, string>) =>
    tokenRequest({ scheme: 'bearer', parameters }, ['repository:a/b:pull'], 'r.test')

  it('scopes one by one, what the realm has already is kept', () => {
    const request = aRequest({
      realm: 'https://auth.test/token?x=1',
      service: 's',
      scope: 'repository:a/b:push repository:c:pull',
    })
    expect(tokenUrl(request, { username: 'me', password: 'p' }).href).toBe(
      'https://auth.test/token?x=1&service=s&scope=repository%3Aa%2Fb%3Apush&scope=repository%3Ac%3Apull&account=me',
    )
  })

  it('without a scope: that of the repository', () => {
    expect(tokenUrl(aRequest({ realm: 'https://a.test/' }), undefined).searchParams.get('scope')).toBe(
      'repository:a/b:pull',
    )
  })

  it.each(['', 'file:///etc/passwd', 'nonsense'])('realm %j: is refused', (realm) => {
    expect(() => aRequest({ realm })).toThrow(/no address/)
  })
})

describe('parseToken', () => {
  it('either name, 60 seconds if it does not say, a little less to be safe', () => {
    expect(parseToken({ token: 't' }, 1000, 'r')).toEqual({ authorization: 'Bearer t', expires: 51_000 })
    expect(parseToken({ access_token: 't', expires_in: 300 }, 0, 'r').expires).toBe(290_000)
    expect(parseToken({ token: '', access_token: 't', expires_in: 3 }, 0, 'r').expires).toBe(1000)
  })

  it('none: is an error', () => {
    expect(() => parseToken({ error: 'x' }, 0, 'r')).toThrow(/no token/)
  })
})
