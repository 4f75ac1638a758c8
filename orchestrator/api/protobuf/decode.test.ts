import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CoracleError } from '../../../runtime/base/errors.ts'
import { builtInKinds } from '../kinds/table.ts'
import { decodeObject } from '../schema/decode.ts'
import { decodeProtobuf } from './decode.ts'

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

  // Other people's golden objects, where they lie beside the checkout.
  const golden = resolve(import.meta.dirname, '../../../../shared/testdata/kubernetes-api-1.36')
  const hasGolden = existsSync(golden)
  const cases = builtInKinds.map(({ group, version, kind, definition }) => ({
    file: `${group || 'core'}.${version}.${kind}`,
    definition,
  }))
  it.skipIf(!hasGolden).each(cases)('golden object $file: is the same as its JSON', ({ file, definition }) => {
    expect(readdirSync(golden)).toContain(`${file}.pb`)
    const fromJson = decodeObject(definition, JSON.parse(readFileSync(`${golden}/${file}.json`, 'utf8'))).value
    const fromProtobuf = decodeProtobuf(readFileSync(`${golden}/${file}.pb`), definition)
    expect(decodeObject(definition, fromProtobuf)).toEqual({ value: fromJson, unknownFields: [] })
  })
})
