import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CoracleError } from '../../../runtime/base/errors.ts'
import { decodeObject } from './decode.ts'

const pod = 'io.k8s.api.core.v1.Pod'
const decode = (value: unknown) => decodeObject(pod, value)
const container = (fields: object) => ({ spec: { containers: [{ name: 'a', ...fields }] } })

describe('decode', () => {
  it('unknown fields: are dropped and named with their path', () => {
    const { value, unknownFields } = decode({ spec: { foo: 1, containers: [{ name: 'a', bar: 2 }] } })
    expect(value).toEqual({ spec: { containers: [{ name: 'a' }] } })
    expect(unknownFields).toEqual(['unknown field "spec.foo"', 'unknown field "spec.containers[0].bar"'])
  })

  it.each([
    [
      { spec: { containers: 'x' } },
      'json: cannot unmarshal string into Go struct field PodSpec.spec.containers of type []v1.Container',
    ],
    [
      container({ env: [{ name: 'A', value: 1 }] }),
      'json: cannot unmarshal number into Go struct field EnvVar.spec.containers.env.value of type string',
    ],
    [
      { metadata: { labels: { a: 1 } } },
      'json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type string',
    ],
    [
      { spec: { hostNetwork: 'yes' } },
      'json: cannot unmarshal string into Go struct field PodSpec.spec.hostNetwork of type bool',
    ],
    [
      { spec: { priority: 1.5 } },
      'json: cannot unmarshal number 1.5 into Go struct field PodSpec.spec.priority of type int32',
    ],
    [
      { spec: { priority: 2 ** 31 } },
      'json: cannot unmarshal number 2147483648 into Go struct field PodSpec.spec.priority of type int32',
    ],
    [{ spec: [] }, 'json: cannot unmarshal array into Go struct field Pod.spec of type v1.PodSpec'],
    [
      container({ resources: { limits: { cpu: 'x' } } }),
      "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
    ],
    [
      { metadata: { creationTimestamp: 'now' } },
      'parsing time "now" as "2006-01-02T15:04:05Z07:00": cannot parse "now" as "2006"',
    ],
  ])('%j: %s', (value, message) => {
    expect(() => decode(value)).toThrow(message)
  })

  it('nulls and empty optional collections: are as if they were not there', () => {
    expect(decode({ metadata: { labels: {}, name: null }, spec: { containers: [], volumes: [] } }).value).toEqual({
      metadata: {},
      spec: { containers: [] },
    })
  })

  it('quantities and times: get their canonical text', () => {
    expect(decode(container({ resources: { limits: { cpu: 0.5, memory: '1024Ki' } } })).value).toMatchObject(
      container({ resources: { limits: { cpu: '500m', memory: '1Mi' } } }),
    )
    expect(decode({ metadata: { creationTimestamp: '2026-01-02T03:04:05.678+01:00' } }).value).toEqual({
      metadata: { creationTimestamp: '2026-01-02T02:04:05Z' },
    })
  })

  it('bytes: must be base64', () => {
    const secret = (text: string) => () => decodeObject('io.k8s.api.core.v1.Secret', { data: { a: text } })
    expect(secret('eA==')().value).toEqual({ data: { a: 'eA==' } })
    expect(secret('?')).toThrow('illegal base64 data at input byte 0')
  })

  it('__proto__: is data', () => {
    const { value } = decode(JSON.parse('{"metadata":{"labels":{"__proto__":"x"}}}'))
    expect(JSON.stringify(value)).toBe('{"metadata":{"labels":{"__proto__":"x"}}}')
  })

  it('any JSON: decodes or is refused with a code, and what was decoded decodes to itself', () => {
    fc.assert(
      fc.property(fc.record({ metadata: fc.jsonValue(), spec: fc.jsonValue() }), (value) => {
        try {
          const once = decode(value).value
          expect(decode(once)).toEqual({ value: once, unknownFields: [] })
        } catch (error) {
          if (!(error instanceof CoracleError)) throw error
        }
      }),
    )
  })

  // Other people's golden objects, where they lie beside the checkout.
  const golden = resolve(import.meta.dirname, '../../../../shared/testdata/kubernetes-api-1.36')
  const kinds = ['Pod', 'Node', 'Service', 'ConfigMap', 'Secret', 'Namespace', 'Event', 'Endpoints', 'ServiceAccount']
  it.skipIf(!existsSync(golden))('golden objects: every field of every kind is known', () => {
    const files = readdirSync(golden).filter((file) => kinds.some((kind) => file === `core.v1.${kind}.json`))
    expect(files).toHaveLength(kinds.length)
    for (const file of files) {
      const kind = file.split('.')[2]
      const { unknownFields } = decodeObject(
        `io.k8s.api.core.v1.${kind}`,
        JSON.parse(readFileSync(`${golden}/${file}`, 'utf8')),
      )
      expect(unknownFields).toEqual([])
    }
  })
})
