import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { systemClock } from '../../runtime/base/clock.ts'
import { silentLog } from '../../runtime/base/log.ts'
import { type ApiOptions, anApi } from '../../test/fixtures/api.ts'
import { usualPolicy } from '../admission/pod-security/policy.ts'
import type { User } from '../api/user.ts'
import { openEmbeddedStore } from '../store/embedded/embedded-store.ts'
import { AuditLog } from './audit-log.ts'

const secrets = '/api/v1/namespaces/default/secrets'

describe('audit events', () => {
  let api: Awaited<ReturnType<typeof anApi>>
  beforeAll(async () => {
    api = await anApi()
  })
  afterAll(() => api.close())

  const eventsOf = (id: unknown) =>
    api.auditLines.map((line) => JSON.parse(line)).filter(({ auditID }) => auditID === id)

  it('one request, one line: who did what, whence, and what became of it', async () => {
    const body = { metadata: { name: 's' }, stringData: { password: 'hunter2' } }
    const { headers } = await api.call('POST', `${secrets}?pretty=1`, { body, headers: { 'user-agent': 'test/1' } })
    const [event, ...more] = eventsOf(headers['audit-id'])
    expect(more).toEqual([])
    const time = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/)
    expect(event).toEqual({
      kind: 'Event',
      apiVersion: 'audit.k8s.io/v1',
      level: 'Metadata',
      auditID: headers['audit-id'],
      stage: 'ResponseComplete',
      requestURI: `${secrets}?pretty=1`,
      verb: 'create',
      user: { username: 'admin', groups: ['system:masters'] },
      sourceIPs: ['127.0.0.1'],
      userAgent: 'test/1',
      objectRef: { resource: 'secrets', namespace: 'default', name: 's', apiVersion: 'v1' },
      responseStatus: { metadata: {}, code: 201 },
      requestReceivedTimestamp: time,
      stageTimestamp: time,
      annotations: { 'authorization.k8s.io/decision': 'allow', 'authorization.k8s.io/reason': '' },
    })
    expect(api.auditLines.join('')).not.toMatch(/hunter2|aHVudGVyMg/)
  })

  it('what is made has its name: the one that was made up for it, and the one that was refused', async () => {
    const make = (metadata: object) => api.call('POST', '/api/v1/namespaces/default/configmaps', { body: { metadata } })
    const { headers, body } = await make({ generateName: 'made-' })
    expect(body.metadata.name).toMatch(/^made-.{5}$/)
    expect(eventsOf(headers['audit-id'])[0].objectRef.name).toBe(body.metadata.name)
    const refused = await make({ name: 'Not a name' })
    expect(refused.status).toBe(422)
    expect(eventsOf(refused.headers['audit-id'])[0].objectRef.name).toBe('Not a name')
  })

  it('a pod: which standard held it, and what the one for audits forbids', async () => {
    const prefix = 'pod-security.kubernetes.io/'
    const labels = { [`${prefix}audit`]: 'baseline', [`${prefix}enforce`]: 'baseline', [`${prefix}warn`]: 'privileged' }
    await api.call('POST', '/api/v1/namespaces', { body: { metadata: { name: 'audited', labels } } })
    const annotationsOf = async (where: string, body: object) => {
      const { status, headers } = await api.call('POST', where, { body })
      const { annotations } = eventsOf(headers['audit-id'])[0]
      const ours = Object.entries(annotations).filter(([key]) => key.startsWith(prefix))
      return { status, ...Object.fromEntries(ours.map(([key, value]) => [key.slice(prefix.length), value])) }
    }
    const template = { spec: { hostPID: true, containers: [{ name: 'c', image: 'i' }] } }
    const forbids = 'would violate PodSecurity "baseline:latest": host namespaces (hostPID=true)'
    const pods = '/api/v1/namespaces/audited/pods'
    expect(await annotationsOf(pods, { metadata: { name: 'p' }, ...template })).toEqual({
      status: 403,
      'enforce-policy': 'baseline:latest',
      'audit-violations': forbids,
    })
    const fine = { metadata: { name: 'p' }, spec: { containers: [{ name: 'c', image: 'i' }] } }
    expect(await annotationsOf(pods, fine)).toEqual({ status: 201, 'enforce-policy': 'baseline:latest' })
    expect(await annotationsOf('/api/v1/namespaces/default/pods', fine)).toEqual({
      status: 201,
      'enforce-policy': 'privileged:latest',
    })
    const selector = { matchLabels: { a: 'b' } }
    const spec = { selector, template: { metadata: { labels: { a: 'b' } }, ...template } }
    const workload = { metadata: { name: 'd' }, spec }
    expect(await annotationsOf('/apis/apps/v1/namespaces/audited/deployments', workload)).toEqual({
      status: 201,
      'audit-violations': forbids,
    })
  })

  it('what was refused is there with the reason, nobody with 401, and the id may be the client’s', async () => {
    const eve = { name: 'eve', groups: [], uid: '1', extra: { a: ['b'] } }
    await api.call('GET', `${secrets}/s`, { as: eve, headers: { 'audit-id': 'mine' } })
    expect(eventsOf('mine')).toMatchObject([
      {
        user: { username: 'eve', uid: '1', extra: { a: ['b'] } },
        objectRef: { name: 's' },
        responseStatus: { status: 'Failure', reason: 'Forbidden', code: 403 },
        annotations: { 'authorization.k8s.io/decision': 'forbid' },
      },
    ])
    const token = { authorization: 'Bearer very-secret' }
    const { headers } = await api.call('GET', secrets, { as: null, headers: token })
    expect(eventsOf(headers['audit-id'])).toMatchObject([{ user: {}, responseStatus: { code: 401 } }])
    expect(api.auditLines.join('')).not.toContain('very-secret')
  })

  it('impersonation: both users, and the rule that allowed it', async () => {
    const { headers } = await api.call('GET', '/api', { headers: { 'impersonate-user': 'jane' } })
    const [event] = eventsOf(headers['audit-id'])
    expect(event).toMatchObject({
      user: { username: 'admin' },
      impersonatedUser: { username: 'jane', groups: ['system:authenticated'] },
      annotations: { 'authorization.k8s.io/reason': expect.stringContaining('ClusterRoleBinding "system:discovery"') },
    })
  })

  it('a watch: its beginning and its end', async () => {
    await api.call('GET', `${secrets}?watch=1&timeoutSeconds=1`, { headers: { 'audit-id': 'watching' } })
    await expect
      .poll(() => eventsOf('watching').map(({ stage, verb }) => [stage, verb]))
      .toEqual([
        ['ResponseStarted', 'watch'],
        ['ResponseComplete', 'watch'],
      ])
  })
})

describe('audit events of PodSecurity', { timeout: 30_000 }, () => {
  const prefix = 'pod-security.kubernetes.io/'
  const enforce = (level?: string) => (level ? { labels: { [`${prefix}enforce`]: level } } : {})
  const pods = '/api/v1/namespaces/held/pods'
  const spec = { hostPID: true, containers: [{ name: 'c', image: 'i' }] }

  async function annotated(
    given: ApiOptions,
    level: string | undefined,
    ask: (api: Awaited<ReturnType<typeof anApi>>) => Answered,
  ) {
    const api = await anApi(given)
    const made = await api.call('POST', '/api/v1/namespaces', {
      body: { metadata: { name: 'held', ...enforce(level) } },
    })
    const { status, headers } = await ask(api)
    const event = api.auditLines.map((line) => JSON.parse(line)).find(({ auditID }) => auditID === headers['audit-id'])
    const { exempt, error } = {
      exempt: event.annotations[`${prefix}exempt`],
      error: event.annotations[`${prefix}error`],
    }
    await api.close()
    return { status, exempt, error, warning: made.headers.warning }
  }
  type Answered = Promise<{ status: number; headers: Record<string, unknown> }>
  const make =
    (more: object = {}, as?: User) =>
    (api: Awaited<ReturnType<typeof anApi>>) =>
      api.call('POST', pods, { body: { metadata: { name: 'p' }, spec: { ...spec, ...more } }, ...(as ? { as } : {}) })

  it('what is usual holds for a namespace that says nothing', async () => {
    const usual = { podSecurityConfig: { defaults: usualPolicy({ enforce: 'baseline' }) } }
    expect(await annotated(usual, undefined, make())).toMatchObject({ status: 403 })
    expect(await annotated(usual, 'privileged', make())).toMatchObject({ status: 201 })
  })

  it('exempt: a namespace, a user, a runtime class, each by its name', async () => {
    expect(
      await annotated({ podSecurityConfig: { exemptions: { namespaces: ['held'] } } }, 'restricted', make()),
    ).toEqual({
      status: 201,
      exempt: 'namespace',
      error: undefined,
      warning: expect.stringContaining(
        'is exempt from Pod Security, and the policy (enforce=restricted:latest) will be',
      ),
    })
    const jane = { name: 'jane', groups: ['system:masters'] }
    const byUser = { podSecurityConfig: { exemptions: { usernames: ['jane'] } } }
    expect(await annotated(byUser, 'baseline', make({}, jane))).toMatchObject({ status: 201, exempt: 'user' })
    expect(await annotated(byUser, 'baseline', make())).toMatchObject({ status: 403, exempt: undefined })
    const byClass = { podSecurityConfig: { exemptions: { runtimeClasses: ['sandboxed'] } } }
    const sandboxed = async (api: Awaited<ReturnType<typeof anApi>>) => {
      const body = { metadata: { name: 'sandboxed' }, handler: 'runsc' }
      await api.call('POST', '/apis/node.k8s.io/v1/runtimeclasses', { body })
      return make({ runtimeClassName: 'sandboxed' })(api)
    }
    expect(await annotated(byClass, 'baseline', sandboxed)).toMatchObject({ status: 201, exempt: 'runtimeClass' })
    expect(await annotated(byClass, 'baseline', make())).toMatchObject({ status: 403, exempt: undefined })
    const workload = (api: Awaited<ReturnType<typeof anApi>>) => {
      const labels = { a: 'b' }
      const body = {
        metadata: { name: 'd' },
        spec: { selector: { matchLabels: labels }, template: { metadata: { labels }, spec } },
      }
      return api.call('POST', '/apis/apps/v1/namespaces/held/deployments', { body, as: jane })
    }
    expect(await annotated(byUser, 'restricted', workload)).toMatchObject({ status: 201, exempt: 'user' })
  })

  it('error: labels that nobody can read, from a time when nobody looked', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'coracle-audit-'))
    const open = () => openEmbeddedStore(join(folder, 'store.db'))
    const before = await anApi({ store: await open(), disabledAdmissionPlugins: ['PodSecurity'] })
    await before.call('POST', '/api/v1/namespaces', { body: { metadata: { name: 'held', ...enforce('strict') } } })
    await before.close()
    expect(await annotated({ store: await open() }, 'strict', make())).toMatchObject({
      status: 403,
      error: `Failed to parse policy: metadata.labels[${prefix}enforce]: Invalid value: "strict": must be one of privileged, baseline, restricted`,
    })
    rmSync(folder, { recursive: true })
  })
})

describe('AuditLog', () => {
  const folder = mkdtempSync(join(tmpdir(), 'coracle-audit-'))
  afterAll(() => rmSync(folder, { recursive: true }))

  it('writes every line once and in order, in files no larger than asked, and keeps the newest of the full ones', async () => {
    const path = join(folder, 'deep', 'audit.log')
    const options = { path, largestBytes: 1000, backups: 3, clock: systemClock, log: silentLog }
    const log = new AuditLog(options)
    const lines = Array.from({ length: 300 }, (_, at) => `{"line":${String(at).padStart(4, '0')}}\n`)
    for (const line of lines) log.write(line)
    await log.close()
    const again = new AuditLog(options)
    again.write('{"line":"last"}\n')
    await again.close()
    const files = readdirSync(join(folder, 'deep'))
    expect(files).toHaveLength(4)
    for (const file of files) expect(statSync(join(folder, 'deep', file)).size).toBeLessThanOrEqual(1000)
    expect(statSync(path).mode & 0o777).toBe(0o600)
    // The file in use comes first in the order of names, and is the newest.
    const [current = '', ...aside] = files.sort((left, right) => left.length - right.length || (left < right ? -1 : 1))
    const kept = [...aside, current].map((file) => readFileSync(join(folder, 'deep', file), 'utf8')).join('')
    expect(`${lines.join('')}{"line":"last"}\n`.endsWith(kept)).toBe(true)
  })
})
