import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compare, isSame } from './compare.ts'
import { difference, type FieldSet, intersection, isEmpty, isSameSet, membersOf, pathText, union } from './field-set.ts'
import { fieldsOf, fieldsOfNew } from './fields-of.ts'
import { textOfKnown } from './known-sets.ts'
import { entriesOf, type Manager, type ManagerId, managersOf, withoutCrowd } from './managers.ts'
import { applyConfig, type Change, ownersAfterUpdate } from './own.ts'

const definition = 'io.k8s.api.core.v1.Pod'
const version = { definition, show: (object: object) => object, store: (object: object) => object }
const by = (manager: string, operation: ManagerId['operation'] = 'Apply'): ManagerId => ({
  manager,
  operation,
  apiVersion: 'v1',
  subresource: '',
})
const change = (live: object, managers: readonly Manager[], who: ManagerId): Change & { live: object } => ({
  live,
  managers,
  by: who,
  now: '2026-01-01T00:00:00Z',
  versionOf: () => version,
})

/** An object without content is no more than a place for one. */
const places = ['.metadata', '.spec']
const pathsOf = (set: FieldSet) =>
  membersOf(set)
    .map(pathText)
    .filter((path) => !places.includes(path))
    .sort()

/** Pods small enough to collide often: labels, containers by name, ports by two keys, a set of finalizers. */
const aName = fc.constantFrom('a', 'b', 'c')
const aValue = fc.constantFrom('1', '2')
const aPort = fc.record({ containerPort: fc.constantFrom(80, 81), name: aValue }, { requiredKeys: ['containerPort'] })
/** With at least `least` entries in what is there at all. */
const aPodOf = (least: 0 | 1) => {
  const ports = fc.uniqueArray(aPort, {
    minLength: least,
    maxLength: 2,
    selector: ({ containerPort }) => containerPort,
  })
  const container = fc.record({ name: aName, image: aValue, ports }, { requiredKeys: ['name'] })
  const finalizers = fc.uniqueArray(fc.constantFrom('x/a', 'x/b'), { minLength: least, maxLength: 2 })
  const labels = fc.dictionary(aName, aValue, { minKeys: least })
  const containers = fc.uniqueArray(container, { minLength: least, maxLength: 3, selector: ({ name }) => name })
  const spec = { containers, nodeName: aValue, priority: fc.constantFrom(1, 2) }
  return fc.record(
    {
      metadata: fc.record({ labels, finalizers }, { requiredKeys: [] }),
      spec: fc.record(spec, { requiredKeys: [] }),
    },
    { requiredKeys: [] },
  )
}
const aPod = aPodOf(0)
/** An empty map or list goes when what was in it goes: Go does not tell it from none. */
const aFullPod = aPodOf(1)

describe('fieldsOf', () => {
  it('names items by their keys, with the protocol that is meant', () => {
    const pod = {
      metadata: { labels: { 'a/b': '1' }, finalizers: ['x/y'] },
      spec: { containers: [{ name: 'a', ports: [{ containerPort: 80 }], command: ['sh'] }], nodeSelector: {} },
    }
    expect(pathsOf(fieldsOf(definition, pod))).toEqual([
      '.metadata.finalizers[="x/y"]',
      '.metadata.labels.a/b',
      '.spec.containers[name="a"]',
      '.spec.containers[name="a"].command',
      '.spec.containers[name="a"].name',
      '.spec.containers[name="a"].ports[containerPort=80,protocol="TCP"]',
      '.spec.containers[name="a"].ports[containerPort=80,protocol="TCP"].containerPort',
      '.spec.nodeSelector',
    ])
  })
})

describe('fieldsOfNew', () => {
  it('the same fields are the same set, whatever their values, and nobody can change it', () => {
    const podOf = (value: string) => ({ metadata: { labels: { a: value } }, spec: { nodeName: value } })
    const set = fieldsOfNew(definition, podOf('1'))
    expect(fieldsOfNew(definition, podOf('2'))).toBe(set)
    expect(() => Object.assign(set['f:metadata'] ?? {}, { 'f:name': {} })).toThrow(TypeError)
    expect(textOfKnown(set)).toBe(JSON.stringify(set))
  })

  it('an item that is there twice is in the set once, and in its text', () => {
    const twice = fieldsOfNew(definition, { metadata: { finalizers: ['x/a', 'x/a'] } })
    expect(twice).toEqual(fieldsOfNew(definition, { metadata: { finalizers: ['x/a'] } }))
    expect(textOfKnown(twice)).toBe('{"f:metadata":{"f:finalizers":{".":{},"v:\\"x/a\\"":{}}}}')
  })
})

describe('compare', () => {
  it('a new object: what is always there is not owned, what is not there without an owner is', () => {
    const { added } = compare(definition, undefined, { metadata: { labels: { a: '1' } }, spec: { nodeName: 'n' } })
    expect(pathsOf(added)).toEqual(['.metadata.labels', '.metadata.labels.a', '.spec.nodeName'])
  })

  it('with nothing before: what fieldsOfNew says', () => {
    fc.assert(
      fc.property(aFullPod, (pod) => {
        const { added } = compare(definition, undefined, pod)
        expect(fieldsOfNew(definition, pod)).toEqual(added)
      }),
    )
  })

  it('is empty exactly for equal objects, and turned around it is turned around', () => {
    fc.assert(
      fc.property(aPod, aPod, (left, right) => {
        expect(isSame(compare(definition, left, structuredClone(left)))).toBe(true)
        const there = compare(definition, left, right)
        const back = compare(definition, right, left)
        expect(isSameSet(there.added, back.removed)).toBe(true)
        expect(pathsOf(there.modified)).toEqual(pathsOf(back.modified))
      }),
    )
  })
})

describe('field sets', () => {
  it('union, intersection and difference are those of their members', () => {
    fc.assert(
      fc.property(aPod, aPod, (one, two) => {
        const [left, right] = [fieldsOf(definition, one), fieldsOf(definition, two)]
        const [inLeft, inRight] = [pathsOf(left), pathsOf(right)]
        expect(pathsOf(union(left, right))).toEqual([...new Set([...inLeft, ...inRight])].sort())
        expect(pathsOf(intersection(left, right))).toEqual(inLeft.filter((path) => inRight.includes(path)))
        expect(pathsOf(difference(left, right))).toEqual(inLeft.filter((path) => !inRight.includes(path)))
      }),
    )
  })
})

describe('applyConfig', () => {
  const applied = (live: object, managers: readonly Manager[], who: string, config: object) => {
    const result = applyConfig(change(live, managers, by(who)), config, true)
    if (result.conflicts) throw new Error('forced, and yet a conflict')
    return result
  }

  it('twice is once', () => {
    fc.assert(
      fc.property(aPod, aPod, (live, config) => {
        const before = ownersAfterUpdate(change({}, [], by('before', 'Update')), live)
        const once = applied(live, before, 'me', config)
        const twice = applied(once.object, once.managers, 'me', config)
        expect(twice.object).toEqual(once.object)
        expect(entriesOf(twice.managers)).toEqual(entriesOf(once.managers))
      }),
    )
  })

  it('two managers never lose a field that either names', () => {
    fc.assert(
      fc.property(aFullPod, aFullPod, aFullPod, (first, second, third) => {
        const one = applied({}, [], 'one', first)
        const two = applied(one.object, one.managers, 'two', second)
        const again = applied(two.object, two.managers, 'one', third)
        const there = pathsOf(fieldsOf(definition, again.object))
        const named = [...pathsOf(fieldsOf(definition, second)), ...pathsOf(fieldsOf(definition, third))]
        expect(named.filter((path) => !there.includes(path))).toEqual([])
      }),
    )
  })

  it('what one manager alone has named and names no more is gone', () => {
    fc.assert(
      fc.property(aFullPod, aFullPod, (first, second) => {
        const one = applied({}, [], 'one', first)
        const again = applied(one.object, one.managers, 'one', second)
        expect(pathsOf(fieldsOf(definition, again.object))).toEqual(pathsOf(fieldsOf(definition, second)))
      }),
    )
  })

  it('a conflict is exactly a field of somebody else with another value', () => {
    fc.assert(
      fc.property(aPod, aPod, (first, second) => {
        const one = applied({}, [], 'one', first)
        const result = applyConfig(change(one.object, one.managers, by('two')), second, false)
        const { modified, added } = compare(
          definition,
          one.object,
          applied(one.object, one.managers, 'two', second).object,
        )
        const disputed = intersection(fieldsOf(definition, first), union(modified, added))
        expect((result.conflicts ?? []).map(({ path }) => pathText(path)).sort()).toEqual(pathsOf(disputed))
      }),
    )
  })
})

describe('managers', () => {
  it('entriesOf: is read again as it was written', () => {
    const managers = ownersAfterUpdate(change({}, [], by('me', 'Update')), { spec: { nodeName: 'n' } })
    expect(managersOf(entriesOf(managers))).toEqual(managers)
  })

  it('withoutCrowd: at most ten updaters, the oldest become one, appliers stay, and no field is lost', () => {
    const updaters = Array.from(
      { length: 15 },
      (_, at): Manager => ({
        ...by(`u${at}`, 'Update'),
        time: `2026-01-01T00:00:${10 + at}Z`,
        fields: { [`f:${at}`]: {} },
      }),
    )
    const applier: Manager = { ...by('applier'), fields: { 'f:x': {} } }
    const few = withoutCrowd([applier, ...updaters])
    expect(few.filter(({ operation }) => operation === 'Update')).toHaveLength(10)
    expect(few.map(({ manager }) => manager)).toContain('ancient-changes')
    expect(few).toContain(applier)
    const all = few.reduce<FieldSet>((set, { fields }) => union(set, fields), {})
    expect(Object.keys(all)).toHaveLength(16)
    expect(isEmpty(difference(updaters[0]?.fields ?? {}, all))).toBe(true)
  })
})
