import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { PolicyRule } from '../../api/types.ts'
import type { Attributes } from '../authorize.ts'
import { escalationOf, missingRights } from './covers.ts'
import { rbacAuthorizer } from './rbac-authorizer.ts'
import { RbacIndex } from './rbac-index.ts'
import { compileRule } from './rule.ts'

const rule = (verbs: string, apiGroups: string, resources: string, names?: string): PolicyRule => ({
  verbs: verbs.split(' '),
  apiGroups: apiGroups.split(','),
  resources: resources.split(' '),
  ...(names ? { resourceNames: names.split(' ') } : {}),
})
const paths = (verbs: string, urls: string): PolicyRule => ({
  verbs: verbs.split(' '),
  nonResourceURLs: urls.split(' '),
})

/** `ask('get apps/deployments/scale x')`: verb, group/resource/subresource, name; or `ask('get /path')`. */
function ask(text: string, namespace?: string): Omit<Attributes, 'user'> {
  const [verb = '', what = '', name = ''] = text.split(' ')
  if (what.startsWith('/')) return { verb, path: what }
  const [group = '', resource = '', subresource = ''] = what.split('/')
  const place = { group: group === 'core' ? '' : group, resource, subresource, name }
  return { verb, path: '', resource: { ...place, ...(namespace ? { namespace } : {}) } }
}

describe('compileRule', () => {
  it.each<[PolicyRule, string, boolean]>([
    [rule('get', '', 'pods'), 'get core/pods x', true],
    [rule('get', '', 'pods'), 'list core/pods', false],
    [rule('get', '', 'pods'), 'get apps/pods x', false],
    [rule('get', '', 'pods'), 'get core/pods/log x', false],
    [rule('get', '', 'pods/log'), 'get core/pods/log x', true],
    [rule('get', '', 'pods/log'), 'get core/pods x', false],
    [rule('*', '', 'pods'), 'delete core/pods x', true],
    [rule('get', '*', 'pods'), 'get metrics.k8s.io/pods x', true],
    [rule('get', '', '*'), 'get core/secrets x', true],
    [rule('get', '', '*'), 'get core/pods/log x', true],
    [rule('get', '*', '*/scale'), 'get apps/deployments/scale x', true],
    [rule('get', '*', '*/scale'), 'get apps/deployments x', false],
    [rule('get', '*', 'pods/*'), 'get core/pods/log x', false],
    [rule('get', '', 'secrets', 'a b'), 'get core/secrets a', true],
    [rule('get', '', 'secrets', 'a b'), 'get core/secrets c', false],
    [rule('list', '', 'secrets', 'a'), 'list core/secrets', false],
    [rule('*', '*', '*'), 'get /metrics', false],
    [paths('get', '/metrics'), 'get /metrics', true],
    [paths('get', '/metrics'), 'get /metrics/x', false],
    [paths('get', '/api/*'), 'get /api/v1', true],
    [paths('get', '/api/*'), 'get /apis', false],
    [paths('get', '/a*c'), 'get /abc', false],
    [paths('*', '*'), 'post /anything', true],
    [paths('*', '*'), 'get core/pods x', false],
    [{ verbs: ['get'] }, 'get core/pods x', false],
  ])('%j, %s: %s', (policy, question, allowed) => {
    expect(compileRule(policy).allows(ask(question))).toBe(allowed)
  })
})

const group = 'rbac.authorization.k8s.io'

/** Roles r (in x) and cr, and whom they are bound to. */
function anIndex() {
  const index = new RbacIndex()
  index.putRole({ metadata: { name: 'r', namespace: 'x' }, rules: [rule('get', '', 'pods')] })
  index.putRole({ metadata: { name: 'cr' }, rules: [rule('get', '', 'secrets'), paths('get', '/metrics')] })
  const bind = (name: string, kind: string, role: string, namespace?: string) => ({
    metadata: { name, ...(namespace ? { namespace } : {}) },
    roleRef: { apiGroup: group, kind, name: role },
  })
  index.putBinding({ ...bind('one', 'Role', 'r', 'x'), subjects: [{ kind: 'User', apiGroup: group, name: 'anne' }] })
  index.putBinding({ ...bind('two', 'ClusterRole', 'cr', 'x'), subjects: [{ kind: 'ServiceAccount', name: 'sa' }] })
  index.putBinding({ ...bind('all', 'ClusterRole', 'cr'), subjects: [{ kind: 'Group', apiGroup: group, name: 'ops' }] })
  index.putBinding({ ...bind('bad', 'Role', 'none', 'x'), subjects: [{ kind: 'User', apiGroup: group, name: 'bob' }] })
  return index
}

describe('rbacAuthorizer', () => {
  const index = anIndex()
  const authorizer = rbacAuthorizer(index)
  const decide = (name: string, groups: string[], question: Omit<Attributes, 'user'>) =>
    authorizer.decide({ user: { name, groups }, ...question })

  it.each<[string, string[], string, string | undefined, boolean, string]>([
    ['anne', [], 'get core/pods p', 'x', true, 'RBAC: allowed by RoleBinding "one/x" of Role "r" to User "anne"'],
    ['anne', [], 'get core/pods p', 'y', false, ''],
    ['anne', [], 'list core/pods', undefined, false, ''],
    [
      'system:serviceaccount:x:sa',
      [],
      'get core/secrets s',
      'x',
      true,
      'RBAC: allowed by RoleBinding "two/x" of ClusterRole "cr" to ServiceAccount "sa/x"',
    ],
    ['system:serviceaccount:y:sa', [], 'get core/secrets s', 'x', false, ''],
    // A role binding to a cluster role gives nothing outside its namespace, and no paths.
    ['system:serviceaccount:x:sa', [], 'get /metrics', undefined, false, ''],
    [
      'eve',
      ['ops'],
      'get core/secrets s',
      'y',
      true,
      'RBAC: allowed by ClusterRoleBinding "all" of ClusterRole "cr" to Group "ops"',
    ],
    [
      'eve',
      ['ops'],
      'get /metrics',
      undefined,
      true,
      'RBAC: allowed by ClusterRoleBinding "all" of ClusterRole "cr" to Group "ops"',
    ],
    ['ops', [], 'get /metrics', undefined, false, ''],
    ['bob', [], 'get core/pods p', 'x', false, 'RBAC: role.rbac.authorization.k8s.io "none" not found'],
  ])('%s %j %s in %s: %s', (name, groups, question, namespace, allowed, reason) => {
    expect(decide(name, groups, ask(question, namespace))).toEqual({ allowed, reason })
  })

  it('follows changes: of the role, of the binding, and their end', () => {
    const changing = anIndex()
    const may = (question: string) =>
      rbacAuthorizer(changing).decide({ user: { name: 'anne', groups: [] }, ...ask(question, 'x') }).allowed
    changing.putRole({ metadata: { name: 'r', namespace: 'x' }, rules: [rule('list', '', 'pods')] })
    expect([may('get core/pods p'), may('list core/pods')]).toEqual([false, true])
    const binding = { metadata: { name: 'one', namespace: 'x' }, roleRef: { apiGroup: group, kind: 'Role', name: 'r' } }
    changing.putBinding({ ...binding, subjects: [{ kind: 'User', apiGroup: group, name: 'carl' }] })
    expect(may('list core/pods')).toBe(false)
    changing.putBinding({ ...binding, subjects: [{ kind: 'User', apiGroup: group, name: 'anne' }] })
    expect(may('list core/pods')).toBe(true)
    changing.removeBinding(binding)
    expect(may('list core/pods')).toBe(false)
  })

  it('rulesFor: what is held, and which role is missing', () => {
    expect(authorizer.rulesFor({ name: 'anne', groups: ['ops'] }, 'x').rules).toHaveLength(3)
    expect(authorizer.rulesFor({ name: 'bob', groups: [] }, 'x').errors).toEqual([
      'role.rbac.authorization.k8s.io "none" not found',
    ])
  })

  it('how long a decision takes', () => {
    const many = anIndex()
    for (let at = 0; at < 5000; at++) {
      many.putRole({ metadata: { name: `r${at}` }, rules: [rule('get list watch', '', 'configmaps', `c${at}`)] })
      const roleRef = { apiGroup: group, kind: 'ClusterRole', name: `r${at}` }
      many.putBinding({ metadata: { name: `b${at}` }, roleRef, subjects: [{ kind: 'User', name: `u${at % 500}` }] })
    }
    const busy = rbacAuthorizer(many)
    const question = { user: { name: 'u7', groups: ['a', 'b', 'ops'] }, ...ask('get /metrics') }
    for (let at = 0; at < 20_000; at++) busy.decide(question)
    const start = performance.now()
    const count = 50_000
    for (let at = 0; at < count; at++) busy.decide(question)
    const micros = ((performance.now() - start) * 1000) / count
    process.stdout.write(`RBAC decision among 5,000 bindings: ${micros.toFixed(2)} us\n`)
    expect(busy.decide(question).allowed).toBe(true)
  })
})

const names = fc.constantFrom('a', 'b', 'c')
const some = (value: fc.Arbitrary<string>) => fc.uniqueArray(value, { minLength: 1, maxLength: 3 })
const orAll = (value: fc.Arbitrary<string>) => fc.oneof({ weight: 5, arbitrary: value }, fc.constant('*'))
const anyRule: fc.Arbitrary<PolicyRule> = fc.oneof(
  fc.record({
    verbs: some(orAll(names)),
    apiGroups: some(orAll(names)),
    resources: some(fc.oneof(orAll(names), fc.constantFrom('a/x', 'b/x', '*/x'))),
    resourceNames: fc.uniqueArray(names, { maxLength: 2 }),
  }),
  fc.record({ verbs: some(orAll(names)), nonResourceURLs: some(fc.constantFrom('/a', '/a/*', '/a/b', '/b', '*')) }),
)
const anyQuestion: fc.Arbitrary<Omit<Attributes, 'user'>> = fc.oneof(
  fc.record({
    verb: names,
    path: fc.constant(''),
    resource: fc.record({
      group: names,
      resource: names,
      subresource: fc.constantFrom('', 'x'),
      name: fc.constantFrom('', 'a', 'b'),
    }),
  }),
  fc.record({ verb: names, path: fc.constantFrom('/a', '/a/b', '/b', '/c') }),
)

describe('rules as properties', () => {
  it('a user may do what the union of the rules bound to him allows, never more', () => {
    const grants = fc.array(fc.record({ rules: fc.array(anyRule, { maxLength: 3 }), to: names }), { maxLength: 5 })
    fc.assert(
      fc.property(grants, names, anyQuestion, (bound, name, question) => {
        const index = new RbacIndex()
        bound.forEach(({ rules, to }, at) => {
          index.putRole({ metadata: { name: `r${at}` }, rules })
          const roleRef = { apiGroup: group, kind: 'ClusterRole', name: `r${at}` }
          index.putBinding({ metadata: { name: `b${at}` }, roleRef, subjects: [{ kind: 'User', name: to }] })
        })
        const union = bound.filter(({ to }) => to === name).flatMap(({ rules }) => rules)
        const expected = union.some((each) => compileRule(each).allows(question))
        expect(rbacAuthorizer(index).decide({ user: { name, groups: [] }, ...question }).allowed).toBe(expected)
      }),
    )
  })

  it('missingRights: who is said to miss nothing can do nothing new with what he grants', () => {
    fc.assert(
      fc.property(fc.array(anyRule, { maxLength: 4 }), anyRule, anyQuestion, (held, wanted, question) => {
        fc.pre(missingRights(held, [wanted]).length === 0)
        const grantsIt = compileRule(wanted).allows(question)
        if (grantsIt) expect(held.some((each) => compileRule(each).allows(question))).toBe(true)
      }),
      { numRuns: 2000 },
    )
    fc.assert(fc.property(anyRule, (own) => missingRights([own], [own]).length === 0))
  })
})

describe('escalationOf', () => {
  const user = { name: 'anne', groups: ['a', 'system:authenticated'] }
  const held = (...rules: PolicyRule[]) => ({ rules, errors: [] })

  it('names what is missing in the words of Kubernetes', () => {
    const wanted = [
      rule('get list', ',apps', 'pods secrets'),
      paths('get', '/metrics'),
      rule('get', '', 'configmaps', 'c'),
    ]
    expect(escalationOf(user, held(rule('get list', '', 'pods')), wanted)).toBe(
      [
        'user "anne" (groups=["a" "system:authenticated"]) is attempting to grant RBAC permissions not currently held:',
        '{APIGroups:[""], Resources:["configmaps"], ResourceNames:["c"], Verbs:["get"]}',
        '{APIGroups:[""], Resources:["secrets"], Verbs:["get" "list"]}',
        '{APIGroups:["apps"], Resources:["pods"], Verbs:["get" "list"]}',
        '{APIGroups:["apps"], Resources:["secrets"], Verbs:["get" "list"]}',
        '{NonResourceURLs:["/metrics"], Verbs:["get"]}',
      ].join('\n'),
    )
  })

  it('nothing is missing for who holds it, by whatever rules', () => {
    const wanted = [rule('get list', '', 'pods', 'a b')]
    expect(escalationOf(user, held(rule('get', '', 'pods'), rule('list', '', 'pods', 'a b c')), wanted)).toBeUndefined()
    expect(escalationOf(user, held(rule('*', '*', '*')), [rule('*', '*', '*')])).toBeUndefined()
    expect(escalationOf(user, held(rule('get', '', 'pods', 'a')), [rule('get', '', 'pods')])).toContain(
      'Resources:["pods"]',
    )
  })
})
