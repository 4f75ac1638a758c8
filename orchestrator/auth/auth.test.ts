import { KeyObject, webcrypto, X509Certificate } from 'node:crypto'
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { type Clock, systemClock } from '../../runtime/base/clock.ts'
import { type Authorizer, chainOf, type Decision, mastersAuthorizer, refusalOf } from './authorize.ts'
import { writeKubeconfig } from './kubeconfig.ts'
import { type KeyPair, loadX509, openPki } from './pki.ts'

const folder = mkdtempSync(join(tmpdir(), 'coracle-auth-'))
afterAll(() => rmSync(folder, { recursive: true }))

type Algorithm = { name: string; hash: string; namedCurve?: string; modulusLength?: number }

/** A certificate that signs itself, of a key of this kind. */
async function anAuthority({ modulusLength, ...algorithm }: Algorithm): Promise<KeyPair> {
  const { X509CertificateGenerator, BasicConstraintsExtension } = await loadX509()
  const rsa = modulusLength ? { modulusLength, publicExponent: new Uint8Array([1, 0, 1]) } : {}
  const keys = (await webcrypto.subtle.generateKey({ ...algorithm, ...rsa }, true, [
    'sign',
    'verify',
  ])) as unknown as webcrypto.CryptoKeyPair
  const extensions = [new BasicConstraintsExtension(true, undefined, true)]
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name: 'CN=elsewhere',
    keys,
    signingAlgorithm: algorithm,
    extensions,
  })
  const privateKey = KeyObject.from(keys.privateKey)
  const privateKeyPem = String(privateKey.export({ type: 'pkcs8', format: 'pem' }))
  return { certificatePem: certificate.toString('pem'), privateKeyPem }
}

describe('pki', () => {
  it('issues certificates that its own authority vouches for', async () => {
    const pki = await openPki(join(folder, 'pki'), systemClock)
    const authority = new X509Certificate(pki.caPem)
    expect(authority.ca).toBe(true)
    const client = new X509Certificate(
      (await pki.issueClient({ commonName: 'a, b=c', organizations: ['g1', 'g2'] })).certificatePem,
    )
    expect(client.verify(authority.publicKey)).toBe(true)
    expect(client.checkIssued(authority)).toBe(true)
    expect(client.toLegacyObject().subject).toMatchObject({ CN: 'a, b=c', O: ['g1', 'g2'] })
    const serving = new X509Certificate(
      (await pki.issueServing({ commonName: 's', hosts: ['node', '10.0.0.1'] })).certificatePem,
    )
    expect([serving.checkHost('node'), serving.checkIP('10.0.0.1'), serving.checkHost('other')]).toEqual([
      'node',
      '10.0.0.1',
      undefined,
    ])
    expect(serving.ca).toBe(false)
  })

  it('keeps its files to itself, and uses them again', async () => {
    const again = await openPki(join(folder, 'pki'), systemClock)
    expect(again.caPem).toBe((await openPki(join(folder, 'pki'), systemClock)).caPem)
    for (const name of ['ca.key', 'ca.crt']) expect(statSync(join(folder, 'pki', name)).mode & 0o777).toBe(0o600)
    expect(statSync(join(folder, 'pki')).mode & 0o777).toBe(0o700)
  })

  it('an authority from elsewhere signs, too: of P-256 or RSA, put into the folder or given', async () => {
    const elsewhere = await openPki(join(folder, 'elsewhere'), systemClock)
    mkdirSync(join(folder, 'copied'))
    for (const name of ['ca.crt', 'ca.key']) {
      copyFileSync(join(folder, 'elsewhere', name), join(folder, 'copied', name))
    }
    expect((await openPki(join(folder, 'copied'), systemClock)).caPem).toBe(elsewhere.caPem)
    const rsa = await anAuthority({ name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256', modulusLength: 2048 })
    const pki = await openPki(join(folder, 'given'), systemClock, rsa)
    const issued = new X509Certificate((await pki.issueClient({ commonName: 'x', organizations: [] })).certificatePem)
    expect(issued.verify(new X509Certificate(rsa.certificatePem).publicKey)).toBe(true)
    expect(existsSync(join(folder, 'given', 'ca.key'))).toBe(false)
  })

  it('refuses an authority that cannot sign', async () => {
    const one = await anAuthority({ name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' })
    const other = await anAuthority({ name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' })
    const large = await anAuthority({ name: 'ECDSA', namedCurve: 'P-384', hash: 'SHA-384' })
    const leaf = await (await openPki(join(folder, 'pki'), systemClock)).issueClient({
      commonName: 'x',
      organizations: [],
    })
    const mixed = { ...one, privateKeyPem: other.privateKeyPem }
    for (const wrong of [mixed, large, leaf, { certificatePem: 'x', privateKeyPem: 'y' }]) {
      await expect(openPki(join(folder, 'wrong'), systemClock, wrong)).rejects.toMatchObject({ code: 'BAD_AUTHORITY' })
    }
  })

  it('keep: the same until hosts change or the end is near', async () => {
    const issued: string[] = []
    const keep = async (hosts: string[], clock: Clock = systemClock) => {
      const pki = await openPki(join(folder, 'pki'), clock)
      const pair = await pki.keep('server', hosts, () => pki.issueServing({ commonName: 's', hosts }))
      issued.push(pair.certificatePem)
    }
    await keep(['a'])
    await keep(['a'])
    await keep(['a', 'b'])
    await keep(['a', 'b'], { ...systemClock, now: () => Date.now() + 340 * 24 * 3600 * 1000 })
    expect(issued[1]).toBe(issued[0])
    expect(new Set(issued).size).toBe(3)
  })
})

describe('writeKubeconfig', () => {
  it('carries everything in one file for its owner', () => {
    const path = join(folder, 'kubeconfig')
    writeKubeconfig(path, { server: 'https://x:1', caPem: 'CA', user: { certificatePem: 'C', privateKeyPem: 'K' } })
    expect(statSync(path).mode & 0o777).toBe(0o600)
    const config = parse(readFileSync(path, 'utf8'))
    expect(config).toMatchObject({
      'current-context': 'coracle',
      clusters: [{ name: 'coracle', cluster: { server: 'https://x:1' } }],
    })
    expect(Buffer.from(config.users[0].user['client-key-data'], 'base64').toString()).toBe('K')
  })
})

describe('refusalOf', () => {
  const eve = { name: 'eve', groups: [] }
  const resource = { group: 'apps', resource: 'deployments', subresource: 'scale', name: '' }

  it.each([
    [{ resource }, '', 'list resource "deployments/scale" in API group "apps" at the cluster scope'],
    [
      { resource: { ...resource, namespace: 'x' } },
      '',
      'list resource "deployments/scale" in API group "apps" in the namespace "x"',
    ],
    [{}, '', 'list path "/metrics"'],
    [{}, 'for a reason', 'list path "/metrics": for a reason'],
  ])('says what Kubernetes says: %#', (what, reason, text) => {
    expect(refusalOf({ user: eve, verb: 'list', path: '/metrics', ...what }, reason)).toBe(`User "eve" cannot ${text}`)
  })
})

describe('chainOf', () => {
  const saying = (decision: Decision): Authorizer => ({
    decide: () => decision,
    rulesFor: () => ({ rules: [], errors: [] }),
  })
  const ask = { user: { name: 'x', groups: ['system:masters'] }, verb: 'get', path: '/' }

  it('the first who allows decides, and all reasons against are told', () => {
    const yes = saying({ allowed: true, reason: 'b' })
    expect(chainOf([saying({ allowed: false, reason: 'a' }), yes]).decide(ask)).toEqual({ allowed: true, reason: 'b' })
    const no = ['a', '', 'c'].map((reason) => saying({ allowed: false, reason }))
    expect(chainOf(no).decide(ask)).toEqual({ allowed: false, reason: 'a\nc' })
    expect(chainOf([mastersAuthorizer]).decide(ask).allowed).toBe(true)
  })
})
