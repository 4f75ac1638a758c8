import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Pod } from '../../orchestrator/api/types.ts'
import { Cluster, eventually, preferredKubectl } from './cluster.ts'
import { aPod, listOf, shell, untilTold } from './manifests.ts'

const folder = '/var/run/secrets/kubernetes.io/serviceaccount'

describe.skipIf(preferredKubectl() === undefined)('accounts of pods', () => {
  const auditFolder = mkdtempSync(join(tmpdir(), 'coracle-e2e-audit-'))
  const auditLog = join(auditFolder, 'audit.log')
  let cluster: Cluster
  beforeAll(async () => {
    cluster = await Cluster.start(undefined, { flags: ['--audit-log-path', auditLog] })
  })
  afterAll(async () => {
    await cluster?.[Symbol.asyncDispose]()
    rmSync(auditFolder, { recursive: true })
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

  it('a namespace and at once a pod in it: one script', async () => {
    const kubectl = preferredKubectl()
    const run = `${kubectl} -n "$1" run p --image=coracle.local/busybox:1 --restart=Never -- true`
    const script = `${kubectl} create namespace "$1" && ${run}`
    for (const name of ['one', 'two', 'three']) {
      const env = cluster.environment()
      const { code, stdout, stderr } = await cluster.inside('sh', ['-c', script, 'sh', name], { env })
      expect({ code, stdout, stderr }).toEqual({
        code: 0,
        stdout: `namespace/${name} created\npod/p created\n`,
        stderr: '',
      })
    }
  })

  it('a namespace and a pod in one list', async () => {
    const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'together' } }
    const pod = { ...aPod('p', shell('exit 0')), metadata: { name: 'p', namespace: 'together' } }
    expect(await cluster.apply(listOf(namespace, pod))).toBe('namespace/together created\npod/p created\n')
  })

  it('an account that is not there is refused, and says how', async () => {
    const pod = aPod('lost', shell('exit 0'), { serviceAccountName: 'nobody' })
    const { code, stderr } = await cluster.kubectl(['apply', '-f', '-'], { input: listOf(pod) })
    expect(code).toBe(1)
    expect(stderr).toContain(
      'pods "lost" is forbidden: error looking up service account default/nobody: serviceaccount "nobody" not found',
    )
  })

  it('the parts of the node act in their own names, and need nothing that they may not', async () => {
    const told = readFileSync(auditLog, 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    const ours = told.filter(({ userAgent }) => /^kube/.test(userAgent) && !/^kubectl/.test(userAgent))
    const users = new Set(ours.map(({ user }) => user.username))
    const node = `system:node:${cluster.nodeName}`
    const programs = ['system:apiserver', 'system:kube-controller-manager', 'system:kube-scheduler', node]
    for (const name of programs) expect(users).toContain(name)
    expect(users).toContain('system:serviceaccount:kube-system:root-ca-cert-publisher')
    const refused = ours.filter(({ responseStatus }) => [401, 403].includes(responseStatus.code))
    expect(refused.map(({ user, verb, requestURI }) => `${user.username} ${verb} ${requestURI}`)).toEqual([])
    const masters = ours.filter(({ user }) => user.groups.includes('system:masters'))
    expect(new Set(masters.map(({ user }) => user.username))).toEqual(new Set(['system:apiserver']))
  })
})
