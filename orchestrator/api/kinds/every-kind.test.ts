import { existsSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { decodeProtobuf } from '../protobuf/decode.ts'
import { encodeProtobuf } from '../protobuf/encode.ts'
import { decodeObject } from '../schema/decode.ts'
import { definitionOf } from '../schema/schema.ts'
import type { KubeObject } from '../types.ts'
import type { Kind } from './kind.ts'
import { apiVersionOf, builtInKinds } from './table.ts'

const now = Date.parse('2026-01-01T00:00:00Z')
const user = { name: 'somebody', groups: [] }
const stored = (kind: Kind) => kind.conversion?.stored ?? kind

/** What an object with nothing in it comes to: required fields, defaults, what a creator gets. */
function barest(kind: Kind): KubeObject {
  const { value } = decodeObject(stored(kind).definition, { metadata: { name: 'x', uid: 'u' } })
  const object = value as KubeObject
  kind.strategy.setDefaults?.(object)
  kind.strategy.beforeCreate?.(object, { user })
  return object
}

const named = builtInKinds.map((kind) => ({ name: `${apiVersionOf(kind)} ${kind.kind}`, kind }))

describe('every kind', () => {
  it.each(named)('$name: its definition is known, and names it', ({ kind }) => {
    // Two versions that say the same may share it.
    expect(definitionOf(kind.definition).kinds?.map((each) => each.kind)).toContain(kind.kind)
    if (kind.verbs.includes('list')) expect(definitionOf(`${kind.definition}List`).fields).toHaveProperty('items')
  })

  it.each(named)('$name: the barest object is refused with problems or taken, never an exception', ({ kind }) => {
    const object = barest(kind)
    const problems = [
      ...(kind.strategy.validate?.(object) ?? []),
      ...(kind.strategy.validateCreate?.(object) ?? []),
      ...(kind.strategy.validateUpdate?.(object, structuredClone(object)) ?? []),
    ]
    for (const { reason, message } of problems) {
      expect(reason).toMatch(/^FieldValue/)
      expect(message).not.toBe('')
    }
    for (const read of Object.values(kind.strategy.fields ?? {})) expect(typeof read(object)).toBe('string')
  })

  it.each(named)('$name: a row has a cell for each column', ({ kind }) => {
    const cells = kind.printer.cells(barest(kind), now)
    expect(cells).toHaveLength(kind.printer.columns.length)
    expect(cells).not.toContain(undefined)
  })

  it.each(named)('$name: an update that changes nothing is nothing', ({ kind }) => {
    const object = barest(kind)
    const next = structuredClone(object)
    kind.strategy.beforeUpdate?.(next, object)
    expect(next).toEqual(object)
    expect(kind.strategy.isNewGeneration?.(next, object) ?? false).toBe(false)
  })
})

// Other people's golden objects, where they lie beside the checkout.
const golden = resolve(import.meta.dirname, '../../../../shared/testdata/kubernetes-api-1.36')
const fileOf = (kind: Kind) => `${golden}/${kind.group || 'core'}.${kind.version}.${kind.kind}.json`
const withGolden = named.filter(({ kind }) => existsSync(fileOf(kind)))

describe.skipIf(!existsSync(golden))('every kind, with every field set', () => {
  /** Values that name their field, but for the one that has to mean something. */
  const textOf = (kind: Kind) => readFileSync(fileOf(kind), 'utf8').replaceAll('"operatorValue"', '"Exists"')
  const read = (kind: Kind) => decodeObject(kind.definition, JSON.parse(textOf(kind)))

  it('nearly all have a golden object', () => {
    expect(named.length - withGolden.length).toBeLessThanOrEqual(3)
  })

  it.each(withGolden)('$name: every field is known', ({ kind }) => {
    expect(read(kind).unknownFields).toEqual([])
  })

  it.each(withGolden)('$name: defaults, validation and printing take it', ({ kind }) => {
    const object = kind.conversion ? kind.conversion.toStored(read(kind).value) : (read(kind).value as KubeObject)
    kind.strategy.setDefaults?.(object)
    expect(Array.isArray(kind.strategy.validate?.(object) ?? [])).toBe(true)
    expect(kind.printer.cells(object, now)).toHaveLength(kind.printer.columns.length)
    const type = { apiVersion: apiVersionOf(stored(kind)), kind: kind.kind }
    const { definition } = stored(kind)
    const back = decodeProtobuf(encodeProtobuf(definition, { ...object, ...type }), definition)
    expect(decodeObject(definition, back).value).toEqual(decodeObject(definition, { ...object, ...type }).value)
  })

  it.each(withGolden.filter(({ kind }) => kind.conversion))('$name: there and back again', ({ kind }) => {
    const { conversion } = kind
    const once = conversion?.toStored(read(kind).value) ?? {}
    const shown = conversion?.fromStored(once) ?? {}
    expect(conversion?.toStored(structuredClone(shown))).toEqual(once)
  })
})
