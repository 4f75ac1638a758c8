import { describe, expect, it } from 'vitest'
import { fieldsOfNew } from '../api/apply/fields-of.ts'
import { podKind } from '../api/kinds/pod.ts'
import type { KubeObject } from '../api/types.ts'
import { storedText } from './objects.ts'

const owner = { manager: 'm', operation: 'Update', apiVersion: 'v1', fieldsType: 'FieldsV1' }
const known = fieldsOfNew(podKind.definition, { metadata: { labels: { a: '1' } } })

describe('storedText', () => {
  const cases: [what: string, object: object][] = [
    ['nothing at all', {}],
    ['metadata alone', { metadata: { name: 'a' } }],
    ['a status alone', { status: {} }],
    ['owners with fields that are known', { metadata: { managedFields: [{ ...owner, fieldsV1: known }] }, spec: {} }],
    ['owners with other fields', { metadata: { name: 'a', managedFields: [{ ...owner, fieldsV1: { 'f:x': {} } }] } }],
    ['an owner of nothing', { metadata: { managedFields: [{}, { fieldsV1: known }] } }],
  ]
  it.each(cases)('is the JSON of the object, type first and without its revision: %s', (_, object) => {
    const type = { kind: 'Pod', apiVersion: 'v1' }
    const { metadata = {} } = object as KubeObject
    const given = { ...object, metadata: { ...metadata, resourceVersion: '5' } }
    const text = storedText(podKind, given as KubeObject)
    expect(JSON.parse(text)).toEqual({ ...type, ...object, metadata })
    expect(text).toMatch(/^\{"kind":"Pod","apiVersion":"v1","metadata":\{/)
  })
})
