import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Pod } from '../../orchestrator/api/types.ts'
import { Cluster, eventually, preferredKubectl } from './cluster.ts'
import { aPod, listOf, shell, untilTold } from './manifests.ts'

const folder = '/var/run/secrets/kubernetes.io/serviceaccount'

describe.skipIf(preferredKubectl() === undefined)('--enable-admission-plugins ServiceAccount', () => {
  let cluster: Cluster
  beforeAll(async () => {
    cluster = await Cluster.start(60_000, { flags: ['--enable-admission-plugins', 'ServiceAccount'] })
  })
  afterAll(async () => {
    await cluster?.[Symbol.asyncDispose]()
  })

  it('a pod has a token that says who it is, the authority, and its namespace; one that wants none has none', async () => {
    const bare = aPod('bare', shell(untilTold), { automountServiceAccountToken: false })
    await cluster.apply(listOf(aPod('known', shell(untilTold)), bare))
    for (const name of ['known', 'bare']) {
      await eventually(`${name} to run`, async () => {
        const pod = await cluster.json<Pod>(['get', 'pod', name])
        return pod.status?.phase === 'Running'
      })
    }
    const read = (file: string) => cluster.ok(['exec', 'known', '--', 'cat', `${folder}/${file}`])
    expect(await read('namespace')).toBe('default')
    expect(await read('ca.crt')).toMatch(/^-----BEGIN CERTIFICATE-----/)
    const token = await read('token')
    const claims = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())
    expect(claims).toMatchObject({
      sub: 'system:serviceaccount:default:default',
      'kubernetes.io': { namespace: 'default', pod: { name: 'known' }, serviceaccount: { name: 'default' } },
    })
    const { stdout } = await cluster.inside('curl', [
      '-sk',
      '-H',
      `Authorization: Bearer ${token}`,
      'https://127.0.0.1:6443/api/v1/namespaces/default/pods',
    ])
    expect(JSON.parse(stdout).message).toContain(
      'User "system:serviceaccount:default:default" cannot list resource "pods"',
    )
    const { code } = await cluster.kubectl(['exec', 'bare', '--', 'ls', folder])
    expect(code).not.toBe(0)
  })
})
