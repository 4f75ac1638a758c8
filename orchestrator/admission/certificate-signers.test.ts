import { webcrypto } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { anApi } from '../../test/fixtures/api.ts'
import { loadX509 } from '../auth/pki.ts'

const requests = '/apis/certificates.k8s.io/v1/certificatesigningrequests'
const merge = { 'content-type': 'application/merge-patch+json' }
const client = 'kubernetes.io/kube-apiserver-client'

async function requestOf(subject: string): Promise<string> {
  const { Pkcs10CertificateRequestGenerator } = await loadX509()
  const signingAlgorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
  const keys = await webcrypto.subtle.generateKey(signingAlgorithm, true, ['sign', 'verify'])
  const made = await Pkcs10CertificateRequestGenerator.create({ name: subject, keys, signingAlgorithm })
  return Buffer.from(made.toString('pem')).toString('base64')
}

describe('certificate admission', () => {
  let api: Awaited<ReturnType<typeof anApi>>
  const make = (name: string, spec: object) =>
    api.call('POST', requests, { body: { metadata: { name }, spec: { usages: ['client auth'], ...spec } } })

  const signer = { name: 'signer', groups: ['signers'] }
  /** To change any request, and to be what `verbs` say for one signer. */
  async function allow(verbs: string[], name: string): Promise<void> {
    const roles = '/apis/rbac.authorization.k8s.io/v1/clusterroles'
    const changes = ['certificatesigningrequests/approval', 'certificatesigningrequests/status']
    const apiGroups = ['certificates.k8s.io']
    const rules = [
      { apiGroups, resources: changes, verbs: ['patch'] },
      { apiGroups, resources: ['signers'], resourceNames: [name], verbs },
    ]
    await api.call('DELETE', `${roles}/signers`)
    await api.call('POST', roles, { body: { metadata: { name: 'signers' }, rules } })
  }

  const change = (subresource: string, status: object) =>
    api.call('PATCH', `${requests}/r/${subresource}`, { as: signer, body: { status }, headers: merge })
  const condition = (type: string) => ({ conditions: [{ type, status: 'True', reason: 'R', message: 'm' }] })

  beforeAll(async () => {
    api = await anApi()
    const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'signers' }
    const subjects = [{ kind: 'Group', apiGroup: roleRef.apiGroup, name: 'signers' }]
    const body = { metadata: { name: 'signers' }, roleRef, subjects }
    await api.call('POST', '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings', { body })
    const request = await requestOf('CN=anne')
    expect((await make('r', { signerName: 'example.com/a', request })).status).toBe(201)
  })
  afterAll(() => api.close())

  it('a request says who asked, with all that is known of him', async () => {
    const as = { name: 'user1', groups: ['system:masters'], uid: 'u1', extra: { key: ['one,two', 'three'] } }
    const forged = { username: 'other', uid: 'other', extra: { other: ['x'] } }
    const spec = {
      request: await requestOf('CN=anne'),
      signerName: 'example.com/a',
      usages: ['client auth'],
      ...forged,
    }
    const { body } = await api.call('POST', requests, { body: { metadata: { name: 'who' }, spec }, as })
    expect(body.spec).toMatchObject({ username: 'user1', uid: 'u1', groups: as.groups })
    expect(body.spec.extra).toEqual(as.extra)
  })

  it('CertificateApproval: who may not approve for the signer does not', async () => {
    await allow(['sign'], 'example.com/a')
    const refused = await change('approval', condition('Approved'))
    expect(refused.status).toBe(403)
    expect(refused.body.message).toBe(
      'certificatesigningrequests.certificates.k8s.io "r" is forbidden: user not permitted to approve requests with signerName "example.com/a"',
    )
    await allow(['approve'], 'example.com/*')
    const approved = await change('approval', { ...condition('Approved'), certificate: 'Zm9yZ2Vk' })
    expect([approved.status, approved.body.status.certificate]).toEqual([200, undefined])
  })

  it('approval: changes conditions and metadata, nothing else', async () => {
    const metadata = { annotations: { 'example.com/by': 'the office' } }
    const body = { metadata, spec: { signerName: 'example.com/other' }, status: { certificate: 'Zm9yZ2Vk' } }
    const patched = await api.call('PATCH', `${requests}/r/approval`, { body, headers: merge })
    expect(patched.status).toBe(200)
    expect(patched.body.metadata.annotations).toEqual(metadata.annotations)
    expect([patched.body.spec.signerName, patched.body.status.certificate]).toEqual(['example.com/a', undefined])
  })

  it('CertificateSigning: who may not sign for the signer neither signs nor fails it', async () => {
    const { body } = await api.call('GET', `${requests}/r`)
    const failed = { conditions: [...body.status.conditions, ...condition('Failed').conditions] }
    await allow(['approve'], 'example.com/a')
    expect((await change('status', failed)).body.message).toContain(
      'user not permitted to sign requests with signerName "example.com/a"',
    )
    expect((await change('status', {})).status).toBe(200)
    await allow(['sign'], 'example.com/a')
    expect((await change('status', failed)).status).toBe(200)
  })

  it('CertificateSubjectRestriction: nobody asks to be a master', async () => {
    const master = await requestOf('CN=eve, O=system:masters')
    const { status, body } = await make('eve', { signerName: client, request: master })
    expect(status).toBe(403)
    expect(body.message).toContain(`use of ${client} signer with system:masters group is not allowed`)
    expect((await make('other', { signerName: 'example.com/a', request: master })).status).toBe(201)
    expect((await make('bob', { signerName: client, request: await requestOf('CN=bob, O=dev') })).status).toBe(201)
  })

  it('who asked is who came, whatever the request says; it does not change', async () => {
    const asker = { name: 'carl', uid: 'u-1', groups: ['system:masters'], extra: { 'a.org/b': ['c', 'd'] } }
    const claimed = { username: 'root', uid: 'r', groups: ['x'], extra: { y: ['z'] } }
    const request = await requestOf('CN=carl')
    const spec = { usages: ['client auth'], signerName: 'example.com/a', request, ...claimed }
    const made = await api.call('POST', requests, { body: { metadata: { name: 'carls' }, spec }, as: asker })
    const known = { username: 'carl', uid: 'u-1', groups: ['system:masters'], extra: { 'a.org/b': ['c', 'd'] } }
    expect(made.body.spec).toMatchObject(known)
    await api.call('PATCH', `${requests}/carls`, { body: { spec: claimed }, headers: merge })
    expect((await api.call('GET', `${requests}/carls`)).body.spec).toMatchObject(known)
  })

  it('PEM is read as Go reads it: the first block, of this type alone', async () => {
    const pem = Buffer.from(await requestOf('CN=dora'), 'base64').toString()
    const asked = async (name: string, text: string) => {
      const { status, body } = await make(name, { signerName: 'example.com/a', request: btoa(text) })
      return [status, body.message ?? '']
    }
    const wrong = [422, expect.stringContaining('PEM block type must be CERTIFICATE REQUEST')]
    expect(await asked('new', pem.replaceAll('CERTIFICATE REQUEST', 'NEW CERTIFICATE REQUEST'))).toEqual(wrong)
    expect(await asked('second', `-----BEGIN X-----\nAAAA\n-----END X-----\n${pem}`)).toEqual(wrong)
    expect(await asked('cut', pem.slice(0, -20))).toEqual(wrong)
    expect(await asked('with-text', `Subject: dora\n${pem}\nthe end\n`)).toEqual([201, ''])
    const head = '-----BEGIN CERTIFICATE REQUEST-----\n'
    expect(await asked('with-headers', pem.replace(head, `${head}Version: 1\n\n`))).toEqual([201, ''])
  })
})
