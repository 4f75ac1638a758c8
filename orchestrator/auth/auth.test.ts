import { X509Certificate } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { type Clock, systemClock } from '../../runtime/base/clock.ts'
import type { User } from '../api/user.ts'
import { type Attributes, refusalOf, systemAuthorizer } from './authorize.ts'
import { writeKubeconfig } from './kubeconfig.ts'
import { openPki } from './pki.ts'

const folder = mkdtempSync(join(tmpdir(), 'coracle-auth-'))
afterAll(() => rmSync(folder, { recursive: true }))

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

describe('systemAuthorizer', () => {
  const kubelet: User = { name: 'system:node:n1', groups: ['system:nodes', 'system:authenticated'] }
  const scheduler: User = { name: 'system:kube-scheduler', groups: [] }
  const ask = (user: User, verb: string, what: string, name = ''): Attributes => {
    const [resource = '', subresource = ''] = what.split('/')
    return { user, verb, path: '', resource: { group: '', resource, subresource, namespace: 'default', name } }
  }

  it.each<[User, string, string, string, boolean]>([
    [{ name: 'x', groups: ['system:masters'] }, 'delete', 'nodes', 'n1', true],
    [kubelet, 'patch', 'nodes/status', 'n1', true],
    [kubelet, 'patch', 'nodes/status', 'n2', false],
    [kubelet, 'list', 'pods', '', true],
    [kubelet, 'patch', 'pods/status', 'p', true],
    [kubelet, 'create', 'pods/binding', 'p', false],
    [kubelet, 'create', 'secrets', '', false],
    [{ ...kubelet, groups: [] }, 'list', 'pods', '', false],
    [scheduler, 'create', 'pods/binding', 'p', true],
    [scheduler, 'get', 'secrets', 's', false],
    [{ name: 'eve', groups: ['system:authenticated'] }, 'get', 'pods', 'p', false],
  ])('%o may %s %s %s: %s', (user, verb, what, name, allowed) => {
    expect(systemAuthorizer.isAllowed(ask(user, verb, what, name))).toBe(allowed)
  })

  it('discovery is for everybody with a certificate, other paths are not', () => {
    const path = (text: string) => ({ user: { name: 'eve', groups: [] }, verb: 'get', path: text })
    expect(systemAuthorizer.isAllowed(path('/apis/x'))).toBe(true)
    expect(systemAuthorizer.isAllowed(path('/metrics'))).toBe(false)
    expect(systemAuthorizer.isAllowed(path('/apisx'))).toBe(false)
  })

  it('refusalOf: says what Kubernetes says', () => {
    const eve = { name: 'eve', groups: [] }
    expect(
      refusalOf({
        user: eve,
        verb: 'list',
        path: '',
        resource: { group: 'apps', resource: 'deployments', subresource: '', name: '' },
      }),
    ).toBe('User "eve" cannot list resource "deployments" in API group "apps" at the cluster scope')
    expect(refusalOf({ user: eve, verb: 'get', path: '/metrics' })).toBe('User "eve" cannot get path "/metrics"')
  })
})
