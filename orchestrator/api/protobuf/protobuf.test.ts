import { existsSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CoracleError } from '../../../runtime/base/errors.ts'
import { builtInKinds } from '../kinds/table.ts'
import { decodeObject } from '../schema/decode.ts'
import { decodeProtobuf } from './decode.ts'
import { encodeList, encodeMessage, encodeProtobuf, encodeWatchEvent } from './encode.ts'
import { messages } from './field-numbers.ts'
import { fieldsOf, textOf } from './wire.ts'

/** Field `number` with `bytes`, as on the wire. */
const bytesField = (number: number, bytes: Uint8Array) =>
  Buffer.concat([Buffer.from([number * 8 + 2, bytes.length]), bytes])
const textField = (number: number, text: string) => bytesField(number, Buffer.from(text))
const envelope = (raw: Uint8Array) =>
  Buffer.concat([
    Buffer.from('k8s\0'),
    bytesField(1, Buffer.concat([textField(1, 'v1'), textField(2, 'ConfigMap')])),
    bytesField(2, raw),
  ])

const configMap = (body: Uint8Array) => decodeProtobuf(body, 'io.k8s.api.core.v1.ConfigMap')

describe('decodeProtobuf', () => {
  it('reads an envelope, metadata and maps; unset texts are left out', () => {
    const metadata = bytesField(1, Buffer.concat([textField(1, 'x'), textField(2, '')]))
    const data = bytesField(2, Buffer.concat([textField(1, 'a'), textField(2, 'b')]))
    expect(configMap(envelope(Buffer.concat([metadata, data])))).toEqual({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'x' },
      data: { a: 'b' },
    })
  })

  it.each([
    ['no envelope', Buffer.from('{}')],
    ['cut off', envelope(textField(1, 'xxxx')).subarray(0, -2)],
    ['a length that lies', envelope(Buffer.from([0x0a, 0x7f]))],
    ['a number for a message', envelope(Buffer.from([0x08, 0x01]))],
    ['a wire type that is none', envelope(Buffer.from([0x0f]))],
  ])('refuses %s', (_name, body) => {
    expect(() => configMap(body)).toThrow(expect.objectContaining({ code: 'DECODE' }))
  })

  it('any bytes: are read or refused with a code', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (raw) => {
        try {
          configMap(Buffer.concat([Buffer.from('k8s\0'), raw]))
          configMap(envelope(raw))
        } catch (error) {
          if (!(error instanceof CoracleError)) throw error
        }
      }),
    )
  })
})

describe('encodeProtobuf', () => {
  it('a negative number is 64 bits, an unset time an empty message, a duration nanoseconds', () => {
    const metrics = {
      metadata: { name: 'n' },
      timestamp: '2026-01-01T00:00:00Z',
      window: '1m0.5s',
      usage: { cpu: '1' },
    }
    const definition = 'io.k8s.metrics.pkg.apis.metrics.v1beta1.NodeMetrics'
    const type = { apiVersion: 'metrics.k8s.io/v1beta1', kind: 'NodeMetrics' }
    expect(decodeProtobuf(encodeProtobuf(definition, { ...type, ...metrics }), definition)).toEqual({
      ...type,
      ...metrics,
    })
    const pod = { apiVersion: 'v1', kind: 'Pod', metadata: {}, spec: { containers: [], priority: -5 }, status: {} }
    expect(decodeProtobuf(encodeProtobuf('io.k8s.api.core.v1.Pod', pod), 'io.k8s.api.core.v1.Pod')).toMatchObject({
      spec: { priority: -5 },
    })
  })

  it('a field of bytes of any length: its head finds room, too', () => {
    const definition = 'io.k8s.api.core.v1.Secret'
    // The writer begins with 1024 bytes and doubles.
    for (let length = 900; length < 2100; length++) {
      const bytes = Buffer.alloc(length, 'x').toString('base64')
      const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 's' }, data: { bytes } }
      expect(decodeProtobuf(encodeProtobuf(definition, secret), definition)).toEqual(secret)
    }
  })

  it('encodeWatchEvent: type and object', () => {
    const event = fieldsOf(encodeWatchEvent('ADDED', Buffer.from('object')))
    expect(event.map(({ number }) => number)).toEqual([1, 2])
    expect(textOf(fieldsOf(event[1]?.bytes ?? new Uint8Array())[0]?.bytes ?? new Uint8Array())).toBe('object')
  })
})

describe('encodeList', () => {
  const listed = builtInKinds.filter(({ definition }) => messages[`${definition}List`] !== undefined)

  it.each(listed)('$group/$version $kind: the same bytes as the list in one piece', ({ definition, ...kind }) => {
    const type = { apiVersion: `${kind.group}/${kind.version}`, kind: `${kind.kind}List` }
    const metadata = { resourceVersion: '7', continue: 'x', remainingItemCount: 300 }
    const items = ['a', 'b'.repeat(300), ''].map((name) => ({
      metadata: { name, labels: { '😀': '1', '\uffee': '2' } },
    }))
    for (const some of [[], items.slice(0, 1), items]) {
      const parts = encodeList(
        definition,
        { ...type, metadata },
        some.map((item) => encodeMessage(definition, item)),
      )
      const whole = encodeProtobuf(`${definition}List`, { ...type, ...{ metadata, items: some } })
      expect(Buffer.concat(parts).toString('hex')).toBe(Buffer.from(whole).toString('hex'))
    }
  })
})

// Other people's golden objects, where they lie beside the checkout.
const golden = resolve(import.meta.dirname, '../../../../shared/testdata/kubernetes-api-1.36')
const hasGolden = existsSync(golden)
/** Not among them: metrics.k8s.io is another module, autoscaling/v2beta2 is gone since 1.26. */
const withoutGolden = ['NodeMetrics', 'PodMetrics', 'v2beta2.HorizontalPodAutoscaler']

describe.skipIf(!hasGolden)('golden objects', () => {
  const cases = builtInKinds
    .map(({ group, version, kind, definition }) => ({ file: `${group || 'core'}.${version}.${kind}`, definition }))
    .filter(({ file }) => !withoutGolden.some((name) => file.endsWith(name)))
  const read = (file: string, definition: string) => ({
    bytes: readFileSync(`${golden}/${file}.pb`),
    object: decodeObject(definition, JSON.parse(readFileSync(`${golden}/${file}.json`, 'utf8'))).value,
  })

  it.each(cases)('decodeProtobuf: $file is the same as its JSON', ({ file, definition }) => {
    const { bytes, object } = read(file, definition)
    const decoded = decodeProtobuf(bytes, definition)
    expect(decodeObject(definition, decoded)).toEqual({ value: object, unknownFields: [] })
  })

  it.each(cases)('encodeProtobuf: $file is the same, byte for byte', ({ file, definition }) => {
    const { bytes, object } = read(file, definition)
    expect(Buffer.from(encodeProtobuf(definition, object)).toString('hex')).toBe(bytes.toString('hex'))
  })
})
