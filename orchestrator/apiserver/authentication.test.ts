import { generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { silentLog } from '../../runtime/base/log.ts'
import { ShiftedClock } from '../../test/fixtures/api.ts'
import { resources } from '../api/resources.ts'
import type { Secret, TokenRequest } from '../api/types.ts'
import { openPki } from '../auth/pki.ts'
import { httpsClient } from '../client/https-client.ts'
import { controllers } from '../controllers/index.ts'
import { type ApiServer, startServer } from './server.ts'

interface Asked {
  readonly user?: { readonly certificatePem: string; readonly privateKeyPem: string }
  readonly headers?: Record<string, string>
}

/** Status and body of `GET path`, over a connection of its own. */
function get(server: ApiServer, path: string, { user, headers = {} }: Asked = {}) {
  const tls = { ca: server.pki.caPem, ...(user ? { cert: user.certificatePem, key: user.privateKeyPem } : {}) }
  return new Promise<{ status: number; body: string }>((resolve, reject) => {
    const sent = request(`${server.url}${path}`, { ...tls, headers, agent: false }, async (response) => {
      let body = ''
      for await (const chunk of response) body += String(chunk)
      resolve({ status: response.statusCode ?? 0, body })
    })
    sent.once('upgrade', (response, socket) => {
      socket.destroy()
      resolve({ status: response.statusCode ?? 0, body: '' })
    })
    sent.once('error', reject)
    sent.end()
  })
}

describe('authentication over TLS', () => {
  const folder = mkdtempSync(join(tmpdir(), 'coracle-authn-'))
  const clock = new ShiftedClock()
  const auditPath = join(folder, 'audit.log')
  const start = (more: object = {}) =>
    startServer({ dataDir: folder, listen: { host: '127.0.0.1', port: 0 }, log: silentLog, clock, ...more })
  let server: ApiServer
  beforeAll(async () => {
    server = await start({ audit: { path: auditPath, largestBytes: 1e6, backups: 0 } })
  })
  afterAll(async () => {
    await server.close()
    rmSync(folder, { recursive: true })
  })

  const aTokenOf = async (name: string) => {
    const metadata = { name, namespace: 'default' }
    await server.client.create(resources.serviceAccounts, { metadata })
    const body = { kind: 'TokenRequest', apiVersion: 'authentication.k8s.io/v1', spec: { expirationSeconds: 600 } }
    const answer = await server.client.createSubresource<TokenRequest>(
      resources.serviceAccounts,
      metadata,
      'token',
      body,
    )
    return answer.status?.token ?? ''
  }

  it('a token in the header, and in the subprotocols of a WebSocket', async () => {
    const token = await aTokenOf('bearer')
    expect((await get(server, '/api', { headers: { authorization: `Bearer ${token}` } })).status).toBe(200)
    const upgrade = (protocol: string) => ({
      connection: 'Upgrade',
      upgrade: 'websocket',
      'sec-websocket-version': '13',
      'sec-websocket-key': Buffer.alloc(16).toString('base64'),
      'sec-websocket-protocol': `v5.channel.k8s.io, ${protocol}`,
    })
    const path = '/api/v1/namespaces/default/pods/p/exec?command=x'
    const protocol = `base64url.bearer.authorization.k8s.io.${Buffer.from(token).toString('base64url')}`
    const { status, body } = await get(server, path, { headers: upgrade(protocol) })
    // Known, and therefore told what he may not.
    expect([status, JSON.parse(body).message]).toEqual([
      403,
      'pods "p" is forbidden: User "system:serviceaccount:default:bearer" cannot get resource "pods/exec" in API group "" in the namespace "default"',
    ])
    expect((await get(server, path, { headers: upgrade('base64url.bearer.authorization.k8s.io.eA') })).status).toBe(401)
    expect((await get(server, path, { headers: upgrade('other') })).status).toBe(401)
    // A URL that is none must not end the server.
    expect((await get(server, '//', { headers: upgrade(protocol) })).status).toBe(400)
  })

  it('httpsClient: a subresource answers with what was made', async () => {
    const user = await server.pki.issueClient({ commonName: 'admin', organizations: ['system:masters'] })
    const client = httpsClient({ server: server.url, caPem: server.pki.caPem, user })
    const metadata = { name: 'remote', namespace: 'default' }
    await client.create(resources.serviceAccounts, { metadata })
    const body = { kind: 'TokenRequest', apiVersion: 'authentication.k8s.io/v1', spec: {} }
    const answer = await client.createSubresource<TokenRequest>(resources.serviceAccounts, metadata, 'token', body)
    expect(answer.status?.token?.split('.')).toHaveLength(3)
    client.close()
  })

  it('a certificate of ours names its user; one for servers only, or of another authority, nobody', async () => {
    const user = await server.pki.issueClient({ commonName: 'carl', organizations: ['ops'] })
    expect((await get(server, '/api/v1/nodes', { user })).body).toContain('User \\"carl\\" cannot list resource')
    const other = mkdtempSync(join(tmpdir(), 'coracle-other-'))
    const foreign = await (await openPki(other, clock)).issueClient({ commonName: 'carl', organizations: [] })
    expect((await get(server, '/api', { user: foreign })).status).toBe(401)
    rmSync(other, { recursive: true })
  })

  it('a secret for an account’s token is filled, is good, and goes with the account', async () => {
    const tokens = { caPem: server.pki.caPem, issueLegacyToken: server.issueLegacyToken }
    const loops = controllers({ client: server.client, clientOf: () => server.client, clock, log: silentLog, tokens })
    await loops.start()
    const key = { name: 'kept', namespace: 'default' }
    await server.client.create(resources.serviceAccounts, { metadata: key })
    const annotations = { 'kubernetes.io/service-account.name': 'kept' }
    const type = 'kubernetes.io/service-account-token'
    await server.client.create(resources.secrets, { metadata: { ...key, annotations }, type })
    const read = async (): Promise<Secret | undefined> =>
      server.client.get(resources.secrets, key).catch(() => undefined)
    await expect
      .poll(async () => Object.keys((await read())?.data ?? {}).sort())
      .toEqual(['ca.crt', 'namespace', 'token'])
    const token = Buffer.from((await read())?.data?.token ?? '', 'base64').toString()
    expect((await get(server, '/api', { headers: { authorization: `Bearer ${token}` } })).status).toBe(200)
    await server.client.delete(resources.serviceAccounts, key)
    await expect.poll(read).toBeUndefined()
    expect((await get(server, '/api', { headers: { authorization: `Bearer ${token}` } })).status).toBe(401)
    await loops.close()
  })

  it('tokens are good after another start; a revoked certificate and, where it is so wished, nobody are refused', async () => {
    const token = await aTokenOf('lasting')
    const revoked = await server.pki.issueClient({ commonName: 'rita', organizations: [] })
    const kept = await server.pki.issueClient({ commonName: 'kim', organizations: [] })
    expect((await get(server, '/api', { user: revoked })).status).toBe(200)
    await server.close()
    expect(readFileSync(auditPath, 'utf8')).toContain('"username":"rita"')
    await writeRevocations(folder, revoked.certificatePem)
    server = await start({ anonymousAuth: false })
    expect((await get(server, '/api', { headers: { authorization: `Bearer ${token}` } })).status).toBe(200)
    expect((await get(server, '/api', { user: revoked })).status).toBe(401)
    expect((await get(server, '/api', { user: kept })).status).toBe(200)
    expect((await get(server, '/healthz')).status).toBe(401)
    expect((await get(server, '/healthz', { user: kept })).status).toBe(200)
  })

  it('an RSA key in the folder signs with RS256, and older keys are believed', async () => {
    const before = await aTokenOf('before')
    await server.close()
    const pki = join(folder, 'pki')
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    writeFileSync(join(pki, 'sa.key'), privateKey.export({ type: 'pkcs8', format: 'pem' }))
    server = await start()
    const after = await aTokenOf('after')
    expect(JSON.parse(Buffer.from(after.split('.')[0] ?? '', 'base64url').toString()).alg).toBe('RS256')
    for (const token of [before, after]) {
      expect((await get(server, '/api', { headers: { authorization: `Bearer ${token}` } })).status).toBe(200)
    }
  })

  it('a certificate is over when its time is, whatever was found when the connection began', async () => {
    const user = await server.pki.issueClient({ commonName: 'old', organizations: [] })
    expect((await get(server, '/api', { user })).status).toBe(200)
    clock.forward(366 * 24 * 3600)
    expect((await get(server, '/api', { user })).status).toBe(401)
  })
})

/** As an operator would with his own tools: a list that the authority has signed. */
async function writeRevocations(folder: string, certificatePem: string): Promise<void> {
  await import('reflect-metadata')
  const x509 = await import('@peculiar/x509')
  const pki = join(folder, 'pki')
  const authority = new x509.X509Certificate(readFileSync(join(pki, 'ca.crt'), 'utf8'))
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
  const der = Buffer.from(readFileSync(join(pki, 'ca.key'), 'utf8').replace(/-----[^-]+-----|\s/g, ''), 'base64')
  const signingKey = await crypto.subtle.importKey('pkcs8', der, algorithm, false, ['sign'])
  const { serialNumber } = new x509.X509Certificate(certificatePem)
  const list = await x509.X509CrlGenerator.create({
    issuer: authority.subject,
    thisUpdate: new Date(Date.now() - 1000),
    nextUpdate: new Date(Date.now() + 3_600_000),
    entries: [{ serialNumber, revocationDate: new Date(Date.now() - 1000) }],
    signingAlgorithm: algorithm,
    signingKey,
  })
  writeFileSync(join(pki, 'ca.crl'), list.toString('pem').replaceAll(/(BEGIN|END) [^-]+/g, '$1 X509 CRL'))
}
