import { createHmac, generateKeyPairSync } from 'node:crypto'
import { SignJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { anApi } from '../../test/fixtures/api.ts'
import { tokenKeys } from '../auth/tokens/keys.ts'
import { TokenAuthority } from '../auth/tokens/token-authority.ts'

const accounts = '/api/v1/namespaces/default/serviceaccounts'
const pods = '/api/v1/namespaces/default/pods'
const secrets = '/api/v1/namespaces/kube-system/secrets'
const selfReview = '/apis/authentication.k8s.io/v1/selfsubjectreviews'
const tokenReview = '/apis/authentication.k8s.io/v1/tokenreviews'
const issuer = 'https://issuer.test'

const claimsOf = (token: string) => JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())
const base64 = (text: string) => Buffer.from(text).toString('base64')

describe('tokens over HTTP', () => {
  let api: Awaited<ReturnType<typeof anApi>>
  beforeAll(async () => {
    api = await anApi()
  })
  afterAll(() => api.close())

  const anAccount = async (name: string) =>
    (await api.call('POST', accounts, { body: { metadata: { name } } })).body.metadata.uid as string
  const aPod = async (name: string, account: string) => {
    const spec = { serviceAccountName: account, nodeName: 'n1', containers: [{ name: 'c', image: 'i' }] }
    return (await api.call('POST', pods, { body: { metadata: { name }, spec } })).body.metadata.uid as string
  }
  const request = (account: string, spec: object = {}) =>
    api.call('POST', `${accounts}/${account}/token`, { body: { spec } })
  const tokenOf = async (account: string, spec: object = {}) =>
    (await request(account, spec)).body.status.token as string
  const whoIs = async (token: string) => {
    const headers = { authorization: `Bearer ${token}` }
    const { status, body } = await api.call('POST', selfReview, { headers, body: {} })
    return status === 201 ? body.status.userInfo : status
  }

  describe('TokenRequest', () => {
    it('gives a token with the claims of Kubernetes, and the user whom it names', async () => {
      const uid = await anAccount('plain')
      const { status, body } = await request('plain')
      expect([status, body.kind, body.apiVersion]).toEqual([201, 'TokenRequest', 'authentication.k8s.io/v1'])
      expect(body.spec).toMatchObject({ audiences: [issuer], expirationSeconds: 3600 })
      const claims = claimsOf(body.status.token)
      expect(claims).toMatchObject({
        iss: issuer,
        sub: 'system:serviceaccount:default:plain',
        aud: [issuer],
        'kubernetes.io': { namespace: 'default', serviceaccount: { name: 'plain', uid } },
      })
      expect([claims.exp - claims.iat, claims.nbf - claims.iat]).toEqual([3600, 0])
      expect(Date.parse(body.status.expirationTimestamp) / 1000).toBe(claims.exp)
      expect(await whoIs(body.status.token)).toEqual({
        username: 'system:serviceaccount:default:plain',
        uid,
        groups: ['system:serviceaccounts', 'system:serviceaccounts:default', 'system:authenticated'],
        extra: { 'authentication.kubernetes.io/credential-id': [`JTI=${claims.jti}`] },
      })
    })

    it('bound to a pod: names pod and node, and ends with the pod', async () => {
      await anAccount('bound')
      const uid = await aPod('p1', 'bound')
      const ref = { kind: 'Pod', apiVersion: 'v1', name: 'p1', uid }
      const token = await tokenOf('bound', { boundObjectRef: ref })
      expect(claimsOf(token)['kubernetes.io']).toMatchObject({ pod: { name: 'p1', uid }, node: { name: 'n1' } })
      expect((await whoIs(token)).extra).toMatchObject({
        'authentication.kubernetes.io/pod-name': ['p1'],
        'authentication.kubernetes.io/pod-uid': [uid],
        'authentication.kubernetes.io/node-name': ['n1'],
      })
      await api.call('DELETE', `${pods}/p1?gracePeriodSeconds=0`)
      expect(await whoIs(token)).toBe(401)
      await aPod('p1', 'bound')
      expect(await whoIs(token)).toBe(401)
    })

    it('bound to a secret or a node: ends with it', async () => {
      await anAccount('others')
      await api.call('POST', '/api/v1/namespaces/default/secrets', { body: { metadata: { name: 's' } } })
      const token = await tokenOf('others', { boundObjectRef: { kind: 'Secret', apiVersion: 'v1', name: 's' } })
      expect((await whoIs(token)).username).toBe('system:serviceaccount:default:others')
      await api.call('DELETE', '/api/v1/namespaces/default/secrets/s')
      expect(await whoIs(token)).toBe(401)
    })

    it('ends with its account, even when there is one of the same name again', async () => {
      await anAccount('gone')
      const token = await tokenOf('gone')
      await api.call('DELETE', `${accounts}/gone`)
      expect(await whoIs(token)).toBe(401)
      await anAccount('gone')
      expect(await whoIs(token)).toBe(401)
    })

    it.each([
      [
        { expirationSeconds: 599 },
        422,
        'spec.expirationSeconds: Invalid value: 599: may not specify a duration less than 10 minutes',
      ],
      [{ expirationSeconds: 2 ** 32 + 1 }, 422, 'may not specify a duration larger than 2^32 seconds'],
      [
        { boundObjectRef: { kind: 'ConfigMap', apiVersion: 'v1', name: 'x' } },
        400,
        'cannot bind token to object of type v1, Kind=ConfigMap',
      ],
      [{ boundObjectRef: { kind: 'Pod', apiVersion: 'v1', name: 'none' } }, 404, 'pods "none" not found'],
      [
        { boundObjectRef: { kind: 'Pod', apiVersion: 'v1', name: 'theirs' } },
        400,
        'running with different serviceaccount name',
      ],
      [
        { boundObjectRef: { kind: 'Pod', apiVersion: 'v1', name: 'own', uid: 'other' } },
        409,
        'does not match the UID in record',
      ],
    ])('refuses %j', async (spec, code, text) => {
      await anAccount('asking')
      await aPod('theirs', 'plain')
      await aPod('own', 'asking')
      const { status, body } = await request('asking', spec)
      expect(status).toBe(code)
      expect(body.message).toContain(text)
    })

    it('refuses what is for nobody: an account that is not there', async () => {
      expect((await request('nobody')).status).toBe(404)
    })

    it('an hour and seven seconds for a pod is a year in truth, with the second that gives the reader away', async () => {
      await anAccount('old')
      await aPod('oldpod', 'old')
      const spec = { expirationSeconds: 3607, boundObjectRef: { kind: 'Pod', apiVersion: 'v1', name: 'oldpod' } }
      const { body } = await request('old', spec)
      const claims = claimsOf(body.status.token)
      expect(claims.exp - claims.iat).toBe(365 * 24 * 3600)
      expect(claims['kubernetes.io'].warnafter - claims.iat).toBe(3607)
      expect(Date.parse(body.status.expirationTimestamp) / 1000 - claims.iat).toBe(3607)
    })
  })

  describe('what is not believed', () => {
    it('a token for somebody else is good there, not here', async () => {
      await anAccount('else')
      const token = await tokenOf('else', { audiences: ['vault', 'store'] })
      expect(await whoIs(token)).toBe(401)
      const review = (audiences: string[]) => api.call('POST', tokenReview, { body: { spec: { token, audiences } } })
      expect((await review(['vault', 'x'])).body.status).toMatchObject({ authenticated: true, audiences: ['vault'] })
      expect((await review(['x'])).body.status).toMatchObject({ authenticated: false })
      expect((await api.call('POST', tokenReview, { body: { spec: { token } } })).body.status.error).toContain(
        'is invalid for the target audiences',
      )
    })

    it('forgeries: another key, no algorithm, an HMAC with the public key, another account, bytes changed', async () => {
      await anAccount('forged')
      const token = await tokenOf('forged')
      const [head = '', body = '', signature = ''] = token.split('.')
      const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
      const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
      const foreign = new TokenAuthority({ keys: tokenKeys(privateKey), clock: api.clock, issuer })
      const claims = claimsOf(token)
      const jwks = await api.authority.jwks()
      const { kid } = jwks.keys[0] as { kid: string }
      const underOurName = await new SignJWT(claims).setProtectedHeader({ alg: 'ES256', kid }).sign(privateKey)
      const hmacInput = `${encode({ alg: 'HS256', kid })}.${body}`
      const hmac = createHmac('sha256', JSON.stringify(jwks.keys[0])).update(hmacInput).digest('base64url')
      const forgeries = [
        await foreign.issue({ ...claims['kubernetes.io'], audiences: [issuer], seconds: 600 }),
        underOurName,
        `${encode({ alg: 'none' })}.${body}.`,
        `${encode({ alg: 'none', kid })}.${body}.${signature}`,
        `${hmacInput}.${hmac}`,
        `${head}.${encode({ ...claims, sub: 'system:serviceaccount:kube-system:forged' })}.${signature}`,
        `${head}.${body}.${signature.startsWith('A') ? 'B' : 'A'}${signature.slice(1)}`,
        `${head}.${body}`,
        'nonsense',
      ]
      for (const forgery of forgeries) expect(await whoIs(forgery)).toBe(401)
      expect((await whoIs(token)).username).toBe('system:serviceaccount:default:forged')
    })

    it('an unbelieved token is not even nobody: health is refused too', async () => {
      const headers = { authorization: 'Bearer nonsense' }
      const { status, body } = await api.call('GET', '/healthz', { headers, as: null })
      expect([status, body.message]).toEqual([401, 'Unauthorized'])
    })
  })

  it('a legacy token: good for as long as its secret holds it', async () => {
    const uid = await anAccount('legacy')
    const names = { namespace: 'default', serviceaccount: { name: 'legacy', uid }, secret: { name: 'legacy-token' } }
    const token = await api.authority.issueLegacy(names)
    expect(await whoIs(token)).toBe(401)
    const body = { metadata: { name: 'legacy-token' }, data: { token: base64(token) } }
    await api.call('POST', '/api/v1/namespaces/default/secrets', { body })
    expect((await whoIs(token)).username).toBe('system:serviceaccount:default:legacy')
    await api.call('DELETE', '/api/v1/namespaces/default/secrets/legacy-token')
    expect(await whoIs(token)).toBe(401)
  })

  describe('bootstrap tokens', () => {
    const aSecret = async (id: string, data: Record<string, string>) => {
      const all = {
        'token-id': id,
        'token-secret': '0123456789abcdef',
        'usage-bootstrap-authentication': 'true',
        ...data,
      }
      const encoded = Object.fromEntries(Object.entries(all).map(([key, value]) => [key, base64(value)]))
      const body = { metadata: { name: `bootstrap-token-${id}` }, type: 'bootstrap.kubernetes.io/token', data: encoded }
      expect((await api.call('POST', secrets, { body })).status).toBe(201)
    }

    it('make a user in the group of those who are new', async () => {
      await aSecret('aaaaaa', { 'auth-extra-groups': 'system:bootstrappers:x' })
      expect(await whoIs('aaaaaa.0123456789abcdef')).toEqual({
        username: 'system:bootstrap:aaaaaa',
        groups: ['system:bootstrappers', 'system:bootstrappers:x', 'system:authenticated'],
      })
    })

    it('are refused with another secret, when over, when not for this, with groups that they may not have', async () => {
      await aSecret('bbbbbb', { expiration: new Date(Date.now() - 1000).toISOString() })
      await aSecret('cccccc', { 'usage-bootstrap-authentication': 'false' })
      await aSecret('dddddd', { 'auth-extra-groups': 'system:masters' })
      const wrong = [
        'aaaaaa.0123456789abcdee',
        'bbbbbb.0123456789abcdef',
        'cccccc.0123456789abcdef',
        'dddddd.0123456789abcdef',
        'eeeeee.0123456789abcdef',
      ]
      for (const token of wrong) expect(await whoIs(token)).toBe(401)
    })
  })

  it('others find our keys, if they may', async () => {
    const found = await api.call('GET', '/.well-known/openid-configuration')
    expect(found.body).toMatchObject({
      issuer,
      jwks_uri: `${issuer}/openid/v1/jwks`,
      id_token_signing_alg_values_supported: ['ES256'],
    })
    const { headers, body } = await api.call('GET', '/openid/v1/jwks')
    expect(headers['content-type']).toContain('application/jwk-set+json')
    const { keys } = JSON.parse(body)
    expect(keys).toHaveLength(1)
    expect(keys[0]).toMatchObject({ kty: 'EC', crv: 'P-256', alg: 'ES256', use: 'sig' })
    expect(keys[0]).not.toHaveProperty('d')
    const authorization = `Bearer ${await tokenOf('plain')}`
    expect((await api.call('GET', '/openid/v1/jwks', { headers: { authorization } })).status).toBe(200)
    expect(
      (await api.call('GET', '/openid/v1/jwks', { as: { name: 'eve', groups: ['system:authenticated'] } })).status,
    ).toBe(403)
  })

  // Last: from here on it is later.
  it('a token is over when its time is', async () => {
    await anAccount('timely')
    const token = await tokenOf('timely', { expirationSeconds: 600 })
    expect((await whoIs(token)).username).toBe('system:serviceaccount:default:timely')
    api.clock.forward(601)
    expect(await whoIs(token)).toBe(401)
    const { body } = await api.call('POST', tokenReview, { body: { spec: { token } } })
    expect(body.status.error).toBe('service account token has expired')
  })
})
