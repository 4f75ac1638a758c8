import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { systemClock } from '../../runtime/base/clock.ts'
import { silentLog } from '../../runtime/base/log.ts'
import { anApi } from '../../test/fixtures/api.ts'
import { resources } from '../api/resources.ts'
import type { User } from '../api/user.ts'
import { defaultPolicy } from '../auth/policy/default-policy.ts'
import { rulesFor } from '../controllers/cluster-role-aggregation.ts'
import { reconcileDefaultPolicy } from './default-policy.ts'

const rbac = '/apis/rbac.authorization.k8s.io/v1'
const reviews = '/apis/authorization.k8s.io/v1'
const maps = '/api/v1/namespaces/default/configmaps'

const user = (name: string, ...groups: string[]): User => ({ name, groups: [...groups, 'system:authenticated'] })
const ref = (kind: string, name: string) => ({ apiGroup: 'rbac.authorization.k8s.io', kind, name })
const subject = (name: string) => ({ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name })

describe('authorization over HTTP', () => {
  let api: Awaited<ReturnType<typeof anApi>>
  beforeAll(async () => {
    api = await anApi()
  })
  afterAll(() => api.close())

  const post = (url: string, body: object, as?: User) => api.call('POST', url, { body, ...(as ? { as } : {}) })
  const grant = async (name: string, rules: object[], namespace = 'default') => {
    const metadata = { name: `of-${name}` }
    await post(`${rbac}/namespaces/${namespace}/roles`, { metadata, rules })
    const binding = { metadata, roleRef: ref('Role', `of-${name}`), subjects: [subject(name)] }
    expect((await post(`${rbac}/namespaces/${namespace}/rolebindings`, binding)).status).toBe(201)
  }
  const grantAll = async (name: string, rules: object[]) => {
    const metadata = { name: `of-${name}` }
    await post(`${rbac}/clusterroles`, { metadata, rules })
    const binding = { metadata, roleRef: ref('ClusterRole', `of-${name}`), subjects: [subject(name)] }
    expect((await post(`${rbac}/clusterrolebindings`, binding)).status).toBe(201)
  }

  it('a review is no row of a table: who takes nothing else gets 406, everybody else what he takes next', async () => {
    const url = `${reviews}/selfsubjectaccessreviews`
    const body = { spec: { nonResourceAttributes: { path: '/', verb: 'get' } } }
    const table = 'application/json;as=Table;v=v1;g=meta.k8s.io'
    const refused = await api.call('POST', url, { body, headers: { accept: table } })
    expect([refused.status, refused.body.reason]).toEqual([406, 'NotAcceptable'])
    const answered = await api.call('POST', url, { body, headers: { accept: `${table},application/json` } })
    expect([answered.status, answered.body.kind]).toEqual([201, 'SelfSubjectAccessReview'])
  })

  describe('roles', () => {
    it('allow from the moment they are bound until they are not', async () => {
      const anne = user('anne')
      expect((await api.call('GET', maps, { as: anne })).body.message).toBe(
        'configmaps is forbidden: User "anne" cannot list resource "configmaps" in API group "" in the namespace "default"',
      )
      await grant('anne', [{ verbs: ['list'], apiGroups: [''], resources: ['configmaps'] }])
      expect((await api.call('GET', maps, { as: anne })).status).toBe(200)
      expect((await api.call('GET', '/api/v1/configmaps', { as: anne })).body.message).toContain('at the cluster scope')
      await api.call('DELETE', `${rbac}/namespaces/default/rolebindings/of-anne`)
      expect((await api.call('GET', maps, { as: anne })).status).toBe(403)
    })

    it('a name in a field selector is a name', async () => {
      const rules = [
        { verbs: ['get', 'list', 'watch'], apiGroups: [''], resources: ['secrets'], resourceNames: ['one'] },
      ]
      await grant('named', rules)
      const list = (query: string) =>
        api.call('GET', `/api/v1/namespaces/default/secrets${query}`, { as: user('named') })
      expect((await list('?fieldSelector=metadata.name%3Done')).status).toBe(200)
      expect((await list('?fieldSelector=metadata.name%3Dtwo')).status).toBe(403)
      expect((await list('?fieldSelector=metadata.name!%3Done')).status).toBe(403)
      expect((await list('')).status).toBe(403)
    })

    it('a missing role is told', async () => {
      const binding = { metadata: { name: 'lost' }, roleRef: ref('ClusterRole', 'lost'), subjects: [subject('lost')] }
      await post(`${rbac}/clusterrolebindings`, binding)
      expect((await api.call('GET', maps, { as: user('lost') })).body.message).toContain(
        'in the namespace "default": RBAC: clusterrole.rbac.authorization.k8s.io "lost" not found',
      )
    })

    it('everybody who is somebody has discovery, and may ask who he is and what he may', async () => {
      const eve = user('eve')
      for (const path of ['/api', '/apis', '/openapi/v3', '/version']) {
        expect((await api.call('GET', path, { as: eve })).status).toBe(200)
      }
      expect((await api.call('GET', '/metrics', { as: eve })).status).toBe(403)
      expect((await post(`${reviews}/selfsubjectrulesreviews`, { spec: { namespace: 'x' } }, eve)).status).toBe(201)
      expect((await post(`${reviews}/subjectaccessreviews`, { spec: { user: 'x' } }, eve)).status).toBe(403)
    })
  })

  describe('reviews', () => {
    const pods = { verb: 'list', resource: 'pods', namespace: 'default' }

    it('SelfSubjectAccessReview: as the authorizer would decide, with its reason', async () => {
      await grant('asker', [{ verbs: ['list'], apiGroups: [''], resources: ['pods'] }])
      const ask = (resourceAttributes: object) =>
        post(`${reviews}/selfsubjectaccessreviews`, { spec: { resourceAttributes } }, user('asker'))
      const { body } = await ask(pods)
      expect([body.kind, body.apiVersion, body.status]).toEqual([
        'SelfSubjectAccessReview',
        'authorization.k8s.io/v1',
        { allowed: true, reason: 'RBAC: allowed by RoleBinding "of-asker/default" of Role "of-asker" to User "asker"' },
      ])
      expect((await ask({ ...pods, verb: 'delete' })).body.status).toEqual({ allowed: false })
    })

    it('SubjectAccessReview and LocalSubjectAccessReview: of others', async () => {
      const spec = { user: 'asker', resourceAttributes: pods }
      expect((await post(`${reviews}/subjectaccessreviews`, { spec })).body.status.allowed).toBe(true)
      const paths = { groups: ['system:masters'], nonResourceAttributes: { verb: 'get', path: '/metrics' } }
      expect((await post(`${reviews}/subjectaccessreviews`, { spec: paths })).body.status.allowed).toBe(true)
      const local = `${reviews}/namespaces/default/localsubjectaccessreviews`
      expect((await post(local, { spec })).body.status.allowed).toBe(true)
      const elsewhere = { ...spec, resourceAttributes: { ...pods, namespace: 'other' } }
      expect((await post(local, { spec: elsewhere })).body.message).toContain('must match namespace: default')
    })

    it.each([
      [{}, 'exactly one of nonResourceAttributes or resourceAttributes must be specified'],
      [
        { resourceAttributes: pods, nonResourceAttributes: {} },
        'cannot be specified in combination with resourceAttributes',
      ],
      [{ resourceAttributes: pods }, 'at least one of user or group must be specified'],
    ])('SubjectAccessReview: refuses %j', async (spec, text) => {
      const { status, body } = await post(`${reviews}/subjectaccessreviews`, { spec })
      expect(status).toBe(422)
      expect(body.message).toContain(text)
    })

    it('SelfSubjectRulesReview: all rules of the namespace; of a node it is not all', async () => {
      const ask = async (as: User) =>
        (await post(`${reviews}/selfsubjectrulesreviews`, { spec: { namespace: 'default' } }, as)).body.status
      const status = await ask(user('asker'))
      expect(status.resourceRules).toContainEqual({ verbs: ['list'], apiGroups: [''], resources: ['pods'] })
      expect(status.nonResourceRules.flatMap((rule: { nonResourceURLs: string[] }) => rule.nonResourceURLs)).toContain(
        '/api/*',
      )
      expect(status.incomplete).toBe(false)
      const node = await ask(user('system:node:n', 'system:nodes'))
      expect([node.incomplete, node.evaluationError]).toEqual([
        true,
        'node authorizer does not support user rule resolution',
      ])
    })
  })

  describe('impersonation', () => {
    const whoAmI = async (headers: Record<string, string | string[]>, as?: User) => {
      const url = '/apis/authentication.k8s.io/v1/selfsubjectreviews'
      const { status, body } = await api.call('POST', url, { headers, body: {}, ...(as ? { as } : {}) })
      return status === 201 ? body.status.userInfo : body.message
    }

    it('acts as the other in all that it is', async () => {
      const headers = {
        'impersonate-user': 'jane',
        'impersonate-group': ['dev', 'a, b'],
        'impersonate-uid': '7',
        'impersonate-extra-scopes': ['view', 'edit'],
        'impersonate-extra-acme.com%2fproject': 'p',
      }
      expect(await whoAmI(headers)).toEqual({
        username: 'jane',
        uid: '7',
        groups: ['dev', 'a, b', 'system:authenticated'],
        extra: { scopes: ['view', 'edit'], 'acme.com/project': ['p'] },
      })
    })

    it('a service account brings its groups', async () => {
      const { groups } = await whoAmI({ 'impersonate-user': 'system:serviceaccount:x:y' })
      expect(groups).toEqual(['system:serviceaccounts', 'system:serviceaccounts:x', 'system:authenticated'])
      expect(
        (await whoAmI({
          'impersonate-user': 'system:anonymous',
          'impersonate-group': 'system:unauthenticated',
        })) as string,
      ).toContain('forbidden')
    })

    it('each part has to be allowed', async () => {
      const may = {
        verbs: ['impersonate'],
        apiGroups: [''],
        resources: ['users', 'groups'],
        resourceNames: ['jane', 'dev'],
      }
      await grantAll('actor', [may])
      const as = user('actor')
      expect((await whoAmI({ 'impersonate-user': 'jane', 'impersonate-group': 'dev' }, as)).username).toBe('jane')
      const cannot = (what: string) => `User "actor" cannot impersonate resource ${what}`
      expect(await whoAmI({ 'impersonate-user': 'root' }, as)).toContain(
        `users "root" is forbidden: ${cannot('"users" in API group ""')} at the cluster scope`,
      )
      expect(await whoAmI({ 'impersonate-user': 'jane', 'impersonate-group': 'system:masters' }, as)).toContain(
        cannot('"groups"'),
      )
      expect(await whoAmI({ 'impersonate-user': 'jane', 'impersonate-uid': '1' }, as)).toContain(
        cannot('"uids" in API group "authentication.k8s.io"'),
      )
      expect(await whoAmI({ 'impersonate-user': 'jane', 'impersonate-extra-a': '1' }, as)).toContain(
        cannot('"userextras/a"'),
      )
      expect(await whoAmI({ 'impersonate-user': 'system:serviceaccount:x:y' }, as)).toContain(
        `${cannot('"serviceaccounts"')} in API group "" in the namespace "x"`,
      )
      expect(await whoAmI({ 'impersonate-user': 'jane' }, user('eve'))).toContain('cannot impersonate')
    })

    it('groups without a user are refused, nobody cannot be anybody, and the rights are those of the other', async () => {
      expect(await whoAmI({ 'impersonate-group': 'dev' })).toContain('without impersonating a user')
      const odd = { 'impersonate-group': 'dev', 'impersonate-nothing': 'x' }
      expect(await whoAmI(odd)).toContain('without impersonating a user')
      expect((await whoAmI({ 'impersonate-nothing': 'x' })).username).toBe('admin')
      const headers = { 'impersonate-user': 'jane' }
      expect((await api.call('GET', maps, { headers, as: null })).status).toBe(401)
      expect((await api.call('GET', maps, { headers })).body.message).toContain('User "jane" cannot list')
    })
  })

  describe('escalation', () => {
    const secrets = { verbs: ['get'], apiGroups: [''], resources: ['secrets'] }
    const manage = (...verbs: string[]) => [
      { verbs: ['create', 'update', 'patch', ...verbs], apiGroups: ['rbac.authorization.k8s.io'], resources: ['*'] },
      { verbs: ['list'], apiGroups: [''], resources: ['pods'] },
    ]
    const roles = `${rbac}/namespaces/default/roles`
    const bindings = `${rbac}/namespaces/default/rolebindings`
    const refusal = (name: string) =>
      `user "${name}" (groups=["system:authenticated"]) is attempting to grant RBAC permissions not currently held:\n{APIGroups:[""], Resources:["secrets"], Verbs:["get"]}`

    it('nobody writes a role with more than he has', async () => {
      await grant('manager', manage())
      const as = user('manager')
      const { status, body } = await post(roles, { metadata: { name: 'more' }, rules: [secrets] }, as)
      expect([status, body.message]).toEqual([
        403,
        `roles.rbac.authorization.k8s.io "more" is forbidden: ${refusal('manager')}`,
      ])
      const own = { verbs: ['list'], apiGroups: [''], resources: ['pods'] }
      expect((await post(roles, { metadata: { name: 'same' }, rules: [own] }, as)).status).toBe(201)
      const patch = { as, body: { rules: [secrets] }, headers: { 'content-type': 'application/merge-patch+json' } }
      expect((await api.call('PATCH', `${roles}/same`, patch)).status).toBe(403)
      const apply = {
        as,
        body: {
          apiVersion: 'rbac.authorization.k8s.io/v1',
          kind: 'Role',
          metadata: { name: 'applied' },
          rules: [secrets],
        },
        headers: { 'content-type': 'application/apply-patch+yaml' },
      }
      expect((await api.call('PATCH', `${roles}/applied?fieldManager=x`, apply)).status).toBe(403)
      await grant('escalator', manage('escalate'))
      expect((await post(roles, { metadata: { name: 'more' }, rules: [secrets] }, user('escalator'))).status).toBe(201)
    })

    it('nobody binds a role with more than he has, unless he may bind it', async () => {
      await post(roles, { metadata: { name: 'secretive' }, rules: [secrets] })
      const binding = (name: string) => ({
        metadata: { name },
        roleRef: ref('Role', 'secretive'),
        subjects: [subject('x')],
      })
      const { status, body } = await post(bindings, binding('b1'), user('manager'))
      expect([status, body.message]).toEqual([
        403,
        `rolebindings.rbac.authorization.k8s.io "b1" is forbidden: ${refusal('manager')}`,
      ])
      const missing = { ...binding('b2'), roleRef: ref('Role', 'none') }
      expect((await post(bindings, missing, user('manager'))).status).toBe(404)
      await grant('binder', manage('bind'))
      expect((await post(bindings, binding('b3'), user('binder'))).status).toBe(201)
    })

    it('gathering roles takes everything', async () => {
      await grantAll('gatherer', manage())
      const aggregationRule = { clusterRoleSelectors: [{ matchLabels: { a: 'b' } }] }
      const { status, body } = await post(
        `${rbac}/clusterroles`,
        { metadata: { name: 'g' }, aggregationRule },
        user('gatherer'),
      )
      expect(status).toBe(403)
      expect(body.message).toContain('must have cluster-admin privileges to use an aggregationRule')
    })
  })

  describe('NodeRestriction', () => {
    const kubelet = user('system:node:n1', 'system:nodes')
    const pods = '/api/v1/namespaces/default/pods'
    const aPod = (name: string, nodeName: string, more: object = {}) => ({
      metadata: { name, ...more },
      spec: { nodeName, serviceAccountName: 'default', containers: [{ name: 'c', image: 'i' }] },
    })
    const merge = { 'content-type': 'application/merge-patch+json' }
    const status = (name: string, body: object) =>
      api.call('PATCH', `${pods}/${name}/status`, { body, as: kubelet, headers: merge })

    beforeAll(async () => {
      for (const name of ['n1', 'n2']) await post('/api/v1/nodes', { metadata: { name } })
      for (const [name, node] of [
        ['here', 'n1'],
        ['there', 'n2'],
        ['going', 'n1'],
      ] as const)
        await post(pods, aPod(name, node))
    })

    it('a node tells the status of its own pods, and deletes no others', async () => {
      expect((await status('here', { status: { phase: 'Running' } })).status).toBe(200)
      expect((await status('there', { status: { phase: 'Failed' } })).body.message).toContain(
        'can only update pod status for pods with spec.nodeName set to itself',
      )
      expect((await status('here', { metadata: { labels: { a: 'b' } } })).body.message).toContain(
        'cannot update labels through pod status',
      )
      expect((await api.call('DELETE', `${pods}/there`, { as: kubelet })).status).toBe(403)
      const evict = (name: string) => post(`${pods}/${name}/eviction`, { metadata: { name } }, kubelet)
      expect((await evict('there')).status).toBe(403)
      expect((await evict('going')).status).toBe(201)
    })

    it('a node makes mirror pods only, and they use nothing of the cluster', async () => {
      const annotations = { 'kubernetes.io/config.mirror': 'hash' }
      expect((await post(pods, aPod('new', 'n1'), kubelet)).body.message).toContain('can only create mirror pods')
      expect((await post(pods, aPod('new', 'n1', { annotations }), kubelet)).body.message).toContain(
        'a mirror pod may not reference service accounts',
      )
      const { uid } = (await api.call('GET', '/api/v1/nodes/n1')).body.metadata
      const owner = { apiVersion: 'v1', kind: 'Node', name: 'n1', uid, controller: true }
      const owned = (...ownerReferences: object[]) => ({ name: 'bare', annotations, ownerReferences })
      const bare = {
        metadata: owned(owner),
        spec: { nodeName: 'n1', containers: [{ name: 'c', image: 'i' }] },
      }
      const volumes = [{ name: 'v', configMap: { name: 'm' } }]
      const user = await post(pods, { ...bare, spec: { ...bare.spec, volumes } }, kubelet)
      expect(user.body.message).toContain('can not create pods that reference configmaps')
      const refusedFor = async (...owners: object[]) =>
        (await post(pods, { ...bare, metadata: owned(...owners) }, kubelet)).body.message
      expect(await refusedFor()).toContain('can only create pods with an owner reference set to itself')
      expect(await refusedFor(owner, { ...owner, name: 'n2', controller: false })).toContain('a single owner reference')
      expect(await refusedFor({ ...owner, name: 'n2' })).toContain('an owner reference set to itself')
      expect(await refusedFor({ ...owner, controller: false })).toContain('a controller owner reference')
      expect(await refusedFor({ ...owner, blockOwnerDeletion: true })).toContain('must not set blockOwnerDeletion')
      expect(await refusedFor({ ...owner, uid: 'x' })).toContain(`node n1 UID mismatch: expected x got ${uid}`)
      expect((await post(pods, bare, kubelet)).status).toBe(201)
      expect((await post(pods, { ...bare, spec: { ...bare.spec, nodeName: 'n2' } }, kubelet)).status).toBe(403)
    })

    it('a node changes itself, without taints and labels that are not its own', async () => {
      const patch = (name: string, body: object) =>
        api.call('PATCH', `/api/v1/nodes/${name}`, { body, as: kubelet, headers: merge })
      const label = (key: string) => patch('n1', { metadata: { labels: { [key]: 'x' } } })
      expect((await label('topology.kubernetes.io/zone')).status).toBe(200)
      expect((await label('mine.org/x')).status).toBe(200)
      expect((await label('node-restriction.kubernetes.io/x')).body.message).toContain(
        'is not allowed to modify labels: node-restriction.kubernetes.io/x',
      )
      expect((await label('node-role.kubernetes.io/control-plane')).status).toBe(403)
      expect((await patch('n1', { spec: { taints: [{ key: 'a', effect: 'NoSchedule' }] } })).body.message).toContain(
        'not allowed to modify taints',
      )
      expect((await patch('n2', { metadata: { labels: { a: 'b' } } })).body.message).toContain(
        'is not allowed to modify node "n2"',
      )
      const made = await post('/api/v1/nodes', { metadata: { name: 'n3' } }, kubelet)
      expect(made.status).toBe(403)
      const born = (labels: object) =>
        post('/api/v1/nodes', { metadata: { name: 'n4', labels } }, user('system:node:n4', 'system:nodes'))
      expect((await born({ 'x.node-restriction.kubernetes.io/y': 'z' })).body.message).toContain(
        'is not allowed to set the following labels: x.node-restriction.kubernetes.io/y',
      )
      expect((await born({ 'kubernetes.io/os': 'linux' })).status).toBe(201)
    })

    it('a node asks for tokens of pods that it runs', async () => {
      const ask = async (name: string, uid: string, audiences: string[] = []) => {
        const spec = { audiences, boundObjectRef: { kind: 'Pod', apiVersion: 'v1', name, uid } }
        return post('/api/v1/namespaces/default/serviceaccounts/default/token', { spec }, kubelet)
      }
      const uidOf = async (name: string) => (await api.call('GET', `${pods}/${name}`)).body.metadata.uid as string
      expect((await ask('here', await uidOf('here'))).status).toBe(201)
      expect((await ask('there', await uidOf('there'))).body.message).toContain('scheduled on a different node')
      expect((await ask('here', '')).body.message).toContain('without a uid')
      expect((await ask('here', await uidOf('here'), ['vault'])).body.message).toContain(
        'audience "vault" not found in pod spec volume',
      )
    })

    it('a node leases under its own name', async () => {
      const leases = '/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases'
      expect((await post(leases, { metadata: { name: 'n1' } }, kubelet)).status).toBe(201)
      expect((await post(leases, { metadata: { name: 'n2' } }, kubelet)).status).toBe(403)
    })
  })

  describe('default policy', () => {
    it('is complete, and bound to roles that are there', async () => {
      const { clusterRoles, clusterRoleBindings } = defaultPolicy()
      const names = new Set(clusterRoles.map(({ metadata }) => metadata?.name))
      expect(names.size).toBe(clusterRoles.length)
      for (const { roleRef } of clusterRoleBindings) expect(names).toContain(roleRef.name)
      const { body } = await api.call('GET', `${rbac}/clusterroles/view`)
      expect(body.metadata).toMatchObject({
        labels: { 'kubernetes.io/bootstrapping': 'rbac-defaults' },
        annotations: { 'rbac.authorization.kubernetes.io/autoupdate': 'true' },
      })
    })

    it('gets back at a start what it has lost; what was added, and what is not to be updated, stays', async () => {
      const url = `${rbac}/clusterroles/system:discovery`
      const mine = { verbs: ['get'], nonResourceURLs: ['/mine'] }
      const merge = { 'content-type': 'application/merge-patch+json' }
      await api.call('PATCH', url, { body: { rules: [mine] }, headers: merge })
      const autoupdate = { 'rbac.authorization.kubernetes.io/autoupdate': 'false' }
      const other = `${rbac}/clusterroles/system:basic-user`
      await api.call('PATCH', other, { body: { metadata: { annotations: autoupdate }, rules: [] }, headers: merge })
      await api.call('DELETE', `${rbac}/clusterrolebindings/system:discovery`)
      await reconcileDefaultPolicy(api.client)
      const { rules } = (await api.call('GET', url)).body
      expect(rules[0]).toEqual(mine)
      expect(rules.flatMap((rule: { nonResourceURLs: string[] }) => rule.nonResourceURLs)).toContain('/apis/*')
      expect((await api.call('GET', other)).body.rules ?? []).toEqual([])
      expect((await api.call('GET', `${rbac}/clusterrolebindings/system:discovery`)).status).toBe(200)
      const before = (await api.client.list(resources.clusterRoles)).items.map(
        ({ metadata }) => metadata?.resourceVersion,
      )
      await reconcileDefaultPolicy(api.client)
      const after = (await api.client.list(resources.clusterRoles)).items.map(
        ({ metadata }) => metadata?.resourceVersion,
      )
      expect(after).toEqual(before)
    })

    it('clusterRoleAggregationController: admin, edit and view have the rules of all their parts, and follow them', async () => {
      const { clusterRoleAggregationController } = await import('../controllers/cluster-role-aggregation.ts')
      const controller = clusterRoleAggregationController({ client: api.client, clock: systemClock, log: silentLog })
      await controller.start()
      const labels = { 'rbac.authorization.k8s.io/aggregate-to-view': 'true' }
      const rule = { verbs: ['get'], apiGroups: ['acme.com'], resources: ['widgets'] }
      await post(`${rbac}/clusterroles`, { metadata: { name: 'widgets', labels }, rules: [rule] })
      const rulesOf = async (name: string) => (await api.call('GET', `${rbac}/clusterroles/${name}`)).body.rules ?? []
      await expect.poll(() => rulesOf('admin'), { timeout: 5000 }).toContainEqual(rule)
      expect(await rulesOf('view')).toContainEqual(rule)
      await api.call('DELETE', `${rbac}/clusterroles/widgets`)
      await expect.poll(() => rulesOf('admin'), { timeout: 5000 }).not.toContainEqual(rule)
      await controller.close()
    })

    it('rulesFor: by name, each once, without itself', () => {
      const role = (name: string, verb: string) => ({
        metadata: { name, labels: { a: 'b' } },
        rules: [{ verbs: [verb] }],
      })
      const gathering = {
        ...role('a', 'x'),
        aggregationRule: { clusterRoleSelectors: [{ matchLabels: { a: 'b' } }, { matchLabels: { a: 'b' } }] },
      }
      expect(rulesFor(gathering, [role('c', '2'), gathering, role('b', '1'), role('d', '1')])).toEqual([
        { verbs: ['1'] },
        { verbs: ['2'] },
      ])
    })

    it('scheduler and controller manager may do what ours do', async () => {
      const may = async (name: string, resourceAttributes: object) =>
        (await post(`${reviews}/subjectaccessreviews`, { spec: { user: name, resourceAttributes } })).body.status
          .allowed
      const scheduler = 'system:kube-scheduler'
      for (const resource of ['nodes', 'pods', 'namespaces'])
        expect(await may(scheduler, { verb: 'watch', resource })).toBe(true)
      expect(await may(scheduler, { verb: 'create', resource: 'pods', subresource: 'binding', namespace: 'x' })).toBe(
        true,
      )
      expect(await may(scheduler, { verb: 'create', resource: 'events', namespace: 'x' })).toBe(true)
      expect(await may(scheduler, { verb: 'get', resource: 'secrets', namespace: 'x' })).toBe(false)
      expect(await may('system:kube-controller-manager', { verb: 'watch', resource: 'secrets' })).toBe(true)
    })
  })
})
