import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { applyJsonPatch, checkJsonPatch } from './json-patch.ts'
import { applyMergePatch } from './merge-patch.ts'
import { applyStrategicMergePatch } from './strategic-merge-patch.ts'

const json = (document: unknown, patch: unknown) => applyJsonPatch(document, checkJsonPatch(patch))

describe('json patch', () => {
  // The examples of RFC 6902, appendix A.
  it.each([
    [{ foo: 'bar' }, [{ op: 'add', path: '/baz', value: 'qux' }], { foo: 'bar', baz: 'qux' }],
    [{ foo: ['bar', 'baz'] }, [{ op: 'add', path: '/foo/1', value: 'qux' }], { foo: ['bar', 'qux', 'baz'] }],
    [{ baz: 'qux', foo: 'bar' }, [{ op: 'remove', path: '/baz' }], { foo: 'bar' }],
    [{ foo: ['a', 'b', 'c'] }, [{ op: 'remove', path: '/foo/1' }], { foo: ['a', 'c'] }],
    [{ baz: 'qux' }, [{ op: 'replace', path: '/baz', value: 'boo' }], { baz: 'boo' }],
    [{ a: { b: 1 }, c: {} }, [{ op: 'move', from: '/a/b', path: '/c/d' }], { a: {}, c: { d: 1 } }],
    [{ foo: ['a', 'b', 'c'] }, [{ op: 'move', from: '/foo/0', path: '/foo/2' }], { foo: ['b', 'c', 'a'] }],
    [{ a: 1 }, [{ op: 'copy', from: '/a', path: '/b' }], { a: 1, b: 1 }],
    [{ '/': 9, '~1': 10 }, [{ op: 'test', path: '/~01', value: 10 }], { '/': 9, '~1': 10 }],
    [{ foo: ['bar'] }, [{ op: 'add', path: '/foo/-', value: ['abc'] }], { foo: ['bar', ['abc']] }],
    [{ foo: null }, [{ op: 'replace', path: '/foo', value: 1 }], { foo: 1 }],
  ])('%j with %j', (document, patch, expected) => expect(json(document, patch)).toEqual(expected))

  it.each([
    [[{ op: 'test', path: '/a', value: 2 }]],
    [[{ op: 'add', path: '/x/y', value: 1 }]],
    [[{ op: 'remove', path: '/none' }]],
    [[{ op: 'replace', path: '/none', value: 1 }]],
    [[{ op: 'add', path: '/list/7', value: 1 }]],
    [[{ op: 'add', path: '/list/01', value: 1 }]],
    [[{ op: 'add', path: 'a', value: 1 }]],
    [[{ op: 'move', from: '/o', path: '/o/p' }]],
    [[{ op: 'nonsense', path: '/a' }]],
    [{ op: 'add' }],
    [[{ op: 'add', path: '/a' }]],
    [[null]],
  ])('refuses %j', (patch) => {
    expect(() => json({ a: 1, list: [0], o: {} }, patch)).toThrow(expect.objectContaining({ code: 'BAD_PATCH' }))
  })

  it('leaves the document alone, and no prototype is reached', () => {
    const document = { a: { b: 1 } }
    json(document, [{ op: 'add', path: '/a/b', value: 2 }])
    expect(document).toEqual({ a: { b: 1 } })
    json(document, [{ op: 'add', path: '/__proto__', value: { polluted: true } }])
    expect(() => json(document, [{ op: 'add', path: '/constructor/prototype/polluted', value: true }])).toThrow()
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined()
  })
})

const jsonObject = fc.dictionary(fc.string(), fc.jsonValue())

describe('merge patch', () => {
  // RFC 7386, appendix A.
  it.each([
    [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
    [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
    [{ a: 'b' }, { a: null }, {}],
    [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
    [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
    [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
    [{ a: 'foo' }, null, null],
    [{ e: null }, { a: 1 }, { e: null, a: 1 }],
    [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
  ])('%j with %j', (document, patch, expected) => expect(applyMergePatch(document, patch)).toEqual(expected))

  it('applied twice is applied once', () => {
    fc.assert(
      fc.property(jsonObject, jsonObject, (document, patch) => {
        const once = applyMergePatch(document, patch)
        expect(applyMergePatch(once, patch)).toEqual(once)
      }),
    )
  })

  it('an empty patch changes nothing', () => {
    fc.assert(
      fc.property(jsonObject, (document) => {
        expect(applyMergePatch(document, {})).toEqual(document)
      }),
    )
  })
})

const pod = 'io.k8s.api.core.v1.Pod'
const strategic = (document: unknown, patch: unknown) => applyStrategicMergePatch(pod, document, patch)
const withContainers = (...containers: unknown[]) => ({ spec: { containers } })

describe('strategic merge patch', () => {
  const two = withContainers({ name: 'a', image: '1', env: [{ name: 'X', value: '1' }] }, { name: 'b', image: '2' })

  it('keyed lists: items merge by their key, new ones come last', () => {
    const patch = withContainers({ name: 'a', image: '9', env: [{ name: 'Y', value: '2' }] }, { name: 'c', image: '3' })
    expect(strategic(two, patch)).toEqual(
      withContainers(
        {
          name: 'a',
          image: '9',
          env: [
            { name: 'X', value: '1' },
            { name: 'Y', value: '2' },
          ],
        },
        { name: 'b', image: '2' },
        { name: 'c', image: '3' },
      ),
    )
  })

  it('$patch: delete removes an item, replace a list', () => {
    expect(strategic(two, withContainers({ name: 'a', $patch: 'delete' }))).toEqual(
      withContainers({ name: 'b', image: '2' }),
    )
    expect(strategic(two, withContainers({ $patch: 'replace' }, { name: 'z', image: '0' }))).toEqual(
      withContainers({ name: 'z', image: '0' }),
    )
  })

  it('$patch: replace replaces an object', () => {
    expect(
      strategic({ metadata: { labels: { a: '1', b: '2' } } }, { metadata: { labels: { $patch: 'replace', c: '3' } } }),
    ).toEqual({
      metadata: { labels: { c: '3' } },
    })
  })

  it('$setElementOrder: gives the order, with and without items', () => {
    const patch = { spec: { '$setElementOrder/containers': [{ name: 'b' }, { name: 'a' }] } }
    const names = (object: unknown) =>
      (object as { spec: { containers: { name: string }[] } }).spec.containers.map(({ name }) => name)
    expect(names(strategic(two, patch))).toEqual(['b', 'a'])
    const more = {
      spec: { '$setElementOrder/containers': [{ name: 'c' }, { name: 'a' }], containers: [{ name: 'c' }] },
    }
    expect(names(strategic(two, more))).toEqual(['c', 'a', 'b'])
  })

  it('$deleteFromPrimitiveList: removes values; primitive lists merge as sets', () => {
    const document = { metadata: { finalizers: ['a', 'b'] } }
    expect(strategic(document, { metadata: { '$deleteFromPrimitiveList/finalizers': ['a'] } })).toEqual({
      metadata: { finalizers: ['b'] },
    })
    expect(strategic(document, { metadata: { finalizers: ['c', 'a'] } })).toEqual({
      metadata: { finalizers: ['a', 'b', 'c'] },
    })
  })

  it('$retainKeys: a volume changes its source without keeping the old one', () => {
    const document = { spec: { volumes: [{ name: 'v', emptyDir: {} }] } }
    const patch = { spec: { volumes: [{ name: 'v', $retainKeys: ['name', 'hostPath'], hostPath: { path: '/x' } }] } }
    expect(strategic(document, patch)).toEqual({ spec: { volumes: [{ name: 'v', hostPath: { path: '/x' } }] } })
  })

  it('lists without a key are replaced; null removes', () => {
    expect(strategic(withContainers({ name: 'a', args: ['1'] }), withContainers({ name: 'a', args: ['2'] }))).toEqual(
      withContainers({ name: 'a', args: ['2'] }),
    )
    expect(strategic({ metadata: { labels: { a: '1' } } }, { metadata: { labels: { a: null } } })).toEqual({
      metadata: { labels: {} },
    })
  })

  it.each([[withContainers({ image: 'x' })], [{ metadata: { $patch: 'nonsense' } }], [[]], [withContainers('x')]])(
    'refuses %j',
    (patch) => {
      expect(() => strategic(two, patch)).toThrow(expect.objectContaining({ code: 'BAD_PATCH' }))
    },
  )

  it('applied twice is applied once', () => {
    const container = fc.record({
      name: fc.constantFrom('a', 'b', 'c'),
      image: fc.constantFrom('1', '2'),
      env: fc.uniqueArray(fc.record({ name: fc.constantFrom('X', 'Y'), value: fc.string() }), {
        selector: ({ name }) => name,
      }),
    })
    const containers = fc.uniqueArray(container, { selector: ({ name }) => name })
    fc.assert(
      fc.property(containers, containers, (before, patch) => {
        const once = strategic(withContainers(...before), withContainers(...patch))
        expect(strategic(once, withContainers(...patch))).toEqual(once)
      }),
    )
  })
})
